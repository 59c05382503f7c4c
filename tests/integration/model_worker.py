"""Workers of the model: the platform's ledger, committer and heart over a line that loses commands and replies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from model_story import Hold
from queues import QUEUE

from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.transport import keys
from jobplatform.transport.committer import Committer
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.scripts import ACQUIRE

_LISTS = [keys.queue_list(QUEUE, step) for step in reversed(keys.PRIORITY_STEPS)]
_ACQUIRE_KEYS = [keys.LEASES, keys.LEASE_TIMES, keys.JOURNAL, keys.FENCES, keys.COUNTS, keys.PAUSED, *_LISTS]
_ERRORS: dict[str, dict[str, Any]] = {
    "fails": {"type": "ValueError", "classes": ["ValueError"]},
    "fails for good": {"type": "ValueError", "classes": ["ValueError"], "final": True},
    "dies": {"type": "WorkerLostError", "classes": ["WorkerLostError"], "died": True},
    "expires": {"type": "Expired", "classes": ["Expired"]},
}


class Line:
    """A connection to Redis.

    ``fate`` says what becomes of commands: ``heard``, ``unheard`` (the reply gets lost) or ``delayed`` (the command
    arrives later, or never, and its sender is told that the connection broke).
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.fate = "heard"
        self.delayed: list[tuple[Any, ...]] = []

    def execute_command(self, *args: Any) -> Any:
        if self.fate == "delayed":
            self.delayed.append(args)
            raise ConnectionError("the connection broke before the command arrived")
        reply = self.client.execute_command(*args)
        if self.fate == "unheard":
            raise ConnectionError("the reply got lost")
        return reply

    def arrive(self) -> None:
        """Let the oldest delayed command arrive at last."""
        self.client.execute_command(*self.delayed.pop(0))


class StepwiseLedger(Ledger):
    """A ledger whose news is old as soon as it waits: what is a step here may be seconds elsewhere."""

    def waited(self) -> float:
        return super().waited() and 3_600.0


class Worker:
    """One life of a worker's main process.

    :param clock: monotonic seconds.
    """

    def __init__(self, node: str, client: Any, clock: Callable[[], float]) -> None:
        self.node = node
        self.slept = 0.0
        self.line = Line(client)
        ledger = StepwiseLedger(lambda: clock() + self.slept)
        ledger.node = node
        self.ledger = ledger
        self.committer = Committer(ledger, {}, {})
        ledger.on_news = lambda: None
        self.committer.client = self.committer.heart.client = self.line
        self.committer.stop_jobs = self._stop_jobs  # type: ignore[method-assign]
        self.committer.describe_left = lambda start: entry.left(start, clock())
        #: Whether the controller knows that it lives; the steps of its last heartbeat, and in which it was silent last.
        self.known = False
        self.beaten, self.silent = -1, -2
        self._asked = 0

    def acquire(self, count: int) -> list[tuple[str, str, int]]:
        """Take messages as the channel does, and return their leases: tag, job id, attempt."""
        self._asked += 1
        args = [count, f"{self.node}:{self._asked}:", keys.SEPARATOR, 10_000]
        reply = ACQUIRE.run(self.line, _ACQUIRE_KEYS, args)
        found = []
        for tag, queue_list, raw in zip(*[iter(reply)] * 3, strict=True):
            self.ledger.hold(tag.decode(), queue_list.decode(), raw)
            self.ledger.open(tag.decode())
            headers = json.loads(raw)["headers"]
            found.append((tag.decode(), headers["id"], headers["jp_attempt"]))
        return found

    def may_begin(self, tag: str, step: int) -> bool:
        """Do what a request does before its job runs: ask whether it still may, and tell that it begins."""
        before = self.ledger.beaten_at
        may = self.committer.still_holds(tag)
        if self.ledger.beaten_at != before:
            self.beaten = step
        return may and self.ledger.engage(tag)

    def start(self, hold: Hold, run: int, at: float) -> None:
        text = entry.started(self._head(hold, run), at)
        assert self.ledger.start(hold.tag, lambda: text)

    def settle(self, hold: Hold, how: str, at: float) -> None:
        """Tell how an attempt ended, as a request does, and let its lease go."""
        if how == "is unreadable":
            text = entry.unreadable(QUEUE, b"x", "no JSON", at, (hold.job.job_id, hold.attempt))
        else:
            text = self._outcome(hold, how, at)
        if hold.tag in self.ledger.held:
            self.ledger.outcome(hold.tag, text)
            self.ledger.settle(hold.tag)

    def _outcome(self, hold: Hold, how: str, at: float) -> str:
        head = self._head(hold, hold.run)
        if how == "completes":
            return entry.completed(head, at, at, str(hold.run))
        if how == "is parked":
            return entry.ended(Kind.PARKED, head, None, at, {"message": "unroutable"})
        kind = Kind.CANCELLED if how == "expires" else Kind.FAILED
        return entry.ended(kind, head, at if hold.run else None, at, {"message": how, **_ERRORS[how]})

    def _head(self, hold: Hold, run: int | None) -> str:
        return entry.attempt_head(hold.job.job_id, hold.attempt, self.node, run, None, "")

    def commit(self, fate: str = "heard") -> bool:
        self.line.fate = fate
        done = self.committer.commit()
        self.line.fate = "heard"
        return done

    def beat(self, step: int, fate: str = "heard") -> bool:
        """Beat.

        :param fate: of the commit that follows when Redis has forgotten something.
        """
        self.committer.heart.write = lambda: self.commit(fate)
        heard = self.committer.heart.beat()
        if heard:
            self.beaten = step
        return heard

    def _stop_jobs(self, taken: set[str], void: set[str]) -> None:
        """Pass over what has not begun; what runs is told, and may end in any way all the same."""
        for tag in taken | void:
            if self.ledger.lose(tag) and tag in void:
                self.ledger.settle(tag)

    def end(self) -> None:
        """End as a worker does that is told to: give back all that is held, and say goodbye."""
        self.committer.close()
        self.committer.heart._tell({"gone": True}, [])
