"""The nursery of a test process: its programs begin as forks, as imports are most of the work of a short test."""

from __future__ import annotations

from functools import cache

from jobplatform.workers.nursery import Nursery


@cache
def nursery() -> Nursery:
    """Give the nursery of this test process, which ends with it."""
    return Nursery()
