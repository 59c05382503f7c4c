"""Messages whose bodies are packed: a small one may hold more than there is memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from kombu.compression import get_decoder
from kombu.transport import virtual

#: The largest body that is unpacked, in bytes.
_MOST = 64 * 1_048_576
#: What unpacks piece by piece, by what kombu unpacks whole bodies with.
_UNPACKERS: dict[Any, Callable[[], Any]] = {
    zlib.decompress: zlib.decompressobj,
    bz2.decompress: bz2.BZ2Decompressor,
    lzma.decompress: lzma.LZMADecompressor,
}


class Message(virtual.Message):  # type: ignore[misc]
    """Kombu's message, which is measured before it is unpacked."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **kwargs: Any) -> None:
        headers = payload.get("headers")
        if isinstance(headers, dict) and headers.get("compression"):
            properties = payload["properties"]
            check_unpacked(
                channel.decode_body(payload.get("body"), properties.get("body_encoding")), headers["compression"]
            )
        super().__init__(payload, channel=channel, **kwargs)


def check_unpacked(body: bytes, compression: str) -> None:
    """Refuse a body that grows too large; one that cannot be unpacked at all is left to kombu.

    :raises ValueError: when it is larger than 64 MiB.
    """
    try:
        unpack = _UNPACKERS[get_decoder(compression)]
        size = len(unpack().decompress(body, _MOST + 1))
    except (KeyError, zlib.error, OSError, EOFError, lzma.LZMAError):
        return
    if size > _MOST:
        raise ValueError(f"compression: the body unpacks to more than {_MOST} bytes")
