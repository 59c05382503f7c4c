"""How jobs ended that had failed, by what they had failed of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from jobplatform.controller.case import LEVELS

#: Ends that a group must have shown before anything is said of it, and groups that are kept.
_LEAST, _GROUPS = 20, 20_000
#: Of what a group has shown, this share of the weight is kept with each further end.
_KEPT = 0.98


class Ends:
    """Count which jobs succeeded at last, and which ran out of retries or of time; what was given up says nothing."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[str, str], tuple[int, float, float]] = OrderedDict()

    def note(self, groups: Mapping[str, str | None], succeeded: bool) -> None:
        """Count the end of a job.

        :param groups: what it had failed of, by level.
        """
        for level, group in groups.items():
            if group is not None:
                ends, well, weight = self._groups.pop((level, group), (0, 0.0, 0.0))
                self._groups[level, group] = ends + 1, well * _KEPT + succeeded, weight * _KEPT + 1.0
        while len(self._groups) > _GROUPS:
            self._groups.popitem(last=False)

    def share(self, groups: Mapping[str, str | None]) -> float | None:
        """Give the share that succeeded at last, of the most special group of which enough is known; None of none."""
        for level in LEVELS:
            ends, well, weight = self._groups.get((level, groups.get(level) or ""), (0, 0.0, 0.0))
            if ends >= _LEAST:
                return well / weight
        return None
