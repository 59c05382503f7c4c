"""Packed bodies are measured before they are unpacked."""

from __future__ import annotations

import bz2
import lzma
import zlib

import pytest

from jobplatform.transport.packed import _MOST, check_unpacked

PACK = {"gzip": zlib.compress, "application/x-bz2": bz2.compress, "xz": lambda raw: lzma.compress(raw, preset=0)}


@pytest.mark.parametrize("kind", PACK)
def test_a_body_that_grows_too_large_is_refused(kind: str) -> None:
    check_unpacked(PACK[kind](bytes(1_000)), kind)
    with pytest.raises(ValueError, match="more than"):
        check_unpacked(PACK[kind](bytes(_MOST + 1)), kind)


@pytest.mark.parametrize("kind", [*PACK, "unknown"])
def test_what_cannot_be_unpacked_is_left_to_kombu(kind: str) -> None:
    check_unpacked(b"garbage", kind)
    check_unpacked(b"", kind)
