"""The worker of a test: it runs one message as a real worker does, in this process."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.exceptions import TaskRevokedError
from celery.worker.request import create_request_cls
from kombu.serialization import prepare_accept_content

from jobplatform.journal import entry
from jobplatform.journal.recorder import JobRequest
from jobplatform.journal.recording import Recording
from jobplatform.testing.faults import Crashed, Faults
from jobplatform.testing.platform import InlinePlatform
from jobplatform.testing.wire import Waiting, Wire, message_of

logger = logging.getLogger(__name__)

NAME = "inline@test"


class Sink:
    """Where the news of the worker goes.

    :ivar stale: the lease is gone, so that what is said of the attempt is refused.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.stale = False

    def engage(self, tag: str) -> bool:
        """Hold the message."""
        return True

    def start(self, tag: str, entry: Callable[[], str]) -> bool:
        """Journal a start."""
        self.wire.journal(entry(), stale=self.stale)
        return True

    def note(self, text: str) -> None:
        """Journal an entry that settles no message."""
        self.wire.journal(text, stale=self.stale)

    def outcome(self, tag: str, text: str, result_key: str = "", result: str = "") -> None:
        """Journal an outcome."""
        self.wire.journal(text, stale=self.stale)


class Worker:
    """Run messages.

    :param faults: what is to go wrong.
    """

    def __init__(self, app: Any, platform: InlinePlatform, wire: Wire, faults: Faults) -> None:
        self.app = app
        self.platform = platform
        self.wire = wire
        self.faults = faults
        self.sink = Sink(wire)
        self.is_busy = False

    def run(self, waiting: Waiting) -> bool:
        """Run a message, and once more if it comes twice; tells whether its code is here."""
        task = self.app.tasks.get(waiting.envelope["headers"]["task"])
        if task is None:
            return False
        self._deliver(waiting, task)
        if self.faults.take("twice", waiting.task_id, task.name):
            self.sink.stale = True
            try:
                self._deliver(waiting, task)
            finally:
                self.sink.stale = False
        return True

    def _deliver(self, waiting: Waiting, task: Any) -> None:
        message = message_of(waiting, prepare_accept_content(self.app.conf.accept_content))
        run = Run(self, task.name)
        made = create_request_cls(JobRequest, task, run, NAME, None, app=self.app)
        Recording.direct = self.sink
        request = made(message, hostname=NAME, app=self.app, task=task)
        run.request = request
        self.is_busy = self.platform.in_worker = True
        try:
            request.execute_using_pool(run)
        except TaskRevokedError:
            logger.info("job %s is not begun: it came too late, or was cancelled", request.id)
        finally:
            self.is_busy = self.platform.in_worker = False


class Run:
    """The pool of one run: the job runs here and now, and what is planned goes wrong."""

    request: Any

    def __init__(self, worker: Worker, job_type: str) -> None:
        self.worker = worker
        self.job_type = job_type

    def apply_async(
        self, target: Callable[..., Any], args: Any, accept_callback: Any, callback: Any, error_callback: Any, **_: Any
    ) -> None:
        """Run a job and tell what came of it, unless its worker dies."""
        faults, job_id = self.worker.faults, self.request.job_id
        crash = None if self.worker.sink.stale else faults.take("crash", job_id, self.job_type)
        stale = None if self.worker.sink.stale else faults.take("stale", job_id, self.job_type)
        accept_callback(os.getpid(), time.monotonic())
        if crash == "before":
            self._lose()
            return
        if stale == "before":
            self._lose()
        try:
            faults.arm(crash)
            value = target(*args)
            if crash is not None:
                raise Crashed(crash)
        except Crashed:
            self._lose()
            return
        except SystemExit as error:
            self._tell(stale, error_callback, _lost(error))
            return
        finally:
            faults.arm(None)
        if stale == "after":
            self._lose()
        self._tell(stale, callback, value)

    def _tell(self, stale: str | None, callback: Callable[[Any], Any], value: Any) -> None:
        sink = self.worker.sink
        before, sink.stale = sink.stale, sink.stale or stale is not None
        try:
            callback(value)
        finally:
            sink.stale = before

    def _lose(self) -> None:
        """Journal that no worker holds the attempt any more, as the rescuer does."""
        now = self.worker.platform.clock()
        request = self.request
        self.worker.wire.journal(entry.lost(request.job_id, request.attempt, NAME, request.started_at, now))


def _lost(error: SystemExit) -> ExceptionInfo:
    try:
        raise WorkerLostError(f"the job ended its process: {error!r}") from error
    except WorkerLostError:
        return ExceptionInfo(sys.exc_info())
