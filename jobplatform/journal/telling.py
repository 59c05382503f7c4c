"""The part of a request that tells the journal what becomes of an attempt, and keeps its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jobplatform.journal import entry
from jobplatform.journal.bounded import BoundedRequest
from jobplatform.journal.capture import attempt_key
from jobplatform.journal.deeds import DEEDS
from jobplatform.journal.entry import Kind
from jobplatform.journal.inbound import ENQUEUED_HEADER
from jobplatform.journal.recording import Recording, sink_of
from jobplatform.journal.result import result_meta
from jobplatform.journal.shared_log import SHARED_FILES
from jobplatform.journal.tracer import Outcome, attempt_of
from jobplatform.masking import mask_text, secrets_in
from jobplatform.metrics.tracing import TRACING
from jobplatform.records import job_id_of

#: What an error says in texts, and which events say it.
_TEXTS = frozenset({"message", "traceback"})
_TOLD = frozenset({"exception", "traceback"})
_TELLING = frozenset({"task-failed", "task-retried"})
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class TellingRequest(BoundedRequest):
    """Celery's request, which can tell the journal how its attempt went: one outcome an attempt."""

    _outcome_known = False
    #: Seconds since the epoch.
    started_at: float | None = None
    _head: str | None = None
    #: Where its message was taken from.
    queue = ""
    #: The row of a message that was published without one.
    _row = ""
    #: What the exception told where it was raised.
    _told: Mapping[str, Any] = MappingProxyType({})
    #: Whether what ran its code has told how it ended.
    _ended_itself = False
    #: What its code logged, as far as it said so itself.
    _logs: Mapping[str, Any] | None = None

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return attempt_of(self._request_dict)

    @property
    def job_id(self) -> str:
        """The id of the job's row."""
        return self.id if _UUID.fullmatch(self.id) else job_id_of(str(self.id))

    def head(self) -> str:
        """Give what all journal entries of this attempt share."""
        if self._head is None:
            enqueued = self._request_dict.get(ENQUEUED_HEADER) if not self._row else None
            self._head = entry.attempt_head(
                self.job_id, self.attempt, self._hostname, self.worker_pid, enqueued, self._row
            )
        return self._head

    def record_success(self, outcome: Outcome) -> None:
        """Journal that the job completed."""
        now = Recording.clock()
        key, meta = ("", "") if self.ignore_result else result_meta(self.id, outcome.result, now)
        start = now if self.started_at is None else self.started_at
        text = entry.completed(self.head(), start, now, *outcome)
        self._tell(text, key, meta)

    def record_failure(self, error: dict[str, Any], kind: Kind = Kind.FAILED) -> None:
        """Journal that the attempt failed, or that the job was cancelled."""
        declared = getattr(self.task, "job", None)
        if declared is not None:
            known = {"retry_rule": declared.retry.as_row(), "max_retries": declared.max_retries}
            error = {**error, "declared": known}
        if Recording.release:
            error = {**error, "release": Recording.release}
        error = _without_secrets(error, _secrets(self, declared))
        failed = kind is Kind.FAILED and not error.get("interrupted")
        logs = self._log()
        self._tell(entry.ended(kind, self.head(), self.started_at, Recording.clock(), error, logs), failed=failed)

    def _log(self) -> Mapping[str, Any] | None:
        """Give what its code logged, as it said or, if it was killed, as its process has written."""
        return self._logs or SHARED_FILES.read(self.worker_pid, attempt_key(self.id, self._request_dict))

    def send_event(self, type: str, **fields: Any) -> None:
        """Send an event to who watches; of a failure it tells no secrets."""
        if type in _TELLING:
            secrets = _secrets(self, getattr(self.task, "job", None))
            fields = {
                name: mask_text(value, secrets) if isinstance(value, str) and name in _TOLD else value
                for name, value in fields.items()
            }
        super().send_event(type, **fields)

    def _tell(self, text: str, result_key: str = "", result: str = "", failed: bool = False) -> None:
        if self._outcome_known:
            return
        self._outcome_known = True
        if self.started_at is not None:
            if TRACING.on and not self._ended_itself:
                self._span(self.started_at)
            DEEDS.end(self.queue, self.name, failed)
        sink = sink_of(self.message)
        if self.acknowledged:
            sink.note(text)
        else:
            sink.outcome(self.message.delivery_tag, text, result_key, result)

    def _span(self, started_at: float) -> None:
        """Span the attempt, as whatever ran it cannot any more."""
        TRACING.killed(
            self._request_dict, self.queue, self.name, self.job_id, attempt=self.attempt, began=started_at,
            ended=Recording.clock(), error="killed",
        )  # fmt: skip


def _secrets(request: TellingRequest, declared: Any) -> list[str]:
    """Name the values that no text of a job may tell; those of an encrypted one are taken out where it runs."""
    if declared is None or not declared.secret or declared.encrypt:
        return []
    return secrets_in({"args": request._args, "kwargs": request._kwargs}, declared.secret_paths)


def _without_secrets(error: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    """Take secrets out of the texts of an error."""
    return {
        name: mask_text(value, secrets) if name in _TEXTS and isinstance(value, str) else value
        for name, value in error.items()
    }
