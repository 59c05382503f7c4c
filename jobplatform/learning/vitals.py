"""The samples of workers, laid out as measurements at equal steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jobplatform.learning.decay import Cube
from jobplatform.learning.scores import Floats

#: Seconds between two steps.
STEP = 30.0
#: What is looked at of a worker; the last two are counted since its start, and become what they rise by in a second.
KINDS = ("cpu", "rss", "tree_rss", "open_files", "active", "waiting", "loop_wait", "jitter", "finished", "failed")
_COUNTED = 2

Row = Mapping[str, Any]


class Layout(NamedTuple):
    """Measurements by step, worker and kind.

    :param begin: the time of the first step, in seconds since the epoch.
    """

    cube: Cube
    workers: tuple[str, ...]
    begin: float

    def times(self) -> Floats:
        """Give the time of each step."""
        return np.asarray(self.begin + STEP * np.arange(len(self.cube.values)), dtype=np.float64)


def lay_out(rows: Mapping[str, Sequence[Row]], begin: float, end: float) -> Layout:
    """Lay out the samples of workers from one time to another; where several fall on a step, the last one counts.

    :param rows: by worker, oldest first, each with ``at`` in seconds since the epoch and ``KINDS``.
    """
    steps = max(1, int((end - begin) // STEP) + 1)
    workers = tuple(sorted(rows))
    values = np.full((steps, len(workers), len(KINDS)), np.nan)
    for who, name in enumerate(workers):
        table = np.array([[row["at"], *(row[kind] for kind in KINDS)] for row in rows[name]], dtype=np.float64)
        table = table.reshape(-1, 1 + len(KINDS))
        table[:, -_COUNTED:] = _rates(table[:, 0], table[:, -_COUNTED:])
        places = ((table[:, 0] - begin) // STEP).astype(np.int64)
        inside = (places >= 0) & (places < steps)
        values[places[inside], who] = table[inside, 1:]
    return Layout(Cube(values), workers, begin)


def _rates(times: Floats, counts: Floats) -> Floats:
    rates = np.full(counts.shape, np.nan)
    if len(times) > 1:
        rates[1:] = np.maximum(0.0, np.diff(counts, axis=0)) / np.maximum(1e-3, np.diff(times))[:, None]
    return rates
