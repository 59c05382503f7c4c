"""What was found: tables for people, and everything for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.report import aligned, machine
from benchmarks.retry.comparison import MIXED, POOLED, Comparison, Goal, compare, goals, regret
from benchmarks.retry.measure import REFERENCE, Measures
from benchmarks.retry.ranges import EVALUATION, TRAINING
from benchmarks.retry.world import CAP, DEADLINE

#: The policy that is judged, that with which it is compared in the mixed world, and the best one.
JUDGED, FIXED, ORACLE = "product", "fixed", "oracle"
DEFINITIONS = (
    f"Every policy may make {CAP} attempts of a job, the last of which begins within {DEADLINE:.0f} s of its arrival.",
    "Recoverable: the error is not permanent, the dependency is up at some moment between arrival and deadline, and",
    "one of the attempts that the job may have is lucky; the oracle's reach where policies do not meet each other.",
    "Latency: mean seconds added to recoverable jobs that completed under both policies; to 900 s: to all of them,",
    "what failed counted as late as its deadline (restricted mean survival time). Intervals: 95 %, Student's t",
    "over seeds. Regret: (policy - oracle) / (fixed - oracle); no bound where calls are limited or overloaded.",
)


def table(measures: Sequence[Measures]) -> str:
    """Write the figures of each policy in each world, and the judged one's beside the rule."""
    parts = ["\n".join(DEFINITIONS), aligned([*_figures(measures)])]
    compared = compare_all(measures)
    if compared:
        parts.append(aligned([*_differences(compared)]))
    parts += [f"{policy}:\n{_goals(found)}" for policy, found in judge_all(measures).items()]
    return "\n\n".join(parts)


def as_json(
    measures: Sequence[Measures], training: Mapping[str, Any] | None, options: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """Give everything as one object."""
    return {
        "definitions": " ".join(DEFINITIONS),
        "options": dict(options),
        "ranges": {"training": TRAINING.as_row(), "evaluation": EVALUATION.as_row()},
        "training": training,
        "goals": {policy: [vars_of(goal) for goal in found] for policy, found in judge_all(measures).items()},
        "comparisons": [vars_of(each) for each in compare_all(measures)],
        "regret": [
            {"world": world, "policy": policy, "regret": _regret(measures, world, policy)}
            for world in _worlds(measures)
            for policy in _policies(measures)
        ],
        "measures": [each.as_row() for each in measures],
        "seconds": round(seconds, 1),
        "machine": machine(),
    }


def vars_of(value: Any) -> dict[str, Any]:
    """Give the fields of a value, intervals by name."""
    found = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return {name: each._asdict() if hasattr(each, "_asdict") else each for name, each in found.items()}


def compare_all(measures: Sequence[Measures]) -> list[Comparison]:
    """Compare every policy with the rule, world by world and in all together."""
    if REFERENCE not in _policies(measures):
        return []
    others = [policy for policy in _policies(measures) if policy != REFERENCE]
    return [
        compare(_of(measures, world, policy), _of(measures, world, REFERENCE), world)
        for policy in others
        for world in (*_worlds(measures), POOLED)
    ]


def judge_all(measures: Sequence[Measures]) -> dict[str, list[Goal]]:
    """Judge the product's policy, if it was there with the rule."""
    mine = {each.world: each for each in compare_all(measures) if each.policy == JUDGED}
    if not mine:
        return {}
    mixed = None
    if MIXED in mine and FIXED in _policies(measures):
        mixed = compare(_of(measures, MIXED, JUDGED), _of(measures, MIXED, FIXED), MIXED)
    return {JUDGED: goals(mine, mixed)}


def _figures(measures: Sequence[Measures]) -> list[list[str]]:
    rows = [["world", "policy", "failed", "attempts", "on doomed", "added s", "p95 s", "rejected", "429", "regret"]]
    for world in _worlds(measures):
        for policy in _policies(measures):
            found = _of(measures, world, policy)
            rows.append([world, policy, *_row(found), _text(_regret(measures, world, policy))])
    return rows


def _row(found: Sequence[Measures]) -> list[str]:
    doomed = sum(each.doomed for each in found)
    return [
        f"{fmean(each.failed_share for each in found):.3%}",
        f"{fmean(each.attempts / each.jobs for each in found):.3f}",
        f"{sum(each.doomed_attempts for each in found) / doomed:.2f}" if doomed else "-",
        f"{fmean(each.added for each in found):.1f}",
        f"{fmean(each.added_p95 for each in found):.0f}",
        f"{fmean(each.rejections for each in found):.0f}",
        f"{fmean(each.limited for each in found):.0f}",
    ]


def _differences(compared: Sequence[Comparison]) -> list[list[str]]:
    rows = [
        [
            "beside static",
            "world",
            "failed",
            "from",
            "to",
            "sign",
            "fewer",
            "latency",
            "to 900 s",
            "attempts",
            "retries",
        ]
    ]
    for each in compared:
        failed = [f"{value:+.3%}" for value in each.failed]
        ratios = [_text(value) for value in (each.fewer, each.latency, each.restricted, each.attempts, each.retries)]
        rows.append([each.policy, each.world, *failed, each.sign, *ratios])
    return rows


def _goals(found: Sequence[Goal]) -> str:
    return aligned([["ok" if goal.met else "not ok", goal.title, goal.found] for goal in found])


def _regret(measures: Sequence[Measures], world: str, policy: str) -> float | None:
    if not {FIXED, ORACLE} <= set(_policies(measures)):
        return None
    return regret(*(_of(measures, world, each) for each in (policy, ORACLE, FIXED)))


def _of(measures: Sequence[Measures], world: str, policy: str) -> list[Measures]:
    return [each for each in measures if each.policy == policy and world in (each.world, POOLED)]


def _worlds(measures: Sequence[Measures]) -> list[str]:
    return list(dict.fromkeys(each.world for each in measures))


def _policies(measures: Sequence[Measures]) -> list[str]:
    return list(dict.fromkeys(each.policy for each in measures))


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
