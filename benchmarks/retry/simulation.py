"""Run a policy through a world: events in the order of their times, and what became of each job."""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Mapping
from enum import IntEnum

from benchmarks.retry.contenders import RetryPolicy
from benchmarks.retry.errors import describe, identity_of
from benchmarks.retry.holding import Holding
from benchmarks.retry.run import Progress, Run, outcome_of
from benchmarks.retry.server import FINE, Server
from benchmarks.retry.world import Trouble, World
from jobplatform.decision import FailedAttempt, Outcome, RetryDecision, RetryFacts, Seen

#: Seconds of the journal that are read at once, and between two looks at the jobs that are held.
BATCH, TICK = 0.25, 1.0
_MAX_RETRIES = 5
#: A job whose failure opened a breaker is held for so many seconds at most, and such a share of what it has left;
#: failures of so many seconds ago count as such. As in ``maintenance.gatekeeper`` and ``store.breakers``.
_HOLD_SECONDS, _LEFT_SHARE, _LOOK_BACK = 6 * 3600.0, 0.9, 900.0
#: The part of its run after which an attempt fails, at most.
_FAILS_WITHIN = 0.5


class Event(IntEnum):
    """What happens next; at the same time, in this order."""

    END = 0
    FLUSH = 1
    TICK = 2
    OVERDUE = 3
    START = 4


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
        self._holding = Holding()
        self._types: Mapping[str, str] = {}
        self._backing_off: dict[int, None] = {}
        self._ready: deque[int] = deque()
        self._running = 0
        self._failures: list[FailedAttempt] = []
        self._outcomes: list[Outcome] = []
        self._completed: Counter[str] = Counter()
        self._flush_at: float | None = None

    def run(self) -> Run:
        """Go on until every job has ended."""
        for job in self.world.jobs:
            self._push(job.arrival, Event.START, job.number, 0)
        self._push(TICK, Event.TICK)
        while self._events and self._open:
            now, event, _, number, turn = heapq.heappop(self._events)
            if event == Event.END:
                self._end(now, self.run_of.jobs[number])
            elif event == Event.START:
                self._start(now, self.run_of.jobs[number], turn)
            elif event == Event.FLUSH:
                self._flush(now)
            elif event == Event.TICK:
                self._tick(now)
            else:
                self._overdue(now, self.run_of.jobs[number], turn)
        if self._flush_at is not None:
            self._flush(self._flush_at)
        self.run_of.rejections = sum(server.rejections for server in self._servers.values())
        return self.run_of

    def _push(self, at: float, event: Event, number: int = 0, turn: int = 0) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (at, event, self._sequence, number, turn))

    def _start(self, now: float, progress: Progress, turn: int) -> None:
        if progress.ended is not None or turn != progress.turn:
            return
        self._backing_off.pop(progress.job.number, None)
        if not progress.attempts and not progress.trial and progress.job.type.name in self._types:
            self._park(progress)
            return
        if self.world.slots is not None and self._running >= self.world.slots:
            self._ready.append(progress.job.number)
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
        self._push(now + seconds, Event.END, job.number)

    def _try(self, now: float, progress: Progress) -> tuple[Trouble | None, float, float | None]:
        """Tell how an attempt goes: its trouble, its seconds, and what ``Retry-After`` says."""
        job = progress.job
        luck = self.world.luck_of(job.number, progress.attempts)
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
            self._outcomes.append(outcome_of(now, progress, *progress.decided))
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
        told = trouble, job, self.world.luck_of(job.number, progress.attempts), progress.after
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
        kind = identity_of(*told)
        return FailedAttempt(
            job.job_id, progress.attempts, now, describe(*told), facts, kind.digest, kind.dependency, kind.text
        )

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
        progress = self.run_of.jobs[self._number(failed)]
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
            self._backing_off[progress.job.number] = None
            self._push(due, Event.START, progress.job.number, progress.turn)

    def _hold(self, progress: Progress, cause: str, until: float) -> None:
        """Hold a job until it is let go, or for as long as it may be."""
        progress.held = cause
        due = min(until, progress.job.arrival + self.world.deadline)
        self._holding.hold(cause, progress.job.number, progress.attempts, due)
        self._push(due, Event.OVERDUE, progress.job.number, progress.turn)

    def _park(self, progress: Progress) -> None:
        """Hold a job that did not begin, until its deadline at most."""
        progress.turn += 1
        self._holding.park(progress.job.type.name, progress.job.number)
        self._push(progress.job.arrival + self.world.deadline, Event.OVERDUE, progress.job.number, progress.turn)

    def _number(self, failed: FailedAttempt) -> int:
        return int(failed.job_id[-12:], 16)

    def _tick(self, now: float) -> None:
        """Let go and hold what the policy says, as the product's gatekeeper does."""
        turn = self.policy.tick(now, self._holding.counts(self._types))
        for release in turn.releases:
            for number in self._holding.take(release, self._types):
                self._go_on(now, self.run_of.jobs[number], trial=True)
        for cause in turn.opened:
            self._hold_waiting(now, cause)
        for cause in turn.closed:
            for number in self._holding.take_all(cause):
                self._go_on(now, self.run_of.jobs[number], trial=False)
        if turn.types != self._types:
            self._types = dict(turn.types)
            for number in self._holding.take_types(self._types):
                self._go_on(now, self.run_of.jobs[number], trial=False)
        self._push(now + TICK, Event.TICK)

    def _hold_waiting(self, now: float, cause: str) -> None:
        """Hold the jobs that failed of a cause before it was known as such."""
        for number in list(self._backing_off):
            progress = self.run_of.jobs[number]
            if progress.decided is None or progress.decided[0].cause != cause:
                continue
            if now - progress.decided[0].at < _LOOK_BACK:
                del self._backing_off[number]
                progress.turn += 1
                left = progress.job.arrival + self.world.deadline - now
                self._hold(progress, cause, now + min(_HOLD_SECONDS, _LEFT_SHARE * left))

    def _overdue(self, now: float, progress: Progress, turn: int) -> None:
        """Go on with a job that was held as long as it may be; one that did not begin has missed its deadline."""
        if turn != progress.turn:
            return
        if not self._holding.leave(progress.held, progress.job.type.name, progress.job.number):
            return
        if progress.attempts:
            self._go_on(now, progress, trial=False)
        else:
            self._close(now, progress, completed=False)

    def _go_on(self, now: float, progress: Progress, trial: bool) -> None:
        progress.held, progress.trial = None, trial
        progress.turn += 1
        self._start(now, progress, progress.turn)

    def _close(self, now: float, progress: Progress, completed: bool) -> None:
        if progress.ended is not None:
            raise RuntimeError(f"job {progress.job.job_id} has ended twice")
        progress.ended, progress.completed = now, completed
        self._open -= 1


def simulate(world: World, policy: RetryPolicy) -> Run:
    """Run a policy through a world."""
    return Simulation(world, policy).run()
