"""What this process has counted: exact, cheap, and of a bounded number of labels."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from jobplatform.decision import BOUNDS, Moved
from jobplatform.metrics import names
from jobplatform.metrics.names import Metric
from jobplatform.metrics.reading import OTHER, Reading, Spread
from jobplatform.states import FINAL, State

#: So many job types, and so many queues, are told apart: those that come first, which those that are used most do.
_MOST = 500


class Counts:
    """Count in one thread, or in several; read in any."""

    def __init__(self, most: int = _MOST) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._values: Counter[tuple[Metric, tuple[str, ...]]] = Counter()
        self._spreads: dict[tuple[Metric, tuple[str, ...]], tuple[list[int], list[float]]] = {}
        self._types: dict[str, str] = {}
        self._queues: dict[str, str] = {}

    def add(self, metric: Metric, number: float = 1, *labels: str) -> None:
        """Count something."""
        with self._lock:
            self._values[metric, labels] += number  # type: ignore[assignment]

    def add_moved(self, moved: Iterable[Moved]) -> None:
        """Count what became of jobs, and how long their attempts took and had waited."""
        with self._lock:
            for each in moved:
                self._add_moved(each)

    def _add_moved(self, each: Moved) -> None:
        labels = self._known(self._types, each.job_type), self._known(self._queues, each.queue)
        state = State(each.status)
        if state in FINAL:
            self._values[names.JOBS, (*labels, state.lower())] += each.jobs
        elif state is State.RETRYING:
            self._values[names.RETRIES, labels] += each.jobs
        for metric, part, seconds in (
            (names.RUN_SECONDS, each.run, each.run_seconds),
            (names.WAIT_SECONDS, each.wait, each.wait_seconds),
        ):
            if part is not None:
                counts, total = self._spreads.setdefault((metric, labels), ([0] * (len(BOUNDS) + 1), [0.0]))
                counts[part] += each.jobs
                total[0] += seconds

    def _known(self, known: dict[str, str], name: str) -> str:
        return known.get(name) or known.setdefault(name, name) if len(known) < self.most else known.get(name, OTHER)

    def readings(self) -> list[Reading | Spread]:
        """Give all that was counted."""
        with self._lock:
            values = [Reading(metric, value, labels) for (metric, labels), value in self._values.items()]
            spreads = [
                Spread(metric, tuple(counts), total[0], labels)
                for (metric, labels), (counts, total) in self._spreads.items()
            ]
        return [*values, *spreads]
