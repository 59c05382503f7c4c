"""A world that every policy faces: job types, what they depend on, jobs, and the luck of each attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from benchmarks.retry.calendar import ALWAYS_UP, Calendar

#: Attempts that any policy may make of a job, and seconds from its arrival within which the last must begin.
CAP, DEADLINE = 6, 900.0


class Trouble(StrEnum):
    """Why an attempt fails."""

    DOWN = "down"
    LIMITED = "limited"
    OVERLOADED = "overloaded"
    REFUSED = "refused"
    DISGUISED = "disguised"
    BLIP = "blip"


#: With which a job fails whenever it gets so far.
PERMANENT = (Trouble.REFUSED, Trouble.DISGUISED)


@dataclass(frozen=True, slots=True)
class JobType:
    """Jobs of one kind.

    :param host: what they depend on.
    :param weight: their part of the arrivals.
    :param seconds: the median run.
    :param blip: the chance that an attempt fails for no lasting reason.
    :param permanent: the share of jobs that fail whatever is done.
    :param disguised: the part of those that look like a failure of the server.
    :param client: how the code speaks to the host, which shapes its errors.
    :param telling: whether the text of a disguised failure differs from that of a blip.
    """

    name: str
    host: str | None = None
    weight: float = 1.0
    seconds: float = 1.0
    blip: float = 0.0
    permanent: float = 0.0
    disguised: float = 0.3
    client: str = "requests"
    telling: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """A rate limit: tokens a second, at most so many, and what a refusal says.

    :param after: the seconds of ``Retry-After``, from and to.
    :param header: the share of refusals that have it.
    """

    rate: float
    burst: float
    after: tuple[float, float] = (5.0, 30.0)
    header: float = 0.8


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a dependency can do: calls a second, fewer in brownouts.

    :param timeout: seconds that a caller waits; what would wait longer fails.
    :param waste: the work that a failed call costs all the same, in calls.
    """

    rate: float
    timeout: float = 20.0
    waste: float = 0.8
    brownouts: Calendar = ALWAYS_UP


@dataclass(frozen=True, slots=True)
class Dependency:
    """What job types depend on."""

    host: str
    outages: Calendar = ALWAYS_UP
    bucket: Bucket | None = None
    capacity: Capacity | None = None


class Luck(NamedTuple):
    """What is random about one attempt, each from 0 to 1: whatever a policy does, it stays the same."""

    outage: float
    blip: float
    run: float
    text: float


class Job(NamedTuple):
    """One job.

    :param seconds: how long it runs if nothing fails or is slow.
    :param doomed: with what it fails whenever it gets so far.
    """

    number: int
    job_id: str
    type: JobType
    arrival: float
    seconds: float
    doomed: Trouble | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What is drawn once a seed.

    :param luck: of each job, of each of its attempts.
    :param deadline: seconds from the arrival within which the last attempt must begin.
    :param slots: how many attempts can run at once; without it any number can.
    :param parameters: what was drawn, for the report.
    """

    name: str
    seed: int
    horizon: float
    types: Sequence[JobType]
    dependencies: Mapping[str, Dependency]
    jobs: Sequence[Job]
    luck: Sequence[Sequence[Luck]]
    cap: int = CAP
    deadline: float = DEADLINE
    slots: int | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)

    def luck_of(self, job: int, attempt: int) -> Luck:
        """Give the luck of an attempt, the first of which is 1."""
        mine = self.luck[job]
        return mine[(attempt - 1) % len(mine)]

    def is_recoverable(self, job: Job) -> bool:
        """Tell whether some policy could save the job.

        Its error is not permanent, what it depends on is up at some moment between its arrival and its deadline, and
        one of the attempts that it may have is lucky. Rate limits and overload are left out: those are of the
        policies' own making.
        """
        if job.doomed is not None:
            return False
        dependency = self.dependencies.get(job.type.host or "")
        if dependency is not None and dependency.outages.over(job.arrival) >= job.arrival + self.deadline:
            return False
        return any(luck.blip >= job.type.blip for luck in self.luck[job.number])
