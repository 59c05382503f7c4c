"""The running job, as its own code sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery._state import get_current_worker_task

from jobplatform.errors import DeadlineExceeded, JobPlatformError
from jobplatform.jobs import effects, upstream
from jobplatform.jobs.checkpoint import Checkpoint
from jobplatform.jobs.membership import BATCH_HEADER
from jobplatform.jobs.platform import Platform, platform_of
from jobplatform.jobs.upstream import Upstream
from jobplatform.journal import entry, tracer
from jobplatform.journal.foreign import DEADLINE_HEADER
from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.journal.leaving import is_leaving
from jobplatform.journal.unfinished import Interrupted
from jobplatform.records import job_id_of
from jobplatform.transport import keys
from jobplatform.transport.publisher import UNREACHABLE

if TYPE_CHECKING:
    from jobplatform.jobs.batch import Batch
    from jobplatform.jobs.workflow import Workflow

logger = logging.getLogger(__name__)

#: Redis is asked at most this often whether the run is cancelled, in seconds.
ASK_SECONDS = 0.5
#: Progress is written at most this often, in seconds.
PROGRESS_SECONDS = 0.5


class JobLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry the id and the attempt of the job, as text and as attributes."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the ids in front of the message and into the record."""
        ids = dict(self.extra or {})
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **ids}
        return f"[{ids['job_id']} attempt {ids['attempt']}] {msg}", kwargs


class CurrentJob:
    """One attempt of a job, from inside.

    :param clock: seconds since the epoch.
    """

    def __init__(self, platform: Platform, request: Any, clock: Callable[[], float]) -> None:
        self._platform = platform
        self._clock = clock
        self._reported_at = 0.0
        self._done = 0.0
        self.id = job_id_of(request.id)
        self._task_id = str(request.id)
        self._fence = 0.0
        self._asked_at = 0.0
        self.attempt = int(request.get(ATTEMPT_HEADER) or (request.retries or 0) + 1)
        self.job_type = request.task
        self._deadline: float | None = request.get(DEADLINE_HEADER)
        self._batch_id: str | None = request.get(BATCH_HEADER)
        self._checkpoint = Checkpoint(platform, self.id, self.attempt)
        name = f"job.{request.task}"
        self.logger = JobLog(logging.getLogger(name), {"job_id": self.id, "attempt": self.attempt})

    @property
    def fence(self) -> int:
        """A number that never falls from one attempt of this job to the next, for conditions in its own writes."""
        return self.attempt

    def effect(self, key: str, session: Any = None) -> AbstractContextManager[bool]:
        """Guard a block that does an effect: it gets True, and False once the effect was committed for this job.

        :param key: names the effect within the job, in 1 to 200 characters.
        :param session: an SQLAlchemy Session or Connection; the effect then commits in its transaction.
        :raises Superseded: when the job has a newer attempt; end then.
        :raises EffectPending: when another run has the effect open for too long.
        :raises StoreUnavailable: when PostgreSQL is away; the block is not entered.
        """
        return effects.effect(self._platform, self.id, self.attempt, key, session)

    @property
    def cancelled(self) -> bool:
        """Whether this run is not to go on: the job was cancelled, its deadline came, or another worker was given it.

        Look often and stop soon: what the run returns or raises is refused, and after a time its process is killed.
        Redis is asked at most every half second; while it is away the answer stays what it was.
        """
        return self._is_late() or self._ask() >= keys.VOID

    @property
    def deadline(self) -> datetime | None:
        """Until when the job has to be done, all attempts included."""
        return None if self._deadline is None else datetime.fromtimestamp(self._deadline, UTC)

    def remaining(self) -> float | None:
        """Tell how many seconds are left until the deadline, None when there is none; never less than 0."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def _is_late(self) -> bool:
        late = self._deadline is not None and self._clock() >= self._deadline
        if late:
            # By the clock of the process that decides on the failure it may not be late yet.
            tracer.tell(self._task_id, late=True)
        return late

    def _ask(self) -> float:
        """Tell how far the fence of the job is above this attempt, as Redis said last."""
        now = self._clock()
        if self._fence < keys.VOID and now - self._asked_at >= ASK_SECONDS and self._platform.leases:
            self._asked_at = now
            try:
                self._fence = self._platform.publisher.fence_of(self._task_id) - self.attempt
            except UNREACHABLE as error:
                logger.warning("whether job %s is cancelled or paused cannot be told: %s", self.id, error)
        return self._fence

    @property
    def state(self) -> Any:
        """The state that this attempt or one before it has saved last, None when there is none.

        :raises StoreUnavailable: when an earlier attempt may have saved one and PostgreSQL is away.
        """
        return self._checkpoint.read()

    def checkpoint(self, state: Any) -> bool:
        """Save a state from which the next attempt can go on; while PostgreSQL is away it is not saved.

        A job that was asked to pause ends here, by an exception that is to pass through, and so does one whose worker
        leaves, as in a deploy; its next attempt uses up no retry. One whose deadline has come ends here for good.

        :param state: a JSON value, at most as large as a payload.
        :returns: whether it is saved durably.
        :raises InvalidPayload: when it cannot be stored.
        :raises Superseded: when the job has a newer attempt; end then.
        :raises DeadlineExceeded: when the job was to be done by now.
        :raises Interrupted: when the job is to stop here, after its state was saved.
        """
        saved = self._checkpoint.save(state)
        if self._is_late():
            raise DeadlineExceeded(f"the deadline of the job is {self.deadline}, and it stopped at a checkpoint")
        if saved and is_leaving():
            raise Interrupted("its worker leaves, and the job stopped at a checkpoint")
        if saved and keys.HELD <= self._ask() < keys.VOID:
            raise Interrupted("the job was asked to pause and stopped at a checkpoint")
        return saved

    @property
    def upstream(self) -> list[Upstream]:
        """The jobs that this one has waited for, in the order in which it named them, with what became of them.

        :raises StoreUnavailable: when PostgreSQL is away.
        """
        return upstream.read(self._platform, self.id)

    @property
    def batch(self) -> Batch | None:
        """The batch that this job is of, None when it is of none; nobody is asked for it."""
        from jobplatform.jobs.batch import Batch

        return Batch(self._batch_id, self._platform) if self._batch_id else None

    def graft(self, workflow: Workflow) -> dict[str, Any]:
        """Submit the jobs of a workflow, for which whatever waits for this job waits as well.

        :returns: their results by the names of the nodes.
        """
        return workflow.graft(self.id)

    def progress(self, done: float, total: float, note: str = "") -> bool:
        """Report how far the job is.

        Reports never go backwards, and are written at most every half second, but for the last one.

        :param done: of ``total``, in a unit of the job's choice.
        :returns: whether this report was written.
        """
        now = self._clock()
        done = max(self._done, min(done, total))
        finished = done >= total > self._done
        if done < self._done or (now - self._reported_at < PROGRESS_SECONDS and not finished):
            return False
        value = {"done": done, "total": total, "note": entry.clean(note, 500)}
        try:
            self._platform.publisher.journal(entry.progress(self.id, self.attempt, now, value))
        except UNREACHABLE as error:
            logger.warning("progress of job %s was not written: %s", self.id, error)
            return False
        self._done, self._reported_at = done, now
        return True


def current_job() -> CurrentJob:
    """Give the job that is running here.

    :raises JobPlatformError: when none is.
    """
    task = get_current_worker_task()
    if task is None:
        raise JobPlatformError("current_job(): no job is running here; call it inside a job")
    request = task.request
    known: CurrentJob | None = getattr(request, "_jobplatform_job", None)
    if known is None:
        platform = platform_of(task.app)
        known = CurrentJob(platform, request, platform.clock)
        request._jobplatform_job = known
    return known
