"""Signals and the Request class of a worker's main process, turned into journal entries: one outcome an attempt."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import ref

from celery.exceptions import (
    Ignore,
    InvalidTaskError,
    Reject,
    Retry,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
)
from celery.utils.functional import maybe
from celery.worker import state as worker_state
from celery.worker.request import Request
from celery.worker.state import task_ready
from kombu.exceptions import DecodeError

from jobplatform.journal import entry
from jobplatform.journal.deeds import DEEDS
from jobplatform.journal.entry import Kind
from jobplatform.journal.failure import describe, describe_death, describe_interruption, describe_text, seconds_from
from jobplatform.journal.foreign import ForeignMessage
from jobplatform.journal.inbound import (
    ATTEMPT_HEADER,
    UNREADABLE,
    check_body,
    check_headers,
    check_signature,
    queue_of,
    size_of,
)
from jobplatform.journal.processes import last_reading
from jobplatform.journal.recording import Recording, sink_of
from jobplatform.journal.telling import TellingRequest
from jobplatform.journal.tracer import Failure, trace_job
from jobplatform.journal.unfinished import GivenBack, Interrupted, Replaced


class JobRequest(TellingRequest):
    """Celery's request, with what Celery does to it told to the journal."""

    _in_thread = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Replace what the class that Celery generates would shadow: how the job runs, and what its success says."""
        super().__init_subclass__(**kwargs)
        made = cls.__dict__.get("on_success")
        if made is not None and cls.__module__ == Request.__module__:

            def on_success(self: JobRequest, result: Any, **options: Any) -> Any:
                failed, value, runtime = result
                self._ended_itself = True
                if isinstance(value, Failure):
                    value, told = value
                    self._logs = told.pop("logs", None)
                    self._told = told
                elif not failed:
                    self.record_success(value)
                    value = value.result
                return made(self, (failed, value, runtime), **options)

            cls.on_success = on_success
            cls.execute_using_pool = JobRequest._execute_using_pool

    def _execute_using_pool(self, pool: Any, **_: Any) -> Any:
        if self.revoked():
            raise TaskRevokedError(self.id)
        self._in_thread = hasattr(pool, "executor")
        if not self._in_thread:
            self._process_pool = pool if getattr(pool, "_pool", None) is not None else None
            sink_of(self.message).engage(self.message.delivery_tag)
        hard, soft = self._bounded_limits()
        request = self._request_dict.copy()
        request.pop("args", None)
        request.pop("kwargs", None)
        result = pool.apply_async(
            trace_job,
            args=(
                self._type,
                self.id,
                request,
                self._body,
                self._content_type,
                self._content_encoding,
                Recording.result_limit,
            ),
            accept_callback=self.on_accepted,
            timeout_callback=self.on_timeout,
            callback=self.on_success,
            error_callback=self.on_failure,
            soft_timeout=soft,
            timeout=hard,
            correlation_id=self.id,
        )
        self._apply_result = maybe(ref, result)
        return result

    def __init__(self, message: Any, headers: Any = None, **options: Any) -> None:
        try:
            given = message.headers if headers is None else headers
            check_headers(given)
            self.queue = queue_of(message)
            check_signature(message)
            super().__init__(message, headers=headers, **options)
            embed = (self._body if self._decoded else message.payload)[2]
            check_body(self._args, self._kwargs, embed)
            if self._eta is not None:
                # Only messages of others have one, and Celery waits for it by this machine's clock.
                self._eta += timedelta(seconds=time.time() - Recording.clock())
            if self.expires is None and self.deadline is not None:
                # Only messages of others have a deadline alone.
                self.expires = datetime.fromtimestamp(self.deadline, UTC)
            if ATTEMPT_HEADER not in given:
                self._row = self._foreign(given, embed or {}).row(self._task)
        except (*UNREADABLE, DecodeError) as error:
            raise InvalidTaskError(f"the message cannot be read: {error}") from error

    def _foreign(self, headers: Any, embed: Any) -> ForeignMessage:
        size = size_of(self.message)
        if size > Recording.message_limit:
            raise ValueError(f"it has {size} bytes, and {Recording.message_limit} are the most")
        return ForeignMessage(self.message, headers, self._args, self._kwargs, embed, self.queue)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Journal the start, then do what Celery does.

        :raises GivenBack: in the thread that was to run the job, when it has gone back meanwhile.
        """
        self.worker_pid = pid
        at = self.started_at = Recording.clock() - (time.monotonic() - time_accepted)
        # A process was asked before it was handed the job; a thread has been given it long before it begins.
        lost = self._in_thread and (self._is_lost() or (self.expires is not None and self.revoked()))
        held = sink_of(self.message).start(self.message.delivery_tag, lambda: entry.started(self.head(), at))
        if self._in_thread and (lost or not held):
            self._pass_over()
            raise GivenBack(self.id)
        DEEDS.start(self.queue, self.name)
        super().on_accepted(pid, time_accepted)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Journal how the attempt ended, then do what Celery does."""
        error = getattr(exc_info.exception, "exc", None)
        error = error if isinstance(error, BaseException) and not isinstance(exc_info.exception, Retry) else None
        error = error or exc_info.exception
        self._record_error(error, getattr(exc_info, "traceback", None))
        if isinstance(error, MemoryError) or self._is_interruption(error):
            task_ready(self)
            self.acknowledge()
            return None
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def _record_error(self, error: BaseException, traceback: str | None) -> None:
        now = Recording.clock()
        if self._is_interruption(error):
            self.record_failure(describe_interruption(self._hostname, self._interrupted_after))
        elif isinstance(error, Terminated | Replaced) or (isinstance(error, SystemExit) and self._already_revoked):
            return
        elif isinstance(error, Reject):
            if not error.requeue:
                self.record_failure({**describe_text("Reject", str(error.reason)), "final": True})
        elif isinstance(error, Interrupted):
            self.record_failure({**describe_text("Interrupted", str(error)), "interrupted": True})
        elif isinstance(error, Ignore):
            self._tell(entry.completed(self.head(), self.started_at or now, now, "null"))
        elif isinstance(error, Retry):
            self.record_failure(self._describe_retry(error, traceback, now))
        elif isinstance(error, SystemExit | KeyboardInterrupt):
            lost = WorkerLostError(f"the job ended its process: {error!r}")
            self.record_failure(describe(lost, traceback, now))
        elif isinstance(error, WorkerLostError):
            self.record_failure(describe_death(error, self.worker_pid, last_reading(self.worker_pid), now))
        else:
            value = self._describe(error, traceback, now)
            self.record_failure(value if "deadline" in value else {**value, **self._told})

    def _describe_retry(self, retry: Retry, traceback: str | None, now: float) -> dict[str, Any]:
        cause = retry.exc if isinstance(retry.exc, BaseException) else retry
        value = {**describe(cause, traceback, now), **self._told}
        value["asked"] = seconds_from(retry.when, now) or 0.0
        return value

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Journal a hard time limit; Celery reports it twice, and the journal keeps the first."""
        if not soft:
            self.record_failure(self._describe(TimeLimitExceeded(timeout), None, Recording.clock()))
        super().on_timeout(soft, timeout)

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        what = self._lateness() if expired else "Revoked"
        self.record_failure(describe_text(what, f"{reason}{f' by {signum}' if signum else ''}"), Kind.CANCELLED)
        super()._announce_revoked(reason, terminated, signum, expired)

    def maybe_expire(self) -> bool:
        """Tell whether the job came too late, by the time of the stores."""
        if self.expires and Recording.clock() > self.expires.timestamp():
            worker_state.revoked.add(self.id)
            return True
        return False

    def acknowledge(self) -> None:
        """Settle the lease now; Celery does it in the next turn of its loop, which in the solo pool may be far."""
        committer = getattr(self.message.channel, "committer", None)
        if committer is not None and self.message.delivery_tag in committer.ledger.held:
            committer.ledger.settle(self.message.delivery_tag)
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        """Reject the message; one whose outcome is journalled is settled instead, so that it never loops."""
        if requeue and self._outcome_known:
            self.acknowledge()
        else:
            super().reject(requeue)
