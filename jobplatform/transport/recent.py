"""The commits of the last seconds, which a Redis that restarts may have lost."""

from __future__ import annotations

import marshal
from collections import deque
from typing import Any

from jobplatform.transport.news import without_leases

#: A Redis that syncs its append-only file every second loses the writes of up to two when it is killed.
_LOSABLE_SECONDS = 2.5


class Recent:
    """Keep the news of commits for as long as it may get lost, and those that are to be written again."""

    def __init__(self) -> None:
        # As bytes, which takes half of the memory.
        self._written: deque[tuple[float, bytes]] = deque()
        self._again: deque[bytes] = deque()

    def __len__(self) -> int:
        """Count what is to be written again."""
        return len(self._again)

    def keep(self, now: float, news: list[Any]) -> None:
        """Keep the news of a commit that was applied, and let go of what is surely durable.

        :param now: monotonic seconds.
        """
        self._written.append((now, marshal.dumps(without_leases(news))))
        while self._written[0][0] < now - _LOSABLE_SECONDS:
            self._written.popleft()

    def repeat(self) -> int:
        """Let all that is kept be written again; returns how many commits that are."""
        self._again.extend(packed for _, packed in self._written)
        self._written.clear()
        return len(self._again)

    def next(self) -> list[Any] | None:
        """Give the news that is to be written again next, None when there is none."""
        return marshal.loads(self._again.popleft()) if self._again else None
