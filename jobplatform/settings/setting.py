"""One setting: a field that knows its variable, how text becomes its value, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

Network = IPv4Network | IPv6Network


def setting(
    env: str, default: Any, parse: Callable[[str], Any], meaning: str, low: float | None = None, secret: bool = False
) -> Any:
    """Describe a field; one that is secret is shown nowhere."""
    told = {"env": env, "parse": parse, "meaning": meaning, "low": low, "secret": secret}
    return field(default=default, repr=not secret, metadata=told)


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def days(text: str) -> tuple[tuple[str, float], ...]:
    """Read days by name.

    :raises ValueError: when it is something else.
    """
    found = []
    for part in names(text):
        name, sign, count = part.partition("=")
        if not name or not sign or not float(count) >= 0:
            raise ValueError("it is no list as shop.mail=1,reports.*=365")
        found.append((name.strip(), float(count)))
    return tuple(found)


def networks(text: str) -> tuple[Network, ...]:
    """Read networks with commas between them.

    :raises ValueError: when one is none.
    """
    return tuple(ip_network(part) for part in names(text))


def one_of(*words: str) -> Callable[[str], str]:
    """Give what reads one of some words, and raises ValueError for any other."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"it is none of {', '.join(words)}")
        return text

    return parse
