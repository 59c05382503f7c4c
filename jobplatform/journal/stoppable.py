"""The part of a request that takes a job back before it begins, and stops one that is not to run any more."""

from __future__ import annotations

import logging
from signal import SIGKILL, SIGTERM
from typing import Any

from celery.exceptions import Terminated, WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready

from jobplatform.journal.leaving import is_asked_to_leave
from jobplatform.journal.recording import Recording

logger = logging.getLogger(__name__)


class StoppableRequest(Request):  # type: ignore[misc]
    """Celery's request, whose job can be given back, passed over, told to stop and interrupted."""

    _given_back = False
    _lost = False
    #: The pool, if it can end the process of a job.
    _process_pool: Any = None
    #: For how many seconds this worker waited before it ended the job's process to leave.
    _interrupted_after: float | None = None
    #: Monotonic seconds by which a job that is not to run any more must have stopped.
    _stop_by: float | None = None

    def revoked(self) -> bool:
        """Tell whether the job must not be started here."""
        return self._given_back or self._is_lost() or bool(super().revoked())

    def _is_lost(self) -> bool:
        channel = self.message.channel
        if not self._lost and hasattr(channel, "committer"):
            self._lost = not channel.committer.still_holds(self.message.delivery_tag)
        if self._lost:
            self._pass_over()
        return self._lost

    def _pass_over(self) -> None:
        """Let the worker count a job no longer that does not run here."""
        task_ready(self)
        self.message.channel.qos.forget(self.message.delivery_tag)

    def is_unstarted(self) -> bool:
        """Tell whether the job surely has not begun: in a process it may have before we hear of it."""
        return not self.acknowledged and self.message.delivery_tag not in self._ledger.running

    @property
    def _ledger(self) -> Any:
        return self.message.channel.committer.ledger

    def give_back(self) -> bool:
        """Return the message to its queue, unless the job has begun; the pool passes over the request."""
        tag = self.message.delivery_tag
        self._given_back = not self.acknowledged and tag in self._ledger.recall([tag])
        if self._given_back:
            task_ready(self)
            super().reject(requeue=True)
        return self._given_back

    def stop(self, now: float, settle: bool) -> None:
        """Let the pool pass over a job that has not begun; one that runs has a time to stop.

        :param now: monotonic seconds.
        :param settle: whether its lease is still held here.
        """
        tag = self.message.delivery_tag
        if self._stop_by is None and self._ledger.lose(tag):
            self._lost = True
            if settle:
                self._ledger.settle(tag)
        elif self._stop_by is None and not self._lost:
            self._stop_by = now + Recording.stop_seconds
            logger.warning("job %s is not to run any more and is told to stop; its outcome will be refused", self.id)

    def is_overdue(self, now: float) -> bool:
        """Tell whether a job that was told to stop has had its time, and has a process that can be ended.

        :param now: monotonic seconds.
        """
        return self._stop_by is not None and now > self._stop_by and self._process_pool is not None

    def end(self) -> None:
        """End the process of a job that does not stop."""
        self.terminate(self._process_pool, "KILL")

    def interrupt(self, grace: float) -> bool:
        """End the process of a job that runs while its worker leaves; it begins again, with no retry used up.

        :param grace: seconds that it had.
        :returns: whether it has a process that can be ended, and was not interrupted before.
        """
        if self._process_pool is None or self._interrupted_after is not None:
            return False
        self._interrupted_after = grace
        self._process_pool.terminate_job(self.worker_pid, SIGKILL)
        return True

    def _is_interruption(self, error: BaseException) -> bool:
        if self._interrupted_after is not None:
            return isinstance(error, Terminated | WorkerLostError)
        # Whoever stops a whole group of processes, as systemd does, reaches those of jobs as well.
        killed = isinstance(error, WorkerLostError) and getattr(error, "exit_code", None) == -SIGTERM
        return killed and is_asked_to_leave()
