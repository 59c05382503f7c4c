"""What the health model in force says of the workers that live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobplatform.workers.sample import Sample
from jobplatform.workers.verdict import Foretold
from jobplatform.workers.watch import Watched

#: Seconds between two looks, as between two samples.
_STEP = 30.0
#: The model looks back so far.
_BACK_SECONDS = 7_200.0

#: Gives the version of the model in force, the model, and whether it may decide; None when there is none.
Current = Callable[[], tuple[int, Any, bool] | None]


class Foreteller:
    """Ask the model in force twice a minute, and give its answers in between.

    :param current: gives the model in force.
    """

    def __init__(self, current: Current) -> None:
        self.current = current
        self._asked_at = float("-inf")
        self._version: int | None = None
        self._answers: Mapping[str, Foretold] = {}

    def __call__(self, watched: Mapping[str, Watched], now: float) -> Mapping[str, Foretold]:
        """Give, by node, what the model says; nothing while there is no model.

        :param now: seconds since the epoch, by the clock of the samples.
        """
        found = self.current()
        if found is None or not watched:
            self._version = None
            return {}
        version, model, counts = found
        if version != self._version or now - self._asked_at >= _STEP:
            self._version, self._asked_at = version, now
            self._answers = _ask(version, model, counts, watched, now)
        return self._answers


def _ask(version: int, model: Any, counts: bool, watched: Mapping[str, Watched], now: float) -> dict[str, Foretold]:
    # Only a controller that has a model needs what runs it.
    from jobplatform.learning.decay import LASTING, features, lasting
    from jobplatform.learning.vitals import lay_out

    layout = lay_out({node: rows_of(each.samples) for node, each in watched.items()}, now - _BACK_SECONDS, now)
    found = features(layout.cube, LASTING)
    lasted = lasting(model.chances(found))[-1]
    return {
        node: Foretold(version, float(chance), model.alarm, model.seconds, counts)
        for node, chance in zip(layout.workers, lasted, strict=True)
        if chance >= 0.0
    }


def rows_of(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Thin samples out to those that are a step apart, as they stand in rows."""
    rows: list[dict[str, Any]] = []
    before: Sample | None = None
    worst: float | None = None
    for sample in samples:
        if sample.loop_wait is not None:
            worst = sample.loop_wait if worst is None else max(worst, sample.loop_wait)
        if before is not None and sample.at - before.at < 0.9 * _STEP:
            continue
        rows.append(
            {
                "at": sample.at,
                "cpu": None if before is None else sample.busy(before),
                "rss": sample.main_rss,
                "tree_rss": sample.tree_rss,
                "open_files": sample.open_files,
                "active": sample.active,
                "waiting": sample.waiting,
                "loop_wait": worst,
                "jitter": sample.jitter,
                "finished": sample.finished,
                "failed": sample.failed,
            }
        )
        before, worst = sample, None
    return rows
