"""What came of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Taught(NamedTuple):
    """A model that was written down.

    :param state: on trial, in force, or retired at once; and why.
    :param metrics: how it did on what it had not seen, by name.
    """

    version: int
    state: str
    reason: str
    metrics: Mapping[str, Any]
