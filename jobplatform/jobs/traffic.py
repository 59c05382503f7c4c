"""How often things happened lately, by name."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import takewhile

#: Names that are kept; of more, those that were quiet for longest are forgotten.
_NAMES = 10_000


class Traffic:
    """Count events by name over the last seconds.

    :param seconds: how far back it reaches.
    """

    def __init__(self, seconds: int = 60) -> None:
        self.seconds = seconds
        self._buckets: OrderedDict[str, deque[list[float]]] = OrderedDict()

    def add(self, name: str, at: float, count: int = 1) -> None:
        """Count events.

        :param at: seconds since the epoch.
        """
        buckets = self._buckets.get(name)
        if buckets is None:
            buckets = self._buckets[name] = deque()
            if len(self._buckets) > _NAMES:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        second = float(int(at))
        if buckets and buckets[-1][0] >= second:
            buckets[-1][1] += count
        else:
            buckets.append([second, count])
        while buckets[0][0] < second - self.seconds:
            buckets.popleft()

    def count(self, name: str, now: float, seconds: float | None = None) -> int:
        """Give the number of events of the last seconds, all that are kept if not said.

        :param now: seconds since the epoch.
        """
        since = now - (self.seconds if seconds is None else seconds)
        recent = takewhile(lambda bucket: bucket[0] >= since, reversed(self._buckets.get(name, ())))
        return int(sum(count for _, count in recent))

    def forget(self, name: str) -> None:
        """Begin to count from nothing."""
        self._buckets.pop(name, None)
