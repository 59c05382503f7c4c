"""What a run leaves behind, as plain values: the only things that the judge looks at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

#: Fields of lines and events are seconds since the epoch where they name a time.
FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
#: Tokens of jobs that were submitted together: that of the submission, this, and a number.
PART = "/"


@dataclass(frozen=True, slots=True)
class Promise:
    """A job whose submission returned.

    :param final: the state that it must end in.
    :param after: the job whose completion begets it, if it is a link of a chain.
    :param not_before: the earliest time that it may start.
    :param upstream: the jobs that it must wait for.
    :param failing: those of them that must have failed.
    """

    job_id: str
    kind: str
    final: str
    token: str
    at: float
    after: str = ""
    not_before: float = 0.0
    upstream: tuple[str, ...] = ()
    failing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Intent:
    """A submission that was about to be made; nobody knows whether it was.

    :param final: the state that its jobs must end in, but for those that ``finals`` has by their number.
    :param group: what its jobs share: a unique key, a tenant, or the schedule that they are of.
    """

    token: str
    kind: str
    final: str = "COMPLETED"
    finals: Mapping[str, str] = field(default_factory=dict)
    group: str = ""

    def final_of(self, number: str) -> str:
        """Say which state one of its jobs must end in."""
        return self.finals.get(number, self.final)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job's code, as it noted itself.

    :param pid: the process that ran it.
    :param parent: that process's parent when it noted its first run.
    :param end: None when it never noted its end.
    :param ok: whether it returned.
    """

    run: str
    job_id: str
    attempt: int
    pid: int
    parent: int
    start: float
    end: float | None = None
    ok: bool = False


@dataclass(frozen=True, slots=True)
class Life:
    """One process of the fleet from its start until nothing of it was left."""

    name: str
    pid: int
    since: float
    until: float = inf


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that was carried out.

    :param name: the process or link that it hit.
    :param pid: of the process that it hit, 0 if it hit none.
    """

    kind: str
    at: float
    until: float
    name: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class JobRow:
    """The final row of a job.

    :param run: which run's result it holds, as that run named itself.
    :param fire_at: the time of its schedule that it stands for.
    """

    job_id: str
    status: str
    attempt: int
    token: str = ""
    run: str = ""
    completed_at: float | None = None
    reason: str = ""
    created_at: float = 0.0
    fire_at: float | None = None
    batch_id: str = ""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that fires at all multiples of some seconds.

    :param token: what all of its jobs carry.
    :param since: when its row was there.
    :param until: no time after this one is asked for.
    """

    token: str
    seconds: float
    since: float
    until: float = inf


@dataclass(frozen=True, slots=True)
class BatchRow:
    """What the row of a batch counts in the end.

    :param token: of the submission that made it.
    :param over: whether it is closed and all of its jobs have ended.
    """

    batch_id: str
    token: str
    total: int
    completed: int
    failed: int
    cancelled: int
    over: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """What a final row said while the run went on."""

    status: str
    run: str


@dataclass(frozen=True)
class Evidence:
    """Everything that is known of a run.

    :param completed_twice: jobs with more than one execution that counts as completed.
    :param orders: tokens of the rows that transactional clients wrote into a table of their own.
    :param remains: what the stores hold at the end that they should not, by name.
    :param closed: ids of the batches that a client has closed.
    """

    promises: Mapping[str, Promise] = field(default_factory=dict)
    intents: Mapping[str, Intent] = field(default_factory=dict)
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    lives: Sequence[Life] = ()
    strikes: Sequence[Strike] = ()
    rows: Mapping[str, JobRow] = field(default_factory=dict)
    completed_twice: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()
    samples: Mapping[str, Sample] = field(default_factory=dict)
    remains: Mapping[str, int] = field(default_factory=dict)
    schedules: Sequence[Schedule] = ()
    batches: Sequence[BatchRow] = ()
    closed: frozenset[str] = frozenset()

    @cached_property
    def tokens(self) -> frozenset[str]:
        """What the jobs with rows carry."""
        return frozenset(row.token for row in self.rows.values())

    @cached_property
    def groups(self) -> Mapping[str, Sequence[JobRow]]:
        """The jobs of each group."""
        groups: dict[str, list[JobRow]] = defaultdict(list)
        for row in self.rows.values():
            intent = self.intent_of(row)
            if intent is not None and intent.group:
                groups[intent.group].append(row)
        return groups

    def intent_of(self, row: JobRow) -> Intent | None:
        """Find the submission that made a job."""
        return self.intents.get(row.token.rpartition(PART)[0])

    def life_of(self, run: Run) -> Life | None:
        """Find the worker whose process, or whose child, ran a job."""
        for life in self.lives:
            if life.pid in (run.pid, run.parent) and life.since <= run.start <= life.until:
                return life
        return None
