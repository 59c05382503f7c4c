"""Warnings of faults that nothing was learned of: a model and the best rule, with the same rights."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.failures.crashes import Run
from jobplatform.learning.decay import lasting, mean_peer_drift
from jobplatform.learning.decay_model import Lesson, alarms, threshold, train
from jobplatform.learning.scores import Floats, auc

#: A warning that comes later does not count, in seconds.
LEAST_LEAD = 300.0
#: What failing soon means where a machine is broken from the start.
_SOON = 3_600.0
_DAY = 86_400.0

#: Learns from lessons, and gives a score of features and the score from which on it warns.
Contender = Callable[[Sequence[Lesson], int], tuple[Callable[[Floats], Floats], float]]


@dataclass(slots=True)
class Tally:
    """How one contender did over all faults that were held out.

    :param leads: seconds from the first warning to the crash, of the crashes that were seen.
    :param victims: how many broken machines were warned of in time.
    :param days: for how many days machines were watched that were well.
    """

    crashes: int = 0
    broken: int = 0
    victims: int = 0
    leads: dict[str, float] = field(default_factory=dict)
    false: int = 0
    days: float = 0.0
    aucs: dict[str, float] = field(default_factory=dict)

    def as_row(self) -> dict[str, float | int | dict[str, float]]:
        """Give the figures by name."""
        leads = sorted(self.leads.values()) or [float("nan")]
        return {
            "auc": statistics.fmean(self.aucs.values()),
            "crashes": self.crashes,
            "crashes_seen": len(self.leads),
            "broken": self.broken,
            "broken_seen": self.victims,
            "false": self.false,
            "false_a_day": self.false / max(1e-9, self.days),
            "machine_days": self.days,
            "lead_min_minutes": leads[0] / 60,
            "lead_median_minutes": statistics.median(leads) / 60,
            "lead_max_minutes": leads[-1] / 60,
            "auc_by_fault": self.aucs,
            "leads": self.leads,
        }


def model(lessons: Sequence[Lesson], seed: int) -> tuple[Callable[[Floats], Floats], float]:
    """Learn as the product does."""
    learned = train(lessons, _SOON, seed).model
    return learned.chances, learned.alarm


def rule(lessons: Sequence[Lesson], seed: int) -> tuple[Callable[[Floats], Floats], float]:
    """Take mean peer drift, which needs no learning but for when to warn."""
    return mean_peer_drift, threshold([(lesson, mean_peer_drift(lesson.found)) for lesson in lessons])


def without_each_fault(runs: Sequence[Run], lessons: Sequence[Lesson], contender: Contender, seed: int) -> Tally:
    """Hold the runs of each fault out in turn, learn from the others, and warn of them."""
    tally = Tally()
    for fault in sorted({run.fault for run in runs}):
        known = [lesson for run, lesson in zip(runs, lessons, strict=True) if run.fault != fault]
        score, alarm = contender(known, seed)
        said, came = [], []
        for run, lesson in zip(runs, lessons, strict=True):
            if run.fault == fault:
                scores = score(lesson.found)
                _count(tally, run, lesson, scores, alarm)
                judged = np.isfinite(scores) & ~np.isnan(lesson.fails)
                said.append(scores[judged])
                came.append(lesson.fails[judged])
        tally.aucs[fault] = auc(np.concatenate(came), np.concatenate(said))
    return tally


def _count(tally: Tally, run: Run, lesson: Lesson, scores: Floats, alarm: float) -> None:
    raised = alarms(lasting(scores), alarm, run.step)
    end = len(scores) * run.step
    leads = {who: end - step * run.step for step, who in reversed(raised) if who in run.broken}
    in_time = {who: lead for who, lead in leads.items() if lead >= LEAST_LEAD}
    tally.crashes += 1
    tally.broken += len(run.broken)
    tally.victims += len(in_time)
    if in_time:
        tally.leads[run.name] = max(in_time.values())
    tally.false += sum(who not in run.broken for _, who in raised)
    tally.days += lesson.days
