"""What a pool process does with a job: run it, and hand back its result as the JSON text that the journal keeps."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo
from celery._state import current_app
from celery.app.trace import trace_task
from celery.signals import task_failure, task_retry
from celery.utils.nodenames import gethostname
from kombu.serialization import loads, prepare_accept_content

from jobplatform.errors import ResultTooLarge
from jobplatform.journal.capture import Capturing, rule_of
from jobplatform.journal.failure import describe
from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.journal.recording import Recording
from jobplatform.journal.result import encode_result
from jobplatform.metrics.tracing import TRACING
from jobplatform.records import job_id_of


class Outcome(NamedTuple):
    """What a job gave: its result as JSON text, the CPU seconds it took, and the peak memory of its process in KiB."""

    result: str
    cpu_seconds: float
    peak_rss: int
    logs: dict[str, Any] | None = None


class Failure(NamedTuple):
    """How a job failed: what Celery keeps of the exception, and what the exception itself told.

    An exception that cannot be pickled, as that of an HTTP client which holds its connection, comes out of a pool
    process as one of a base class, without what it had to say.
    """

    error: Any
    told: dict[str, Any]


_NO_SPAN: AbstractContextManager[Any] = nullcontext()
#: What is told of how the jobs that run here fail, by task id.
_told: dict[str, dict[str, Any]] = {}


def tell(task_id: str, **told: Any) -> None:
    """Add to what is told of a job that runs here, should it fail."""
    if task_id in _told:
        _told[task_id].update(told)


def _hear(task_id: str, **_: Any) -> None:
    error = sys.exc_info()[1]
    if error is not None:
        tell(task_id, **describe(error, None, time.time()))


def _hear_retry(request: Any, reason: Any, **_: Any) -> None:
    if isinstance(reason.exc, BaseException):
        tell(request.id, **describe(reason.exc, None, time.time()))


task_failure.connect(_hear, weak=False)
task_retry.connect(_hear_retry, weak=False)


@cache
def _accepted(app: Any) -> Any:
    return prepare_accept_content(app.conf.accept_content)


@cache
def _hostname() -> str:
    return str(gethostname())


def _span(name: str, uuid: str, request: Mapping[str, Any]) -> AbstractContextManager[Any]:
    if not TRACING.on:
        return _NO_SPAN
    queue = str((request.get("delivery_info") or {}).get("routing_key") or "")
    return TRACING.processing(request, queue, name, job_id_of(uuid))


def attempt_of(request: Mapping[str, Any]) -> int:
    """Tell the number of an attempt, from 1, by what its message says."""
    given: int | None = request.get(ATTEMPT_HEADER)
    return given or int(request.get("retries") or 0) + 1


def trace_job(
    name: str, uuid: str, request: dict[str, Any], body: Any, content_type: str, encoding: str, limit: int
) -> tuple[int, Any, float]:
    """Run a job as Celery's ``trace_task_ret`` does, but keep its value and not the ``repr`` of it.

    :param limit: the largest result kept, in bytes.
    :returns: whether it failed; its outcome, or the exception; the seconds that it ran.
    """
    app = current_app._get_current_object()
    if content_type:
        body = loads(body, content_type, encoding, accept=_accepted(app))
    args, kwargs, embed = body
    request.update(
        {"args": args, "kwargs": kwargs, "hostname": request.get("hostname") or _hostname(), "is_eager": False},
        **embed or {},
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    _told[uuid] = {}
    task = app.tasks[name]
    rule = rule_of(task)
    with Capturing(rule != "off", uuid, request) as capture, _span(name, uuid, request) as span:
        try:
            value, failure, runtime, _ = trace_task(task, uuid, args, kwargs, request, app=app)
        finally:
            told = _told.pop(uuid, {})
        if span is not None:
            TRACING.end(span, told.get("type", "failed") if failure else None, attempt_of(request))
    if failure:
        logs = capture and capture.taken(Recording.mask)
        return 1, Failure(value, {**told, "logs": logs} if logs else told), runtime
    logs = capture.taken(Recording.mask) if capture and rule == "on" else None
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    try:
        return 0, Outcome(encode_result(value, limit), round(cpu, 6), after.ru_maxrss, logs), runtime
    except ResultTooLarge:
        return 1, ExceptionInfo(), runtime
