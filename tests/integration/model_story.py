"""What the model knows by itself: who was given which job, what ran, and what Redis was made to forget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

JOB_ID = "00000000-0000-7000-8000-{:012d}"


@dataclass(eq=False)
class Job:
    """One job, and what befell it."""

    number: int
    priority: int
    #: It may be nowhere: its client or the dispatcher died between two steps, or Redis forgot it.
    astray: bool = False
    #: It may be in two places: its message was pushed late, or it was replayed, or Redis forgot a fence.
    doubted: bool = False
    #: Redis has gone back to a state in which the job was where it no longer is, or lost the mark of its lease.
    rolled_back: bool = False
    #: Since when, in steps, Redis knows that it was cancelled.
    void_since: int | None = None
    #: How often a process died while it ran the job, and how often a run said that it failed.
    deaths: int = 0
    failures: int = 0
    #: Redis lost what was journalled of it before its row was written.
    forgotten: bool = False
    #: What the rows showed last.
    shown: tuple[int, int] = (0, 0)
    due: bool = False
    #: How the job ended, unless it was replayed since.
    ended: str | None = None
    result: Any = None
    executions: dict[str, tuple[str, Any]] = field(default_factory=dict)

    @property
    def job_id(self) -> str:
        return JOB_ID.format(self.number)


@dataclass(eq=False)
class Hold:
    """A message in the hands of a worker."""

    tag: str
    job: Job
    attempt: int
    node: str
    #: Nothing has happened that lets the platform give the job to somebody else.
    sound: bool
    taken: bool = False
    #: The number of the run that began, and whether it has ended.
    run: int | None = None
    ended: bool = False
    #: It was told that it completed.
    completed: bool = False
    #: Its worker fell silent, and may not have told how the run ended.
    mourned: bool = False

    @property
    def runs(self) -> bool:
        return self.run is not None and not self.ended

    def __repr__(self) -> str:
        return f"{self.tag} of job {self.job.number} attempt {self.attempt}"


@dataclass(eq=False)
class Story:
    """All jobs and holds of one example."""

    jobs: dict[str, Job] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    runs: dict[int, Hold] = field(default_factory=dict)
    #: What was journalled while the lease was held, by run and kind of entry, and where.
    told: dict[tuple[int | None, str], str] = field(default_factory=dict)
    #: Redis has lost something.
    forgot: bool = False
    #: The leases that were seen last, with job and attempt; None when Redis came back with older ones.
    leases: dict[str, tuple[str, int]] | None = None

    def new_job(self, priority: int) -> Job:
        job = Job(len(self.jobs) + 1, priority)
        self.jobs[job.job_id] = job
        return job

    def give(self, tag: str, job_id: str, attempt: int, node: str, sound: bool) -> Hold:
        """Note that a worker was handed a message."""
        job = self.jobs[job_id]
        assert job.void_since is None, f"job {job.number} is handed out although Redis knows that it is cancelled"
        leased = (self.leases or {}).values()
        assert (job_id, attempt) not in leased, (
            f"attempt {attempt} of job {job.number} is handed out, and leased already"
        )
        self.holds[tag] = Hold(tag, job, attempt, node, sound and not (job.rolled_back or job.doubted))
        return self.holds[tag]

    def begin(self, hold: Hold, beaten: int) -> int:
        """Note that a job begins, and give the number of the run.

        :param beaten: the step of the worker's last heartbeat.
        """
        since = hold.job.void_since
        assert since is None or beaten <= since, f"{hold} begins although its worker was told that it is cancelled"
        assert not hold.taken, f"{hold} begins, and was taken away; its worker was silent for long and did not ask"
        for other in self.of(hold.job):
            # A message that was pushed twice may be held already; its worker is told with the next heartbeat.
            older = other.attempt > hold.attempt and not hold.sound
            assert older or not (other.runs and other.sound), (
                f"{hold} begins while {other} runs, and nothing befell that one"
            )
            known = other.taken and other.attempt == hold.attempt and (other.run, "started") in self.told
            assert not known or hold.job.rolled_back, f"{hold} begins although {other} was known to have begun"
        hold.run = len(self.runs) + 1
        self.runs[hold.run] = hold
        return hold.run

    def of(self, job: Job) -> Iterator[Hold]:
        return (hold for hold in self.holds.values() if hold.job is job)

    def has_begun(self, hold: Hold) -> bool:
        """Tell whether the attempt ran before, and was given back; then parking it is behind its row."""
        return any(other.run is not None and other.attempt == hold.attempt for other in self.of(hold.job))

    def silence(self, node: str) -> None:
        """A worker says nothing for long."""
        for hold in self._at(node):
            hold.sound = False
            if hold.run is not None and not hold.mourned:
                hold.job.deaths += 1
                hold.mourned = True

    def bury(self, node: str, returned: set[str]) -> None:
        """A worker is no more.

        :param returned: leases; what it gave back of them before is no death of its jobs.
        """
        for hold in self._at(node):
            hold.sound, hold.ended = False, True
            hold.mourned = hold.mourned or hold.tag in returned

    def _at(self, node: str) -> Iterator[Hold]:
        return (hold for hold in self.holds.values() if hold.node == node)

    def release(self, job: Job) -> None:
        """A job was cancelled, or is to run once more: whoever has it is not the only one."""
        for hold in self.of(job):
            hold.sound = False

    def take(self, tags: set[str], awake: set[str]) -> None:
        """Leases were taken away by the rescue.

        :param awake: the workers that have beaten since they were silent.
        """
        for tag in tags & self.holds.keys():
            assert self.holds[tag].node not in awake, f"{self.holds[tag]} is taken away, and its worker lives"
            self.holds[tag].taken = True

    def forget(self, rolled_back: bool) -> None:
        """Redis has lost all that it held, or its last writes."""
        self.forgot = True
        self.leases = None if rolled_back else self.leases
        for job in self.jobs.values():
            # Who slept through the rescue was not told yet, and will not be when the mark of his lease is gone.
            unmarked = any(hold.taken for hold in self.of(job))
            job.astray, job.forgotten, job.void_since = True, True, None
            job.rolled_back = job.rolled_back or rolled_back or unmarked
            # The fence may be gone that an earlier attempt stood behind.
            job.doubted = job.doubted or job.shown[0] > 1 or unmarked
        for hold in self.holds.values():
            hold.taken = False
            hold.sound = hold.sound and not hold.job.rolled_back
