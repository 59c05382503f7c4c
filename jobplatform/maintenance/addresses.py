"""Which addresses a webhook may reach: those that everybody can, and what a setting lists."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

from jobplatform.errors import TargetRefused
from jobplatform.settings import Network

Resolve = Callable[[str, int], Iterable[str]]

#: What bears an IPv4 address within, and so would lead to any: NAT64, 6to4 and Teredo (RFC 6052, 3056, 4380); and a
#: network that is kept for protocols (RFC 6890), in which a cloud answers for its metadata.
_SPECIAL = [
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.0.0.0/24")
]


def resolve(host: str, port: int) -> list[str]:
    """Ask for the addresses of a host."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(text: str) -> bool:
    """Tell whether anybody may reach an address: it is not private, reserved, of this link or of this machine."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    special = any(address in network for network in _SPECIAL)
    return address.is_global and not address.is_multicast and not special


def pinned(host: str, port: int, allowed: Sequence[Network], ask: Resolve = resolve) -> str:
    """Resolve a host once, and give the address to connect to: who answers next cannot point it elsewhere.

    :param allowed: networks that may be reached although they are not public.
    :raises TargetRefused: when the host has no address, or any of them must not be reached.
    """
    try:
        found = list(ask(host, port))
    except (OSError, UnicodeError) as error:
        raise TargetRefused(f"{host}: it has no address: {error}") from error
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not is_public(text) and not any(address in network for network in allowed):
            raise TargetRefused(
                f"{host}: its address {text} is not public; list its network in JOBPLATFORM_ALERT_NETWORKS, "
                "if it is meant"
            )
    if not found:
        raise TargetRefused(f"{host}: it has no address; correct JOBPLATFORM_ALERT_WEBHOOKS")
    return found[0]
