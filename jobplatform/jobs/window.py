"""How many jobs may be under way at once while others show how much the other side can do.

A window doubles while all goes well, is halved when too many fail and then grows by one a round, as the congestion
window of TCP does (RFC 5681 section 3.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

#: Jobs under way at first.
_FIRST = 2.0
#: The share of failures that halves the window, that which is too much, and how many failures that takes.
_CUT_SHARE, _STOP_SHARE, _STOP_FAILURES = 0.2, 0.5, 3
#: Ended jobs are counted over so many windows, and so many jobs in any case.
_ROUNDS, _LEAST_COUNTED = 2.0, 8.0


@dataclass(frozen=True, slots=True)
class Window:
    """Jobs that may be under way, those that are, and what became of others lately.

    :param size: jobs that may be under way; below ``threshold`` it grows by one for each that succeeds.
    :param usual: the share that fails however few are under way.
    :param draining: those under way that were let go before the window was halved; they say nothing new.
    """

    size: float = _FIRST
    threshold: float = math.inf
    under_way: int = 0
    draining: int = 0
    succeeded: float = 0.0
    failed: float = 0.0
    usual: float = 0.0

    @property
    def room(self) -> int:
        """How many more jobs may be under way."""
        return max(0, int(self.size) - self.under_way)

    @property
    def is_failing(self) -> bool:
        """Whether so many fail that no size helps."""
        most = self.usual + _STOP_SHARE
        return self.failed >= _STOP_FAILURES and self.failed > most * (self.succeeded + self.failed)

    def let_go(self, jobs: int) -> Window:
        """Count jobs that begin."""
        return replace(self, under_way=self.under_way + jobs)

    def ended(self, succeeded: int, failed: int, others: int = 0) -> Window:
        """Count jobs that ended, and grow or shrink.

        :param others: that ended as well, which says nothing.
        """
        told = replace(self, under_way=max(0, self.under_way - succeeded - failed - others))
        left = max(0, self.draining - succeeded - failed)
        if self.draining and not left:
            return replace(told, draining=0, succeeded=0.0, failed=0.0)
        well, ill = self.succeeded + succeeded, self.failed + failed
        fade = min(1.0, max(_LEAST_COUNTED, _ROUNDS * self.size) / max(well + ill, 1.0))
        counted = replace(told, draining=left, succeeded=well * fade, failed=ill * fade)
        if left:
            return counted
        if self.size <= _FIRST and well + ill >= _LEAST_COUNTED:
            # However few are under way, so many fail: for reasons of their own.
            counted = replace(counted, usual=min(_STOP_SHARE, ill / (well + ill)), threshold=math.inf)
        if failed and ill > (counted.usual + _CUT_SHARE) * (well + ill):
            half = max(1.0, self.size / 2)
            return replace(counted, size=half, threshold=half, draining=told.under_way if half > _FIRST else 0)
        # What is not used up shows nothing of how much would go well.
        is_used = 2 * self.under_way >= self.size
        growth = succeeded if self.size < counted.threshold else succeeded / self.size
        return replace(counted, size=self.size + growth) if is_used else counted

    def passed_over(self) -> Window:
        """Wait no longer for those under way: they have not failed so far."""
        return replace(self, size=self.size + self.under_way, under_way=0, draining=0)
