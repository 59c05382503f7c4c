"""Run a policy through a world: events in the order of their times, and what became of each job."""

from __future__ import annotations

import heapq
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from benchmarks.retry.contenders import RetryPolicy
from benchmarks.retry.errors import describe
from benchmarks.retry.server import FINE, Server
from benchmarks.retry.world import Job, Trouble, World
from jobplatform.decision import FailedAttempt, Outcome, RetryDecision, RetryFacts, Seen
from jobplatform.fingerprint import identify

#: Seconds of the journal that are read at once, and between two looks at the jobs that are held.
BATCH, TICK = 0.25, 1.0
_MAX_RETRIES = 5
#: A job that is held before it began tries so many seconds before its deadline all the same.
_LAST_SECONDS = 10.0
#: The part of its run after which an attempt fails, at most.
_FAILS_WITHIN = 0.5


class Event(IntEnum):
    """What happens next; at the same time, in this order."""

    END = 0
    FLUSH = 1
    TICK = 2
    OVERDUE = 3
    START = 4


@dataclass(slots=True)
class Progress:
    """How far a job is.

    :param times: when each attempt began.
    :param turn: counts what was decided, so that an event of an earlier decision is known as such.
    :param held: the cause that it waits for.
    :param decided: the last failed attempt with what was decided on it.
    """

    job: Job
    attempts: int = 0
    retries: int = 0
    started: float = 0.0
    first_failed: float | None = None
    turn: int = 0
    held: str | None = None
    trial: bool = False
    decided: tuple[FailedAttempt, RetryDecision] | None = None
    trouble: Trouble | None = None
    after: float | None = None
    ended: float | None = None
    completed: bool = False


@dataclass(slots=True)
class Run:
    """What became of a world under a policy.

    :param calls: attempts that reached each host, by second.
    """

    jobs: list[Progress]
    rejections: int = 0
    limited: int = 0
    decisions: int = 0
    batches: int = 0
    calls: dict[str, Counter[int]] = field(default_factory=dict)


class Simulation:
    """Let a policy decide on what fails in a world."""

    def __init__(self, world: World, policy: RetryPolicy) -> None:
        self.world = world
        self.policy = policy
        self.run_of = Run([Progress(job) for job in world.jobs])
        self._servers = {host: Server(dependency) for host, dependency in world.dependencies.items()}
        self.run_of.calls = {host: Counter() for host in self._servers}
        self._events: list[tuple[float, int, int, int, int]] = []
        self._sequence = 0
        self._open = len(world.jobs)
        self._held: dict[str, OrderedDict[int, None]] = {}
        self._held_types: Mapping[str, str] = {}
        self._ready: deque[int] = deque()
        self._running = 0
        self._failures: list[FailedAttempt] = []
        self._outcomes: list[Outcome] = []
        self._completed: Counter[str] = Counter()
        self._flush_at: float | None = None

    def run(self) -> Run:
        """Go on until every job has ended."""
        for job in self.world.jobs:
            self._push(job.arrival, Event.START, job.index, 0)
        self._push(TICK, Event.TICK)
        while self._events and self._open:
            now, event, _, index, turn = heapq.heappop(self._events)
            if event == Event.END:
                self._end(now, self.run_of.jobs[index])
            elif event == Event.START:
                self._start(now, self.run_of.jobs[index], turn)
            elif event == Event.FLUSH:
                self._flush(now)
            elif event == Event.TICK:
                self._tick(now)
            else:
                self._overdue(now, self.run_of.jobs[index], turn)
        self.run_of.rejections = sum(server.rejections for server in self._servers.values())
        return self.run_of

    def _push(self, at: float, event: Event, index: int = 0, turn: int = 0) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (at, event, self._sequence, index, turn))

    def _start(self, now: float, progress: Progress, turn: int) -> None:
        if progress.ended is not None or turn != progress.turn:
            return
        cause = self._held_types.get(progress.job.type.name) if not progress.attempts and not progress.trial else None
        if cause is not None:
            self._hold(progress, cause, math.inf)
            return
        if self.world.slots is not None and self._running >= self.world.slots:
            self._ready.append(progress.job.index)
            return
        self._begin(now, progress)

    def _begin(self, now: float, progress: Progress) -> None:
        job = progress.job
        if progress.attempts and now >= job.arrival + self.world.deadline:
            self._close(now, progress, completed=False)
            self._fill(now)
            return
        self._running += 1
        progress.attempts += 1
        progress.started = now
        progress.trouble, seconds, progress.after = self._try(now, progress)
        self._push(now + seconds, Event.END, job.index)

    def _try(self, now: float, progress: Progress) -> tuple[Trouble | None, float, float | None]:
        """Tell how an attempt goes: its trouble, its seconds, and what ``Retry-After`` says."""
        job = progress.job
        luck = self.world.luck_of(job.index, progress.attempts)
        reply = FINE
        if job.type.host is not None:
            self.run_of.calls[job.type.host][int(now)] += 1
            reply = self._servers[job.type.host].call(now, luck)
        if reply.trouble is not None:
            self.run_of.limited += reply.trouble is Trouble.LIMITED
            return reply
        trouble = job.doomed or (Trouble.BLIP if luck.blip < job.type.blip else None)
        seconds = reply.seconds + job.seconds * (_FAILS_WITHIN * luck.run if trouble else 1.0)
        return trouble, seconds, None

    def _end(self, now: float, progress: Progress) -> None:
        self._running -= 1
        if progress.decided is not None:
            self._outcomes.append(_outcome(now, progress, *progress.decided))
        if progress.trouble is None:
            self._completed[progress.job.type.name] += 1
            self._close(now, progress, completed=True)
        else:
            self._failures.append(self._failed(now, progress, progress.trouble))
        if self._flush_at is None:
            self._flush_at = math.floor(now / BATCH + 1.0) * BATCH
            self._push(self._flush_at, Event.FLUSH)
        self._fill(now)

    def _fill(self, now: float) -> None:
        """Begin what waits for a free slot."""
        while self._ready and self.world.slots is not None and self._running < self.world.slots:
            self._begin(now, self.run_of.jobs[self._ready.popleft()])

    def _failed(self, now: float, progress: Progress, trouble: Trouble) -> FailedAttempt:
        job = progress.job
        if progress.first_failed is None:
            progress.first_failed = now
        error = describe(trouble, job, self.world.luck_of(job.index, progress.attempts), progress.after)
        deadline = job.arrival + self.world.deadline
        facts = RetryFacts(
            job_id=job.job_id,
            max_retries=_MAX_RETRIES,
            retry_count=progress.retries,
            retry_rule=None,
            attempt=progress.attempts,
            status="PROCESSING",
            job_type=job.type.name,
            deadline_at=deadline,
            left=deadline - now,
            first_failed_at=progress.first_failed,
            trial=progress.trial,
        )
        kind = identify(error)
        return FailedAttempt(job.job_id, progress.attempts, now, error, facts, kind.digest, kind.dependency)

    def _flush(self, now: float) -> None:
        """Show the policy what came since the last batch, as the mirror does."""
        self._flush_at = None
        failures, outcomes, completed = self._failures, self._outcomes, self._completed
        self._failures, self._outcomes, self._completed = [], [], Counter()
        if failures:
            self.run_of.decisions += len(failures)
            self.run_of.batches += 1
            for failed, decision in zip(failures, self.policy.decide(failures), strict=True):
                self._apply(now, failed, decision)
        self.policy.observe(Seen(now, completed, failures, outcomes))

    def _apply(self, now: float, failed: FailedAttempt, decision: RetryDecision) -> None:
        progress = self.run_of.jobs[self._index(failed)]
        progress.turn += 1
        progress.decided = (failed, decision)
        progress.trial = False
        if decision.delay is None or progress.attempts >= self.world.cap:
            self._close(now, progress, completed=False)
            return
        progress.retries += not decision.free
        due = max(now, failed.at + decision.delay)
        if decision.gate is not None:
            self._hold(progress, decision.gate, due)
        elif due >= progress.job.arrival + self.world.deadline:
            self._close(now, progress, completed=False)
        else:
            self._push(due, Event.START, progress.job.index, progress.turn)

    def _hold(self, progress: Progress, cause: str, until: float) -> None:
        """Hold a job until it is let go, or for as long as it may be; one that has not begun, until it has to."""
        deadline = progress.job.arrival + self.world.deadline
        if not progress.attempts:
            until = deadline - _LAST_SECONDS
            progress.turn += 1
        progress.held = cause
        self._held.setdefault(cause, OrderedDict())[progress.job.index] = None
        self._push(min(until, deadline), Event.OVERDUE, progress.job.index, progress.turn)

    def _index(self, failed: FailedAttempt) -> int:
        return int(failed.job_id[-12:], 16)

    def _tick(self, now: float) -> None:
        """Let the policy release what it holds."""
        for release in self.policy.tick(now, {cause: len(waiting) for cause, waiting in self._held.items() if waiting}):
            waiting = self._held.get(release.cause, OrderedDict())
            for _ in range(min(release.jobs, len(waiting))):
                index, _ = waiting.popitem(last=False)
                self._go_on(now, self.run_of.jobs[index])
        self._held_types = self.policy.held_types()
        self._push(now + TICK, Event.TICK)

    def _overdue(self, now: float, progress: Progress, turn: int) -> None:
        """Go on with a job that was held as long as it may be."""
        if progress.held is None or turn != progress.turn:
            return
        del self._held[progress.held][progress.job.index]
        self._go_on(now, progress)

    def _go_on(self, now: float, progress: Progress) -> None:
        progress.held, progress.trial = None, True
        self._start(now, progress, progress.turn)

    def _close(self, now: float, progress: Progress, completed: bool) -> None:
        if progress.ended is not None:
            raise RuntimeError(f"job {progress.job.job_id} has ended twice")
        progress.ended, progress.completed = now, completed
        self._open -= 1


def _outcome(now: float, progress: Progress, failed: FailedAttempt, decision: RetryDecision) -> Outcome:
    evidence = decision.evidence
    return Outcome(
        job_id=failed.job_id,
        job_type=failed.facts.job_type,
        attempt=failed.attempt,
        fingerprint=failed.fingerprint,
        dependency=failed.dependency,
        decided_by=decision.decided_by,
        succeeded=progress.trouble is None,
        waited=progress.started - failed.at,
        at=now,
        chance=evidence.chance if evidence else None,
        gate=decision.gate,
        shadow=evidence.shadow if evidence else None,
    )


def simulate(world: World, policy: RetryPolicy) -> Run:
    """Run a policy through a world."""
    return Simulation(world, policy).run()


def attempts_of(jobs: Sequence[Progress]) -> int:
    """Count the attempts of some jobs."""
    return sum(progress.attempts for progress in jobs)
