"""How often things happened lately, by name."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

#: Names that are kept; of more, those that were quiet for longest are forgotten.
_NAMES = 10_000


@dataclass(slots=True)
class _Buckets:
    """Events by second, the oldest first, and how many they are."""

    seconds: deque[tuple[int, int]] = field(default_factory=deque)
    total: int = 0

    def add(self, second: int, count: int) -> None:
        if self.seconds and self.seconds[-1][0] >= second:
            last, before = self.seconds.pop()
            self.seconds.append((last, before + count))
        else:
            self.seconds.append((second, count))
        self.total += count

    def drop(self, since: float) -> None:
        while self.seconds and self.seconds[0][0] < since:
            self.total -= self.seconds.popleft()[1]

    def since(self, since: float) -> int:
        found = 0
        for second, count in reversed(self.seconds):
            if second < since:
                break
            found += count
        return found


class Traffic:
    """Count events by name over the last seconds.

    :param seconds: how far back it reaches.
    """

    def __init__(self, seconds: int = 60) -> None:
        self.seconds = seconds
        self._names: OrderedDict[str, _Buckets] = OrderedDict()

    def add(self, name: str, at: float, count: int = 1) -> None:
        """Count events.

        :param at: seconds since the epoch.
        """
        buckets = self._names.get(name)
        if buckets is None:
            buckets = self._names[name] = _Buckets()
            if len(self._names) > _NAMES:
                self._names.popitem(last=False)
        self._names.move_to_end(name)
        buckets.add(int(at), count)
        buckets.drop(int(at) - self.seconds)

    def count(self, name: str, now: float, seconds: float | None = None) -> int:
        """Give the number of events of the last seconds, all that are kept if not said.

        :param now: seconds since the epoch; what is too old then is forgotten.
        """
        buckets = self._names.get(name)
        if buckets is None:
            return 0
        buckets.drop(now - self.seconds)
        return buckets.total if seconds is None else buckets.since(now - seconds)

    def forget(self, name: str) -> None:
        """Begin to count from nothing."""
        self._names.pop(name, None)
