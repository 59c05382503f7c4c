"""Pictures shown one after the other: an animated PNG made of still ones, with nothing but the standard library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_MAGIC = b"\x89PNG\r\n\x1a\n"


class Frame(NamedTuple):
    """A picture and for how long it is shown.

    :param png: all frames have the same size and kind of pixels.
    """

    png: bytes
    milliseconds: int


def animate(frames: Sequence[Frame]) -> bytes:
    """Join pictures to one that moves, again and again (PNG Third Edition, 2025, 11.3.6).

    :raises ValueError: when they differ in size or pixels.
    """
    heads = {_header(frame.png) for frame in frames}
    if len(heads) != 1:
        raise ValueError("frames: they differ in size or pixels, or there is none; take them all of one window")
    (head,) = heads
    width, height = struct.unpack(">II", head[:8])
    made, number = [_MAGIC, _chunk(b"IHDR", head), _chunk(b"acTL", struct.pack(">II", len(frames), 0))], 0
    for index, frame in enumerate(frames):
        shown = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, frame.milliseconds, 1_000, 0, 0)
        made.append(_chunk(b"fcTL", shown))
        number += 1
        for kind, body in _chunks(frame.png):
            if kind == b"IDAT":
                made.append(_chunk(b"IDAT", body) if index == 0 else _chunk(b"fdAT", struct.pack(">I", number) + body))
                number += index > 0
    return b"".join([*made, _chunk(b"IEND", b"")])


def _header(png: bytes) -> bytes:
    return next(body for kind, body in _chunks(png) if kind == b"IHDR")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_MAGIC)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
