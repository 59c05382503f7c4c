"""A model as bytes: a JSON document with its version and its boosters, checked by a hash that is kept beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import xgboost

from jobplatform.errors import ModelRefused


def write(version: int, values: Mapping[str, Any]) -> bytes:
    """Write a document; the same values give the same bytes.

    :param version: of its layout.
    """
    return json.dumps({"version": version, **values}, sort_keys=True, separators=(",", ":")).encode()


def read(data: bytes, sha256: str, version: int) -> dict[str, Any]:
    """Read what ``write`` wrote, without its version.

    :param sha256: the hash that was kept beside it, in hexadecimal.
    :raises ModelRefused: it is not what was written, or of another version.
    """
    found = hash_of(data)
    if found != sha256:
        raise ModelRefused(f"artifact: its SHA-256 is {found}, not {sha256}; it was changed: train a new model")
    document: dict[str, Any] = json.loads(data)
    its = document.pop("version", None)
    if its != version:
        raise ModelRefused(f"artifact: it has version {its!r}, this code reads {version}; train a new model")
    return document


def hash_of(data: bytes) -> str:
    """Give the hash that is kept beside an artifact."""
    return hashlib.sha256(data).hexdigest()


def text_of(booster: xgboost.Booster, form: str = "json") -> str:
    """Give a booster as a text that JSON can hold.

    :param form: ``ubj`` is a third as long.
    """
    return base64.b64encode(booster.save_raw(form)).decode()


def booster_of(text: str, threads: int = 2) -> xgboost.Booster:
    """Read what ``text_of`` gave.

    :param threads: that it may use.
    """
    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(bytearray(base64.b64decode(text)))
    return booster
