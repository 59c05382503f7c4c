"""What can be told of a queue at each step, from that step and earlier ones alone; and what is to be foretold.

What has a size is told in jobs that run at once, beside how many there are, and divided by the root of these: so what
was learned in quiet days still says something of busy ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from jobplatform.learning.load import Sample
from jobplatform.learning.scores import Floats
from jobplatform.learning.trail import Steps, Trail
from jobplatform.settings import Settings

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
#: Over so many seconds arrivals and ends are counted.
_WINDOWS = tuple(_MINUTE * each for each in (1, 2, 3, 5, 8, 15, 30, 60, 120))
#: How many there were so many seconds ago, and the most and the least since then.
_BACK = tuple(_MINUTE * each for each in (1, 3, 5, 10, 30, 60))
#: The most arrivals of a step in so many seconds.
_BURSTS = (5 * _MINUTE, 30 * _MINUTE, _HOUR)
#: What followed the moment so many seconds ago may follow now.
_PERIODS = (15 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, _DAY)
#: For so long jobs are counted to tell how long they run.
_SERVICE = _DAY
#: What is needed is looked at for so long after a start, in start-up times, and at least until the next decision.
LASTING = 2.0 / 3.0
#: Rows whose past is laid out at once, as it takes memory.
_AT_ONCE = 8_192


class Ahead(NamedTuple):
    """Which time is foretold.

    :param start: seconds until a worker that is asked for now is up.
    :param interval: seconds until the next decision.
    :param horizon: seconds for which a worker that is let go must not be needed, if that is longer.

    A worker is asked for if it is needed within ``LASTING`` start-up times of its start: so little later it would have
    to be asked for anyway, and who looks at a longer time sees a rise earlier.
    """

    start: float
    interval: float
    horizon: float = 0.0


def ahead_of(settings: Settings) -> Ahead:
    """Give the time ahead that the settings ask for."""
    return Ahead(settings.worker_start_seconds, settings.scale_seconds, settings.scale_horizon_seconds)


class View:
    """Features and targets of a trail for one look ahead."""

    def __init__(self, ahead: Ahead, step: float) -> None:
        self.ahead = ahead
        self.step = step
        self.first = math.ceil(ahead.start / step)
        self.last = self.first + math.ceil(max(ahead.interval, LASTING * ahead.start) / step)
        self.reach = max(self.last, math.ceil(ahead.horizon / step))

    def _steps(self, seconds: float) -> int:
        return max(1, round(seconds / self.step))

    def level(self, trail: Trail, rows: Steps) -> Floats:
        """Give how many jobs run or wait at each row."""
        return trail.present[rows]

    def scale(self, trail: Trail, rows: Steps) -> Floats:
        """Give by how much their number varies by chance."""
        found = trail.sums(rows, self._steps(_HOUR))
        return np.sqrt(4.0 + np.maximum(trail.present[rows], found[:, 2] / found[:, 3]))

    def table(self, trail: Trail, rows: Steps) -> Floats:
        """Give the features of some rows as a table, its columns in the order of ``names``."""
        parts = [rows[begin : begin + _AT_ONCE] for begin in range(0, len(rows), _AT_ONCE)] or [rows]
        return np.concatenate([np.column_stack(list(self.features(trail, part).values())) for part in parts])

    def names(self) -> tuple[str, ...]:
        """Name the features."""
        nothing = Trail(self.step)
        nothing.append(Sample(0.0, self.step, 0, 0, 0, 0, 0))
        return tuple(self.features(nothing, np.arange(1)))

    def features(self, trail: Trail, rows: Steps) -> dict[str, Floats]:
        """Give the features of some rows by name."""
        level, scale = self.level(trail, rows), self.scale(trail, rows)
        service = trail.service(rows, _SERVICE) / self.step
        found: dict[str, Floats] = {"scale": scale, "service": service, "depth": trail.depth[rows] / scale}
        found |= {"coming": trail.coming[rows] / scale, "leaving": trail.leaving[rows] / scale}
        for seconds in _WINDOWS:
            sums = trail.sums(rows, self._steps(seconds))
            found[f"arrived_{seconds:.0f}"] = (sums[:, 0] / sums[:, 3] * service - level) / scale
            found[f"finished_{seconds:.0f}"] = (sums[:, 1] - sums[:, 0]) / scale
        for seconds in _BACK:
            back = _window(trail.present, rows, self._steps(seconds) + 1)
            found[f"since_{seconds:.0f}"] = (level - back[:, -1]) / scale
            found[f"most_{seconds:.0f}"] = (back.max(axis=1) - level) / scale
            found[f"least_{seconds:.0f}"] = (back.min(axis=1) - level) / scale
        for seconds in _BURSTS:
            found[f"burst_{seconds:.0f}"] = _window(trail.arrived, rows, self._steps(seconds)).max(axis=1) / scale
        for seconds in _PERIODS:
            found[f"after_{seconds:.0f}"] = self._after(trail, rows, self._steps(seconds)) / scale
        return {**found, **_clock(trail.times[rows])}

    def _after(self, trail: Trail, rows: Steps, ago: int) -> Floats:
        """Give by how much the most that followed some time ago was more than there was then."""
        then = rows - ago
        columns = np.clip(then[:, None] + np.arange(self.first, self.last + 1), 0, None)
        # A short period may not be over yet.
        columns = np.minimum(columns, rows[:, None])
        rise = trail.present[columns].max(axis=1) - trail.present[np.maximum(then, 0)]
        return np.where(then >= 0, rise, np.nan)

    def targets(self, trail: Trail, rows: Steps) -> tuple[Floats, Floats]:
        """Give the most jobs at once for some time after what is asked for now is up, and from now on until then.

        :param rows: such as are followed by ``reach`` steps more.
        """
        later = _window(trail.present, rows + self.last, self.last - self.first + 1).max(axis=1)
        kept = _window(trail.present, rows + self.reach, self.reach).max(axis=1)
        return later, kept


def _window(series: Floats, rows: Steps, steps: int) -> Floats:
    """Lay out the last steps until each row, the latest first."""
    return np.asarray(series[np.maximum(rows[:, None] - np.arange(steps), 0)])


def _clock(times: Floats) -> dict[str, Floats]:
    hour = times % _DAY / _DAY * 2.0 * np.pi
    return {
        "hour_sin": np.sin(hour),
        "hour_cos": np.cos(hour),
        "weekday": (times // _DAY) % 7.0,
        "minute": times % _HOUR / _MINUTE,
        "minute_of_five": times % 300.0,
    }
