"""Results: from Redis while fresh, from PostgreSQL for ever after."""

from __future__ import annotations

import time
from typing import Any

from celery import states as celery_states
from celery.backends.redis import RedisBackend, ResultConsumer

from jobplatform.errors import Superseded
from jobplatform.jobs.platform import platform_of
from jobplatform.jobs.retry import DEFAULT, hopelessness
from jobplatform.journal.failure import describe
from jobplatform.records import job_id_of
from jobplatform.secrecy.sealing import is_sealed, unseal
from jobplatform.states import State

#: What Celery's clients call our states.
_CELERY_STATES = {
    State.COMPLETED: celery_states.SUCCESS,
    State.FAILED: celery_states.FAILURE,
    State.CANCELLED: celery_states.REVOKED,
    State.PROCESSING: celery_states.STARTED,
    State.RETRYING: celery_states.RETRY,
}


class JobResultConsumer(ResultConsumer):  # type: ignore[misc]
    """Wait for results on their channels; what was published before the subscription is looked up now and then."""

    _pause = 0.01
    _look_at = 0.0

    def start(self, initial_task_id: str, **kwargs: Any) -> None:
        """Begin to wait, with a quick first look."""
        self._pause = 0.01
        super().start(initial_task_id, **kwargs)

    def on_wait_for_pending(self, result: Any, **kwargs: Any) -> None:
        """Begin to wait for one more result, with a quick first look."""
        self._pause = 0.01
        super().on_wait_for_pending(result, **kwargs)

    def drain_events(self, timeout: float | None = None) -> None:
        """Wait for the next result; at growing intervals, up to half a second, those awaited are looked up."""
        super().drain_events(min(timeout, self._pause) if timeout is not None else self._pause)
        now = time.monotonic()
        if now < self._look_at:
            return
        self._pause = min(0.5, self._pause * 1.5)
        self._look_at = now + self._pause
        pending: Any = self._pending_results
        for task_id in list(getattr(pending, "concrete", pending) or ()):
            meta = self.backend.get_task_meta(task_id, cache=False)
            if meta["status"] in celery_states.READY_STATES:
                self.on_state_change(meta, None)


class JobBackend(RedisBackend):  # type: ignore[misc]
    """Celery's Redis backend, but for who writes: the worker's commit keeps results fresh, the mirror for ever."""

    ResultConsumer = JobResultConsumer

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing at submit; who waits subscribes when it begins to wait."""

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Leave results to the worker's commit, which knows whether the attempt was still this worker's."""
        return result

    def mark_as_failure(self, task_id: str, exc: Any, traceback: Any = None, request: Any = None, *args: Any,
                        **kwargs: Any) -> None:  # fmt: skip
        """Tell links and chords of a failure, unless another attempt follows or has taken over."""
        if not self._another_attempt(exc, request):
            super().mark_as_failure(task_id, exc, traceback, request, *args, **kwargs)

    def _another_attempt(self, exc: Any, request: Any) -> bool:
        if isinstance(exc, Superseded):
            return True
        declared = getattr(self.app.tasks.get(getattr(request, "task", None)), "job", None)
        if declared is None or not isinstance(exc, BaseException):
            return False
        error = describe(exc, None, 0.0)
        rule = declared.retry or DEFAULT
        return hopelessness(error, request.retries or 0, declared.max_retries, rule) is None

    def get_task_meta(self, task_id: str, cache: bool = True) -> Any:
        """Read a job's state and result, from Redis while they are fresh there and else from its row."""
        if cache and task_id in self._cache:
            return self._cache[task_id]
        meta = self._fresh(task_id)
        if meta is None:
            meta = self._from_row(task_id)
        if cache and meta["status"] in celery_states.READY_STATES:
            self._cache[task_id] = meta
        return meta

    def _fresh(self, task_id: str) -> Any:
        try:
            raw = self.client.get(self.get_key_for_task(task_id))
        except self.connection_errors:
            return None
        return self._opened(self.decode_result(raw)) if raw else None

    def _opened(self, meta: Any) -> Any:
        """Give what is known of a job with its result decrypted, where this process has the key."""
        ring = platform_of(self.app).settings.encryption_keys
        if ring and is_sealed(meta.get("result")):
            meta["result"] = unseal(ring, meta["result"])
        return meta

    def _from_row(self, task_id: str) -> dict[str, Any]:
        from jobplatform.store.database import UNREACHABLE
        from jobplatform.store.results import read_result

        meta: dict[str, Any] = {"status": celery_states.PENDING, "result": None, "task_id": task_id}
        platform = platform_of(self.app)
        if not platform.settings.database_url:
            return meta
        try:
            row = platform.database.once(lambda session: read_result(session, job_id_of(task_id)))
        except UNREACHABLE:
            return meta
        return meta if row is None else self._opened(self._meta_of(row, meta))

    def _meta_of(self, row: Any, meta: dict[str, Any]) -> dict[str, Any]:
        state = _CELERY_STATES.get(row["status"], celery_states.PENDING)
        meta.update(status=state, result=row["result"], traceback=row["traceback"], date_done=row["completed_at"],
                    name=row["job_type"], retries=row["retry_count"], worker=row["worker_id"])  # fmt: skip
        if state == celery_states.REVOKED or (state in celery_states.EXCEPTION_STATES):
            module, _, name = (row["error_type"] or "Revoked").rpartition(".")
            error = {"exc_type": name, "exc_message": [row["error_message"] or ""], "exc_module": module or "builtins"}
            if state == celery_states.REVOKED:
                error.update(exc_type="TaskRevokedError", exc_module="celery.exceptions")
            meta["result"] = self.exception_to_python(error)
        return meta
