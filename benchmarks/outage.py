"""One dependency under 50 job types is away for half an hour: backoff alone, and the product's policy.

``python -m benchmarks.outage`` prints the figures and writes ``build/outage.json``. Jobs of other types run in the same
workers; what the outage does to them is told by a run without it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from numpy.random import default_rng

from benchmarks.report import aligned, machine, write_json
from benchmarks.retry.calendar import ALWAYS_UP, Calendar, Span
from benchmarks.retry.contenders import Contender, Static
from benchmarks.retry.measure import added
from benchmarks.retry.product import product
from benchmarks.retry.run import Progress, Run
from benchmarks.retry.simulation import simulate
from benchmarks.retry.world import Capacity, Dependency, Job, JobType, World
from benchmarks.retry.worlds import draw_luck, job_id
from benchmarks.statistics import percentile

HOST = "payments.local"
TYPES, OTHERS = 50, 10
_HORIZON, _AWAY, _BACK = 5400.0, 1200.0, 3000.0
#: Jobs a second of both kinds, calls a second that the dependency can serve, attempts that can run at once.
_RATE, _OTHER_RATE, _CAPACITY, _SLOTS = 2.0, 1.0, 20.0, 100
#: What was aimed at: attempts beside backoff, and seconds until all that was held is done.
FEWER, DONE_SECONDS = 0.9, 300.0
_LONG_AGO = 1e9


@dataclass(frozen=True, slots=True)
class Found:
    """What an outage came to; times are in seconds.

    :param attempts: in vain, while the dependency was away.
    :param dead: jobs of the dependency that were given up.
    :param done: from the recovery until the last job has ended that came during the outage.
    :param peak: calls in the busiest second after the recovery, beside what can be served.
    :param rejections: calls that found the dependency overloaded.
    :param other_failed: other jobs that failed.
    :param other_added: by how much other jobs took longer, on average and of the 95th percentile.
    """

    policy: str
    attempts: int
    dead: int
    done: float
    peak: float
    rejections: int
    other_failed: int
    other_added: float
    other_p95: float


def draw(seed: int, away: bool) -> World:
    """Draw the world, with the outage or without; everything else is the same."""
    luck = default_rng(seed)
    mine = [JobType(f"shop.job{number}", HOST, seconds=0.5) for number in range(TYPES)]
    others = [JobType(f"other.job{number}", None, seconds=0.5) for number in range(OTHERS)]
    arrivals = []
    for kinds, rate in ((mine, _RATE), (others, _OTHER_RATE)):
        times = luck.uniform(0.0, _HORIZON, int(luck.poisson(rate * _HORIZON)))
        arrivals += [(float(at), kinds[int(luck.integers(len(kinds)))]) for at in times]
    arrivals.sort(key=lambda pair: pair[0])
    jobs = [
        Job(number, job_id(seed, number), kind, at, kind.seconds * float(luck.lognormal(0.0, 0.4)))
        for number, (at, kind) in enumerate(arrivals)
    ]
    outages = Calendar((Span(_AWAY, _BACK),)) if away else ALWAYS_UP
    dependency = Dependency(HOST, outages, capacity=Capacity(_CAPACITY))
    return World(
        name="outage",
        seed=seed,
        horizon=_HORIZON,
        types=(*mine, *others),
        dependencies={HOST: dependency},
        jobs=jobs,
        luck=draw_luck(luck, len(jobs), 16),
        cap=10**6,
        deadline=_LONG_AGO,
        slots=_SLOTS,
    )


def find(policy: str, contender: Contender, seed: int) -> Found:
    """Let a policy face the outage, and the same world without it."""
    world, calm = draw(seed, away=True), draw(seed, away=False)
    run, other = simulate(world, contender(world)), simulate(calm, contender(calm))
    mine = [job for job in run.jobs if job.job.type.host == HOST]
    hit = [job for job in mine if _AWAY <= job.job.arrival < _BACK]
    calls = run.calls[HOST]
    late, late_p95 = _others_late(run, other)
    return Found(
        policy=policy,
        attempts=sum(count for second, count in calls.items() if _AWAY <= second < _BACK),
        dead=sum(not job.completed for job in mine),
        done=max((job.ended or 0.0) for job in hit) - _BACK,
        peak=max(count for second, count in calls.items() if second >= _BACK) / _CAPACITY,
        rejections=run.rejections - other.rejections,
        other_failed=sum(not job.completed for job in run.jobs if job.job.type.host is None),
        other_added=late,
        other_p95=late_p95,
    )


def _others_late(run: Run, calm: Run) -> tuple[float, float]:
    def late(of: Run) -> list[float]:
        return [added(job) for job in of.jobs if _is_other(job) and job.completed]

    here, there = late(run), late(calm)
    return fmean(here) - fmean(there), percentile(here, 0.95) - percentile(there, 0.95)


def _is_other(job: Progress) -> bool:
    return job.job.type.host is None


def verdict(rule: Found, mine: Found) -> Mapping[str, bool]:
    """Say which goals were met."""
    return {
        f">= {FEWER:.0%} fewer attempts than backoff alone": mine.attempts <= (1 - FEWER) * rule.attempts,
        "no dead letters from it": mine.dead == 0,
        f"all done within {DONE_SECONDS:.0f} s of the recovery": mine.done <= DONE_SECONDS,
        "no overload: never more calls than can be served": mine.rejections <= 0 and mine.peak <= 1.0,
        "other jobs unharmed": mine.other_failed == 0 and max(mine.other_added, mine.other_p95) <= 0.1,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__)
    parser.add_argument("--data", type=Path, help="not needed: the outage is of a fixed length")
    parser.add_argument("--json", type=Path, default=Path("build/outage.json"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    contenders: dict[str, Contender] = {"static": lambda world: Static(), "product": product(None)}
    seeds = range(1, options.seeds + 1)
    found = {policy: [find(policy, make, seed) for seed in seeds] for policy, make in contenders.items()}
    pairs = zip(found["static"], found["product"], strict=True)
    verdicts = [verdict(rule, mine) for rule, mine in pairs]
    goals = {title: all(each[title] for each in verdicts) for title in verdicts[0]}
    print(_table([each for part in found.values() for each in part]))
    print("\n".join(f"{'ok' if met else 'not ok'}  {title}" for title, met in goals.items()))
    rows = {policy: [asdict(each) for each in part] for policy, part in found.items()}
    write_json(options.json, {"found": rows, "goals": goals, "machine": machine()})
    return 0


def _table(found: Sequence[Found]) -> str:
    names = list(Found.__dataclass_fields__)
    rows = [[_text(getattr(each, name)) for name in names] for each in found]
    return aligned([names, *rows])


def _text(value: float | str) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
