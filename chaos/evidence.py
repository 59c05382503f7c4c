"""What a run leaves behind, as plain values: the only things that the judge looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

#: Fields of lines and events are seconds since the epoch where they name a time.
FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Promise:
    """A job whose submission returned.

    :param final: the state that it must end in.
    :param after: the job whose completion begets it, if it is a link of a chain.
    :param not_before: the earliest time that it may start.
    """

    job_id: str
    kind: str
    final: str
    token: str
    at: float
    after: str = ""
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Intent:
    """A submission that was about to be made; nobody knows whether it was."""

    token: str
    kind: str
    final: str


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
    """

    job_id: str
    status: str
    attempt: int
    token: str = ""
    run: str = ""
    completed_at: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a final row said while the run went on."""

    status: str
    run: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known of a run.

    :param completed_twice: jobs with more than one execution that counts as completed.
    :param orders: tokens of the rows that transactional clients wrote into a table of their own.
    :param remains: what the stores hold at the end that they should not, by name.
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

    def life_of(self, run: Run) -> Life | None:
        """Find the worker whose process, or whose child, ran a job."""
        for life in self.lives:
            if life.pid in (run.pid, run.parent) and life.since <= run.start <= life.until:
                return life
        return None
