"""Ports of the loopback that one stack has for itself, also between choosing one and listening on it."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

from jobplatform.errors import DevStackError

# Below the range of outgoing connections, one of which could take our port while we are stopped.
_PORTS = range(20_000, 32_000)
_TRIES = 200


def is_free(port: int) -> bool:
    """Tell whether a TCP port of the loopback can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def claim(port: int) -> socket.socket | None:
    """Take a port among the stacks of this machine, whether its server listens or not; None when one has it.

    The claim is a name beside the ports, of the kind that Linux forgets with the process that holds it.

    :returns: the claim, which ends when it is closed.
    """
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0jobplatform-port-{port}")
    except OSError:
        holder.close()
        return None
    return holder


def claim_free(count: int) -> dict[int, socket.socket]:
    """Choose ports on which nobody listens, and claim them.

    :raises DevStackError: when too few are free.
    """
    claims: dict[int, socket.socket] = {}
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        if len(claims) == count:
            break
        if (holder := claim(port)) is None:
            continue
        if is_free(port):
            claims[port] = holder
        else:
            holder.close()
    if len(claims) < count:
        release(claims.values())
        raise DevStackError(f"no free port among {_TRIES} of {_PORTS}; stop some of the programs that listen")
    return claims


def release(claims: Iterable[socket.socket]) -> None:
    """End claims."""
    for holder in claims:
        holder.close()
