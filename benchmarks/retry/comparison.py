"""One policy beside others over paired seeds: differences, how sure they are, and what was aimed at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.retry.measure import Measures
from benchmarks.statistics import Interval, confidence

#: The world that is compared with fixed delays, and by how much fewer of its jobs have to fail.
MIXED, MIXED_BETTER = "mixed", 0.3
#: What latency and attempts may be beside the rule.
LATENCY, ATTEMPTS = 1.2, 0.9
#: All worlds together.
POOLED = "all"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A policy beside another in one world.

    :param failed: the difference of the failed shares of recoverable jobs, with its 95 % interval over seeds.
    :param fewer: by which part of the other's fewer jobs failed.
    :param latency, restricted, attempts, retries: ratios of means; None if there is nothing to divide by.
    :param rejections: the difference for each 1,000 jobs.
    """

    world: str
    policy: str
    other: str
    failed: Interval
    fewer: float | None
    latency: float | None
    restricted: float | None
    attempts: float | None
    retries: float | None
    rejections: Interval

    @property
    def sign(self) -> str:
        """Say which way the failed share went."""
        return "tie" if self.failed.mean == 0 else "fewer" if self.failed.mean < 0 else "MORE"


@dataclass(frozen=True, slots=True)
class Goal:
    """What was aimed at, and what was found."""

    title: str
    found: str
    met: bool


def compare(mine: Sequence[Measures], theirs: Sequence[Measures], world: str) -> Comparison:
    """Compare two policies, seed by seed; in all worlds together each world counts alike."""
    ours, others = _by_seed(mine), _by_seed(theirs)
    seeds = sorted(ours)
    failed = [_share(ours[seed]) - _share(others[seed]) for seed in seeds]
    rejections = [_rejected(ours[seed]) - _rejected(others[seed]) for seed in seeds]
    return Comparison(
        world=world,
        policy=mine[0].policy,
        other=theirs[0].policy,
        failed=confidence(failed),
        fewer=_fewer(fmean(map(_failed_share, mine)), fmean(map(_failed_share, theirs))),
        latency=_ratio(sum(each.paired_added for each in mine), sum(each.reference_added for each in mine)),
        restricted=_ratio(sum(each.restricted for each in mine), sum(each.restricted for each in theirs)),
        attempts=_ratio(_per_job(mine, lambda each: each.attempts), _per_job(theirs, lambda each: each.attempts)),
        retries=_ratio(_per_job(mine, lambda each: each.retries), _per_job(theirs, lambda each: each.retries)),
        rejections=confidence(rejections),
    )


def regret(policy: Sequence[Measures], oracle: Sequence[Measures], fixed: Sequence[Measures]) -> float | None:
    """Give (policy - oracle) / (fixed - oracle) of the failed shares; None where the oracle is no better than fixed."""
    mine, best, worst = (fmean(map(_failed_share, each)) for each in (policy, oracle, fixed))
    return (mine - best) / (worst - best) if worst > best else None


def goals(by_world: Mapping[str, Comparison], mixed: Comparison | None) -> list[Goal]:
    """Judge a policy.

    :param by_world: beside the rule, by world and all together.
    :param mixed: beside fixed delays in the mixed world.
    """
    found = [
        _in_all("failed recoverable jobs: 95 % interval below 0", by_world, lambda each: each.failed.high < 0),
        _same_sign(by_world),
        _ratio_goal("added latency of what completed under both", LATENCY, by_world, lambda each: each.latency),
        _ratio_goal("added latency, failed as late as the deadline", LATENCY, by_world, lambda each: each.restricted),
        _ratio_goal("attempts a job", ATTEMPTS, by_world, lambda each: each.attempts),
        _rejections(by_world),
    ]
    if mixed is not None:
        fewer = mixed.fewer or 0.0
        title = f"mixed world: >= {MIXED_BETTER:.0%} fewer failed than {mixed.other}"
        found.append(Goal(title, f"{fewer:.1%} fewer", fewer >= MIXED_BETTER))
    return found


def _in_all(title: str, by_world: Mapping[str, Comparison], good: Callable[[Comparison], bool]) -> Goal:
    pooled = by_world[POOLED]
    sure = [name for name, each in by_world.items() if name != POOLED and good(each)]
    low, high = pooled.failed.low, pooled.failed.high
    text = f"all worlds {pooled.failed.mean:+.3%} ({low:+.3%} to {high:+.3%}); alone in {', '.join(sure) or 'none'}"
    return Goal(title, text, good(pooled))


def _same_sign(by_world: Mapping[str, Comparison]) -> Goal:
    worse = [name for name, each in by_world.items() if each.failed.mean > 0]
    ties = [name for name, each in by_world.items() if each.failed.mean == 0]
    text = f"more in {', '.join(worse) or 'none'}; the same in {', '.join(ties) or 'none'}"
    return Goal("failed recoverable jobs: more in no world", text, not worse)


def _ratio_goal(
    title: str, bound: float, by_world: Mapping[str, Comparison], ratio: Callable[[Comparison], float | None]
) -> Goal:
    pooled = ratio(by_world[POOLED])
    over = [f"{name} {value:.2f}" for name, each in by_world.items() if (value := ratio(each) or 0.0) > bound]
    text = f"all worlds {pooled or 0.0:.2f}x; above in {', '.join(over) or 'none'}"
    return Goal(f"{title}: <= {bound:g}x", text, pooled is not None and pooled <= bound)


def _rejections(by_world: Mapping[str, Comparison]) -> Goal:
    more = [f"{name} {each.rejections.mean:+.1f}" for name, each in by_world.items() if each.rejections.mean > 0]
    text = f"all worlds {by_world[POOLED].rejections.mean:+.1f} for 1,000 jobs; more in {', '.join(more) or 'none'}"
    return Goal("overload rejections: not more", text, not more)


def _by_seed(measures: Iterable[Measures]) -> dict[int, list[Measures]]:
    found: dict[int, list[Measures]] = {}
    for each in measures:
        found.setdefault(each.seed, []).append(each)
    return found


def _failed_share(measures: Measures) -> float:
    return measures.failed_share


def _share(measures: Sequence[Measures]) -> float:
    return fmean(map(_failed_share, measures))


def _rejected(measures: Sequence[Measures]) -> float:
    return fmean(1_000 * each.rejections / each.jobs for each in measures)


def _per_job(measures: Sequence[Measures], of: Callable[[Measures], int]) -> float:
    return fmean(of(each) / each.jobs for each in measures)


def _fewer(mine: float, theirs: float) -> float | None:
    return 1.0 - mine / theirs if theirs else None


def _ratio(mine: float, theirs: float) -> float | None:
    return mine / theirs if theirs else None
