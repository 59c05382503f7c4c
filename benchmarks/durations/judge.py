"""How good forecasts of durations are, beside those of the rule."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobplatform.learning.coverage import Widening
from jobplatform.learning.duration import Forecasts, train
from jobplatform.learning.duration_candidates import history_mode, right
from jobplatform.learning.duration_past import Ledger, Runs
from jobplatform.learning.scores import Floats

#: Models that are trained one after the other for the test part of a trace.
TRAININGS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """How forecasts of later runs did.

    :param rule: the share that the history mode has within a fifth, as has the model in ``model``.
    :param last: the same of the newest run, of the same groups.
    :param surest: the share of the half that the model is surest of.
    :param rule_error: the mean absolute error in seconds.
    :param coverage: the share that the interval of 80 % holds; ``plain`` before it follows what comes.
    :param calibration: how far the foretold chances are off.
    :param known: the share of jobs whose group had runs enough for the model.
    """

    taught: int
    tested: int
    rule: float
    last: float
    model: float
    surest: float
    rule_error: float
    model_error: float
    coverage: float
    plain: float
    above: float
    width: float
    calibration: float
    known: float
    train_seconds: float
    foretell_us: float


class Outcomes(NamedTuple):
    """What was foretold of each of some runs, and what came; times in seconds, NaN where nothing was known.

    :param low: where the interval of 80 % begins that follows what comes, and ``high`` where it ends; ``plain_low`` and
        ``plain_high`` before it does.
    :param spent: the seconds of the longest training, and the microseconds of a forecast.
    """

    came: Floats
    rule: Floats
    newest: Floats
    seconds: Floats
    chances: Floats
    low: Floats
    high: Floats
    plain_low: Floats
    plain_high: Floats
    learned: NDArray[np.bool_]
    taught: int
    spent: tuple[float, float]

    def line(self) -> Line:
        """Sum it up."""
        came, hits, known = self.came, right(self.seconds, self.came), ~np.isnan(self.rule)
        surest = np.argsort(-self.chances, kind="stable")[: len(came) // 2]
        return Line(
            self.taught,
            len(came),
            float(right(self.rule, came).mean()),
            float(right(self.newest, came).mean()),
            float(hits.mean()),
            float(hits[surest].mean()),
            float(np.abs(self.rule - came)[known].mean()),
            float(np.abs(self.seconds - came)[known].mean()),
            float(((came >= self.low) & (came <= self.high)).mean()),
            float(((came >= self.plain_low) & (came <= self.plain_high)).mean()),
            float((came > self.high).mean()),
            float(np.nanmedian(np.log(self.high / self.low))),
            abs(float(self.chances.mean() - hits.mean())),
            float(self.learned.mean()),
            *self.spent,
        )


def together(parts: Sequence[Outcomes]) -> Outcomes:
    """Take the runs of several traces as one."""
    names = [name for name in Outcomes._fields if name not in ("taught", "spent")]
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    spent = max(part.spent[0] for part in parts), max(part.spent[1] for part in parts)
    return parts[0]._replace(**arrays, taught=sum(part.taught for part in parts), spent=spent)


def judge(
    runs: Runs, begins: float, ends: float, seed: int, trainings: int = TRAININGS, alone: bool = False
) -> Outcomes:
    """Teach with the runs that ended before a time, test on those that were submitted from then on, and teach again.

    :param begins: the share of the runs after which the test begins; ``ends`` is where it ends.
    :param trainings: parts of the test, before each of which a model is trained from all that had ended by then, as the
        product does every day.
    :param alone: whether only the history of the key and of the type is known, which is all that the product asks for;
        else also what each job asked for and what was submitted last.
    """
    runs = history_alone(runs) if alone else runs
    cuts = np.linspace(len(runs) * begins, len(runs) * ends, trainings + 1).astype(int)
    ledger, own = Ledger(runs[: cuts[-1]], latest=not alone), runs.groups.shape[1] - (not alone)
    parts, rules, news, taught, spent = [], [], [], 0, [0.0, 0.0]
    for first, last in itertools.pairwise(cuts.tolist()):
        lesson = runs[:first][runs.ended[:first] < runs.submitted[first]]
        taught, started = taught or len(lesson), time.perf_counter()
        model = train(lesson, seed, own, latest=not alone)
        spent[0] = max(spent[0], time.perf_counter() - started)
        started = time.perf_counter()
        for block in runs[first:last].blocks():
            past = ledger.past(block)
            parts.append(model.foretell(past))
            rules.append(history_mode(past))
            news.append(_newest(past.seconds))
        spent[1] += time.perf_counter() - started
    tests = runs[cuts[0] : cuts[-1]]
    told = Forecasts(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    figures = spent[0], spent[1] / len(tests) * 1e6
    return Outcomes(
        tests.seconds, np.concatenate(rules), np.concatenate(news), told.seconds, told.chances, *followed(tests, told),
        told.low, told.high, told.learned, taught, figures,
    )  # fmt: skip


def history_alone(runs: Runs) -> Runs:
    """Leave of what is known of each run its key and its type: the most special group, and that of its user."""
    return Runs(runs.submitted, runs.ended, runs.seconds, runs.groups[:, [0, -2]], np.full((len(runs), 0), np.nan))


def _newest(seconds: NDArray[np.float32]) -> NDArray[np.float32]:
    newest = seconds[:, :, 0]
    first = np.argmax(~np.isnan(newest), axis=1)
    return np.asarray(newest[np.arange(len(newest)), first], dtype=np.float32)


def followed(tests: Runs, told: Forecasts) -> tuple[Floats, Floats]:
    """Give the intervals as they are foretold when each follows what had ended by then."""
    widening = Widening()
    low, high = np.full(len(tests), np.nan), np.full(len(tests), np.nan)
    running: list[tuple[float, int]] = []
    for place, at in enumerate(tests.submitted.tolist()):
        while running and running[0][0] < at:
            _, ended = heapq.heappop(running)
            came = tests.seconds[ended]
            widening = widening.after(1, int(came < low[ended]), int(came > high[ended]))
        if not np.isnan(told.seconds[place]):
            low[place], high[place] = widening.widen(told.low[place], told.seconds[place], told.high[place])
            heapq.heappush(running, (float(tests.ended[place]), place))
    return low, high
