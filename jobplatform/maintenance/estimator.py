"""How long jobs take, learned while they run: estimates by job type and key, how true they were, and their model."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jobplatform.decision import Seen
from jobplatform.learning.coverage import Widening
from jobplatform.learning.duration_rule import WITHIN, Estimate, estimate
from jobplatform.maintenance.current_model import of_durations
from jobplatform.maintenance.training import COMMAND, Training
from jobplatform.settings import Settings
from jobplatform.store import durations, models
from jobplatform.store.database import Database, Transaction

logger = logging.getLogger(__name__)

#: Runs of a group that are kept; a model looks at no more.
_KEPT = 40
#: No run counts as shorter, in seconds.
_SHORTEST = 1e-3
#: Runs that wait to be counted; of more, the newest.
_WAITING = 5_000
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
#: Nothing is learned from fewer runs than these, nor complained of.
_FEWEST, _FEWEST_JUDGED = 1_000, 200
#: Of the runs of a day, an interval of 80 % shall hold a share between these.
_LEAST_COVERAGE, _MOST_COVERAGE = 0.70, 0.90
#: A model that is right less often by so much than when it was trained has drifted.
_MOST_LOST = 0.10

Row = Mapping[str, Any]
Group = tuple[str, str]


class Finished(NamedTuple):
    """A run that completed, and what was foretold of it."""

    seconds: float
    job_type: str
    key: str
    p10: float | None
    p50: float | None
    p90: float | None


class Estimator:
    """Keep an estimate for each job type and key, by the rule or by a model that is better.

    :param settings: whether models are trained, and whether they decide.
    """

    name = "estimator"
    interval = 5.0

    def __init__(self, database: Database, settings: Settings, training: Training | None = None) -> None:
        self.database = database
        self.mode = settings.duration_model
        self.training = training or Training(settings, (*COMMAND, models.DURATION))
        self.current = of_durations(database)
        self._runs: deque[tuple[str, float]] = deque(maxlen=_WAITING)
        self._lock = threading.Lock()
        self._watched: datetime | None = None

    def observe(self, seen: Seen) -> None:
        """Note the runs that a batch of the journal showed."""
        if seen.runs:
            with self._lock:
                self._runs.extend(seen.runs)

    def run_once(self, now: datetime) -> Counter[str]:
        """Count what has run, estimate its groups anew, and look after the model."""
        counts = self._look_at_training(now)
        if self.mode != "off":
            counts += self.current.refresh()
        counts += self._estimate(now)
        if self._watched is None or now - self._watched >= _HOUR:
            self._watched = now
            self._watch(now, counts)
        return +counts

    def close(self) -> None:
        """End a training that still runs."""
        self.training.kill()

    def _take(self) -> dict[str, float]:
        with self._lock:
            taken = dict(self._runs)
            self._runs.clear()
        return taken

    def _estimate(self, now: datetime) -> Counter[str]:
        seconds = self._take()
        if not seconds:
            return Counter()
        with self.database.transaction() as transaction:
            found = [
                Finished(seconds[row["job_id"]], row["job_type"], row["duration_key"] or "", *_told(row))
                for row in durations.foretold(transaction, list(seconds))
            ]
            coverage = judged(found)
            durations.count_coverage(transaction, coverage, now)
            before = durations.estimates(transaction, groups_of(found))
            rows = updated(before, found, coverage, self._foretell())
            return Counter(runs=len(found), estimates=durations.write(transaction, rows))

    def _foretell(self) -> Callable[[Sequence[Sequence[Sequence[float]]]], Sequence[Estimate | None]] | None:
        """Give what foretells in the place of the rule, None when nothing does."""
        loaded = self.current.in_force()
        if self.mode != "auto" or loaded is None or loaded.state != "active":
            return None
        from jobplatform.learning.duration_lesson import estimates

        return lambda histories: estimates(loaded.model, loaded.version, histories)

    def _look_at_training(self, now: datetime) -> Counter[str]:
        problem = self.training.ended(now)
        if problem:
            logger.error("the training on durations failed: %s", problem)
        return Counter() if problem is None else Counter(failed=1) if problem else Counter(trained=1)

    def _watch(self, now: datetime, counts: Counter[str]) -> None:
        """Once an hour: prune, warn of what is not true any more, and train if a day is over."""
        with self.database.transaction() as transaction:
            counts["pruned"] += durations.prune(transaction, now) + models.prune(transaction, now, models.DURATION)
            for words in self._complaints(transaction, now):
                logger.warning("durations: %s", words)
            due = self._is_due(transaction, now)
        if due:
            self.training.start(now)
            counts["began"] += 1

    def _is_due(self, transaction: Transaction, now: datetime) -> bool:
        if self.mode == "off" or self.training.pid is not None:
            return False
        last = models.last_training(transaction, models.DURATION)
        if last is not None and now - last < _DAY:
            return False
        return int(durations.recent_coverage(transaction, now - 30 * _DAY)["runs"]) >= _FEWEST

    def _complaints(self, transaction: Transaction, now: datetime) -> list[str]:
        """Say what is not as it was foretold to be."""
        day, found = durations.recent_coverage(transaction, now - 2 * _DAY), []
        if day["judged"] < _FEWEST_JUDGED:
            return []
        held = 1.0 - (day["below"] + day["above"]) / day["judged"]
        if not _LEAST_COVERAGE <= held <= _MOST_COVERAGE:
            found.append(f"{held:.2f} of the last {day['judged']} runs were inside of intervals of 0.80")
        loaded = self.current.in_force()
        row = None if loaded is None or loaded.state != "active" else models.show(transaction, loaded.version)
        was, right = row["metrics"].get("within", 0.0) if row else 0.0, day["within"] / day["judged"]
        if right < was - _MOST_LOST:
            found.append(f"{right:.2f} of them were foretold within a fifth, {was:.2f} when the model was trained")
        return found


def _told(row: Row) -> tuple[float | None, float | None, float | None]:
    return row["p10"], row["p50"], row["p90"]


def groups_of(found: Sequence[Finished]) -> set[Group]:
    """List the groups that runs belong to: those of their types, and those of their keys."""
    return {(each.job_type, key) for each in found for key in {each.key, ""}}


def judged(found: Sequence[Finished]) -> list[dict[str, Any]]:
    """Count by job type how true forecasts were."""
    rows: dict[str, dict[str, Any]] = {}
    for each in found:
        row = rows.setdefault(each.job_type, _NOTHING | {"job_type": each.job_type})
        row["runs"] += 1
        row["seconds"] += each.seconds
        if each.p10 is None or each.p50 is None or each.p90 is None:
            continue
        row["judged"] += 1
        row["below"] += each.seconds < each.p10
        row["above"] += each.seconds > each.p90
        row["within"] += abs(each.p50 - each.seconds) <= WITHIN * each.seconds
        row["error"] += abs(each.p50 - each.seconds)
    return list(rows.values())


_NOTHING: dict[str, Any] = {"runs": 0, "judged": 0, "below": 0, "above": 0, "within": 0, "error": 0.0, "seconds": 0.0}


def updated(
    before: Mapping[Group, Row],
    found: Sequence[Finished],
    coverage: Sequence[Row],
    foretell: Callable[[Sequence[Sequence[Sequence[float]]]], Sequence[Estimate | None]] | None = None,
) -> list[dict[str, Any]]:
    """Give the estimates of the groups that runs belong to.

    :param before: what was kept of these groups.
    :param coverage: how true the forecasts of these runs were, by job type.
    :param foretell: foretells from histories in the place of the rule, None for what is left to that.
    """
    histories = {group: list(before[group]["history"]) if group in before else [] for group in groups_of(found)}
    ran: defaultdict[Group, list[float]] = defaultdict(list)
    for each in found:
        for key in {each.key, ""}:
            ran[each.job_type, key].append(each.seconds)
    for group, seconds in ran.items():
        histories[group] = [max(_SHORTEST, round(value, 4)) for value in reversed(seconds)][:_KEPT] + histories[group]
        del histories[group][_KEPT:]
    groups = sorted(histories)
    learned = foretell([_levels(group, histories) for group in groups]) if foretell else [None] * len(groups)
    widenings = {row["job_type"]: _widened(before.get((row["job_type"], "")), row) for row in coverage}
    return [
        _row(group, said or estimate(histories[group]), widenings[group[0]], before.get(group), ran[group], histories)
        for group, said in zip(groups, learned, strict=True)
    ]


def _levels(group: Group, histories: Mapping[Group, Sequence[float]]) -> list[Sequence[float]]:
    """Give the runs of a key, and those of its job type; without a key there are only these."""
    job_type, key = group
    return [histories[group] if key else [], histories[job_type, ""]]


def _widened(kept: Row | None, coverage: Row) -> Widening:
    widening = Widening(**(kept["widening"] if kept else {}))
    return widening.after(coverage["judged"], coverage["below"], coverage["above"])


def _row(
    group: Group,
    said: Estimate,
    widening: Widening,
    before: Row | None,
    ran: Sequence[float],
    histories: Mapping[Group, Sequence[float]],
) -> dict[str, Any]:
    low, high = widening.widen(said.p10, said.p50, said.p90)
    longest = max([*ran, before["longest"] if before else 0.0])
    runs = (before["runs"] if before else 0) + len(ran)
    return {
        "job_type": group[0],
        "key": group[1],
        **said._asdict(),
        "p10": low,
        "p90": high,
        "runs": runs,
        "longest": longest,
        "history": histories[group],
        "widening": asdict(widening) if not group[1] else {},
    }
