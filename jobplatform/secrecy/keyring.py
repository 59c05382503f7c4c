"""A ring of named keys: the first one is used, all of them are accepted."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by name, the one in use first."""

    keys: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)

    def __bool__(self) -> bool:
        return bool(self.keys)

    @property
    def first(self) -> str:
        """The name of the key in use."""
        return next(iter(self.keys))

    def get(self, name: str) -> bytes | None:
        """Give a key, None if the ring has none of this name."""
        return self.keys.get(name)


def parse_keys(text: str, exactly: int | None = None, least: int = 32) -> KeyRing:
    """Read a ring as ``name:key,name:key``, each key in base64.

    :param exactly: the bytes that a key has; None asks for ``least`` or more.
    :raises ValueError: naming the place and the problem, and never a key.
    """
    found: dict[str, bytes] = {}
    for place, part in enumerate(filter(None, (each.strip() for each in text.split(","))), 1):
        name, _, encoded = part.partition(":")
        if not _NAME.fullmatch(name) or not encoded:
            raise ValueError(f"key {place} is not written as name:base64, with letters, digits, '_.-' in its name")
        if name in found:
            raise ValueError(f"key {place} has the name of another one; give each its own")
        key = _decoded(encoded, place)
        if len(key) < least or exactly not in (None, len(key)):
            raise ValueError(f"key {place} has {len(key)} bytes, not {exactly or f'{least} or more'}")
        found[name] = key
    return KeyRing(MappingProxyType(found))


def _decoded(text: str, place: int) -> bytes:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        raise ValueError(f"key {place} is no base64") from None
