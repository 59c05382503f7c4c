"""What one commit tells Redis: the values, and how the commit script reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from jobplatform.transport import keys

#: The most endings that one commit carries; Lua unpacks twice as many values at once.
MOST = 400


class Ending(NamedTuple):
    """How a leased message ended: what to journal, and the result to keep fresh."""

    tag: str
    entry: str = ""
    result_key: str = ""
    result: str = ""


class Lease(NamedTuple):
    """What is held under a lease: the message, and the list that it came from."""

    queue_list: str
    message: bytes

    def text(self) -> bytes:
        """Write the lease as Redis keeps it."""
        return b'[%b,"","%b"]' % (self.message, keys.queue_of(self.queue_list).encode())


def news_of(
    result_seconds: int,
    plain: Sequence[str],
    restored: Sequence[tuple[str, bytes, str]],
    started: Sequence[tuple[str, str]],
    returned: Collection[tuple[str, str]],
    ended: Iterable[Ending],
) -> list[Any]:
    """Give the arguments of the commit script that follow the number of the commit.

    :param result_seconds: how long results stay fresh.
    :param plain: journal entries.
    :param restored: tag, lease and entry of the start of each lease that Redis forgot.
    :param started: tag and entry of what began.
    :param returned: tag and queue list of what goes back.
    """
    return [
        result_seconds, keys.TAKEN, keys.FENCE_SECONDS, len(plain), *plain, len(restored), *_parts(restored),
        len(started), *_parts(started), len(returned), *_parts(returned), *_parts(ended),
    ]  # fmt: skip


def without_leases(news: list[Any]) -> list[Any]:
    """Leave out leases that were told again: should they be lost once more, the next beat tells of those still held."""
    place = 4 + news[3]
    return [*news[:place], 0, *news[place + 1 + 3 * news[place] :]]


def _parts(groups: Iterable[Iterable[Any]]) -> list[Any]:
    return [part for group in groups for part in group]
