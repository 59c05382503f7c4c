"""What one policy came to in one world, beside what the same jobs came to under others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from benchmarks.retry.run import Progress, Run, attempts_of
from benchmarks.retry.world import World
from benchmarks.statistics import percentile

#: Beside whom latency is compared.
REFERENCE = "static"


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of one policy in one world of one seed.

    :param failed: recoverable jobs that failed.
    :param attempts: of all jobs; ``doomed_attempts`` of those that could not succeed.
    :param retries: attempts after the first.
    :param added: mean seconds that a recoverable job which completed took longer than its run; ``added_p95`` of those
        that failed at least once.
    :param paired_added, reference_added: the mean over recoverable jobs that completed here and under the reference.
    :param rejections: calls that a dependency without capacity left did not serve.
    :param limited: calls that a rate limit refused.
    :param seconds: that the simulation took.
    """

    world: str
    seed: int
    policy: str
    jobs: int
    recoverable: int
    failed: int
    attempts: int
    retries: int
    doomed: int
    doomed_attempts: int
    added: float
    added_p95: float
    paired_added: float
    reference_added: float
    rejections: int
    limited: int
    decisions: int
    seconds: float
    #: The mean over all recoverable jobs, of which those that failed count as late as their deadline.
    restricted: float = 0.0

    @property
    def failed_share(self) -> float:
        """The share of recoverable jobs that failed."""
        return self.failed / max(1, self.recoverable)

    def as_row(self) -> dict[str, Any]:
        """Give all figures by name."""
        return asdict(self)


def measure(world: World, policy: str, run: Run, reference: Run, seconds: float) -> Measures:
    """Sum up a run.

    :param reference: the same world under the policy with which latency is compared.
    """
    mine = [job for job in run.jobs if world.is_recoverable(job.job)]
    theirs = {job.job.number: job for job in reference.jobs}
    done = [job for job in mine if job.completed]
    both = [(job, theirs[job.job.number]) for job in done if theirs[job.job.number].completed]
    doomed = [job for job in run.jobs if job.job.doomed is not None]
    late = [added(job) for job in done if job.attempts > 1] or [0.0]
    return Measures(
        world=world.name,
        seed=world.seed,
        policy=policy,
        jobs=len(run.jobs),
        recoverable=len(mine),
        failed=len(mine) - len(done),
        attempts=attempts_of(run.jobs),
        retries=sum(max(0, job.attempts - 1) for job in run.jobs),
        doomed=len(doomed),
        doomed_attempts=attempts_of(doomed),
        added=_mean(added(job) for job in done),
        added_p95=percentile(late, 0.95),
        paired_added=_mean(added(job) for job, _ in both),
        reference_added=_mean(added(other) for _, other in both),
        rejections=run.rejections,
        limited=run.limited,
        decisions=run.decisions,
        seconds=seconds,
        restricted=_mean(added(job) if job.completed else world.deadline for job in mine),
    )


def added(progress: Progress) -> float:
    """Give the seconds that a job took longer than if nothing had failed or been slow."""
    ended = progress.ended if progress.ended is not None else progress.started
    return ended - progress.job.arrival - progress.job.seconds


def _mean(values: Any) -> float:
    found = list(values)
    return fmean(found) if found else 0.0


def measures_of(row: Mapping[str, Any]) -> Measures:
    """Read figures as the report for programs holds them."""
    return Measures(**{name: row[name] for name in Measures.__dataclass_fields__})
