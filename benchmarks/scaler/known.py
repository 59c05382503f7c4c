"""What a team would have told the platform, or the platform have learned, by the times of a trace.

Google's trace names neither schedules nor expected lengths. Both are taken from what each job's logical name has done
before: it is taken for scheduled at the median of its last gaps after it came last, and to run as long as the median
of its last runs that had ended by then.
"""

from __future__ import annotations

import bisect
from collections import deque
from typing import Any

import numpy as np

from jobplatform.learning.scores import Floats

_GAPS, _RUNS = 5, 3
#: A name that is new is taken to run for as long as all did in the median lately.
_LATELY = 2_000
_NEVER = float("inf")


def foretold(came: Floats, seconds: Floats, names: Any) -> Floats:
    """Tell how long each job was foretold to run when it came."""
    ended: dict[Any, list[tuple[float, float]]] = {}
    everything: deque[float] = deque(maxlen=_LATELY)
    pending = sorted(zip((came + seconds).tolist(), seconds.tolist(), strict=True))
    found, place, usual = np.zeros(len(came)), 0, 120.0
    for number, (at, ran, name) in enumerate(zip(came.tolist(), seconds.tolist(), names.tolist(), strict=True)):
        while place < len(pending) and pending[place][0] <= at:
            everything.append(pending[place][1])
            place += 1
        if number % 500 == 0 and everything:
            usual = float(np.median(everything))
        runs = ended.setdefault(name, [])
        until = bisect.bisect_right(runs, (at, _NEVER))
        known = sorted(each for _, each in runs[max(0, until - _RUNS) : until])
        found[number] = known[len(known) // 2] if known else usual
        bisect.insort(runs, (at + ran, ran))
    return found


def expected(came: Floats, names: Any) -> tuple[Floats, Floats, Floats]:
    """Tell when each name was to come again, as it was known from one of its jobs until its next.

    :returns: from when on it was expected, when it was to come, and when that was over; of names with enough gaps.
    """
    order = np.lexsort((came, names))
    at, who = came[order], names[order]
    same = np.append(who[1:] == who[:-1], False)
    following = np.where(same, np.append(at[1:], _NEVER), _NEVER)
    gaps = np.where(np.append(False, who[1:] == who[:-1]), np.diff(at, prepend=at[0]), np.nan)
    table, owner = (_shifted(series, fill) for series, fill in ((gaps, np.nan), (who, -1)))
    table = np.where(owner == who[:, None], table, np.nan)
    enough = np.isfinite(table).sum(axis=1) >= 3
    due = at[enough] + np.nanmedian(table[enough], axis=1)
    return at[enough], due, following[enough]


def _shifted(series: Any, fill: float) -> Any:
    """Lay out what each had and what those before it had, a column each."""
    return np.column_stack(
        [np.concatenate([np.full(back, fill), series[: len(series) - back]]) for back in range(_GAPS)]
    )


def covered(edges: Floats, since: Floats, until: Floats) -> Floats:
    """Count at each edge the spans that hold it."""
    real = until > since
    change = np.zeros(len(edges) + 1)
    np.add.at(change, np.searchsorted(edges, since[real]), 1.0)
    np.add.at(change, np.searchsorted(edges, until[real]), -1.0)
    return np.asarray(np.cumsum(change)[:-1])
