"""Leases of silent workers, taken away."""

from __future__ import annotations

from typing import Any, NamedTuple

from jobplatform.transport import keys
from jobplatform.transport.scripts import RESCUE


class Rescued(NamedTuple):
    """What was taken from silent workers: jobs that had started, and messages that had not; and foreign leases."""

    lost: int
    returned: int
    foreign: list[str]


def rescue(client: Any, stale_seconds: float, limit: int, watched: float) -> Rescued:
    """Take leases away from workers that have not renewed them for some time.

    :param watched: the longest pause between two calls, in seconds, over which stale leases are believed to be stale;
        0 to believe at once.
    """
    return _take(client, stale_seconds, limit, watched, "", "")


def evict(client: Any, node: str, what: str, limit: int) -> Rescued:
    """Take the leases of one worker away, whether it beats or not; its jobs begin again elsewhere at no cost to them.

    :param what: became of the worker, as in "was replaced".
    """
    return _take(client, 0.0, limit, 0.0, node, what)


def _take(client: Any, stale_seconds: float, limit: int, watched: float, node: str, what: str) -> Rescued:
    names = [keys.LEASES, keys.LEASE_TIMES, keys.JOURNAL, keys.STARTS, keys.WATCH, keys.WORKERS, keys.FENCES]
    args = [stale_seconds, limit, keys.SEPARATOR, keys.TAKEN, keys.TAKEN_SECONDS, watched, node, what]
    lost, returned, *tags = RESCUE.run(client, names, args)
    return Rescued(lost, returned, [tag.decode() if isinstance(tag, bytes) else tag for tag in tags])
