"""What a pool process does with a job: run it, and hand back its result as the JSON text that the journal keeps."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo
from celery._state import current_app
from celery.app.trace import trace_task
from celery.signals import task_failure, task_retry
from celery.utils.nodenames import gethostname
from kombu.serialization import loads, prepare_accept_content

from jobplatform.errors import ResultTooLarge, SealError
from jobplatform.journal.capture import Capturing, rule_of
from jobplatform.journal.failure import describe
from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.journal.recording import Recording
from jobplatform.journal.result import encode_result
from jobplatform.masking import mask_text, of_job, secrets_in
from jobplatform.metrics.tracing import TRACING
from jobplatform.records import job_id_of
from jobplatform.secrecy.sealing import MARK, RESULT, is_sealed, seal, unseal_payload, unsealed


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


_MARK = MARK.encode()
#: Names the values that are secret of a job.
Secrets = Callable[[], Sequence[str]]
_SHOWING: AbstractContextManager[None] = nullcontext()
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
    task, marked = app.tasks[name], _is_marked(body)
    if content_type:
        body = loads(body, content_type, encoding, accept=_accepted(app))
    args, kwargs, embed = body
    if marked:
        try:
            args, kwargs = _unsealed(args, kwargs, job_id_of(uuid), name)
        except SealError:
            return 1, ExceptionInfo(), 0.0
    secrets = _secrets_of(getattr(task, "job", None), args, kwargs)
    request.update(
        {"args": args, "kwargs": kwargs, "hostname": request.get("hostname") or _hostname(), "is_eager": False},
        **embed or {},
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    value, told, logs, runtime = _run(task, uuid, args, kwargs, request, secrets)
    if told is not None:
        return 1, _failure(value, {**told, "logs": logs} if logs else told, secrets), runtime
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    try:
        return 0, Outcome(_written(task, uuid, value, limit), round(cpu, 6), after.ru_maxrss, logs), runtime
    except (ResultTooLarge, SealError):
        return 1, ExceptionInfo(), runtime


class _Ran(NamedTuple):
    """What a job gave or failed with, what is told of the failure if it was one, and what is kept of its log."""

    value: Any
    told: dict[str, Any] | None
    logs: dict[str, Any] | None
    runtime: float


def _run(task: Any, uuid: str, args: Any, kwargs: Any, request: dict[str, Any], secrets: Secrets | None) -> _Ran:
    """Run the code of a job, and hear what it logs."""
    rule = rule_of(task)
    mask = Recording.mask if secrets is None else partial(_masked, secrets)
    _told[uuid] = {}
    with (
        _SHOWING if secrets is None else _hiding(secrets),
        Capturing(rule != "off", uuid, request, mask) as capture,
        _span(task.name, uuid, request) as span,
    ):
        try:
            value, failure, runtime, _ = trace_task(task, uuid, args, kwargs, request, app=task.app)
        finally:
            told = _told.pop(uuid, {})
        if span is not None:
            TRACING.end(span, told.get("type", "failed") if failure else None, attempt_of(request))
    logs = capture.taken(mask) if capture is not None and (failure or rule == "on") else None
    return _Ran(value, told if failure else None, logs, runtime)


@contextmanager
def _hiding(secrets: Secrets) -> Iterator[None]:
    """Let what the job logs in a block tell none of its secrets."""
    token = of_job.set(secrets)
    try:
        yield
    finally:
        of_job.reset(token)


def _masked(secrets: Secrets, text: str) -> str:
    return mask_text(text, secrets())


def _written(task: Any, uuid: str, value: Any, limit: int) -> str:
    """Write the result of a job, encrypted if its type says so.

    :raises ResultTooLarge: when it is.
    :raises SealError: when there is no key.
    """
    text = encode_result(value, limit)
    declared = getattr(task, "job", None)
    if declared is None or not declared.encrypt:
        return text
    return json.dumps(seal(Recording.sealing, text, job_id_of(uuid), task.name, RESULT), separators=(",", ":"))


def _is_marked(body: Any) -> bool:
    """Tell whether something in a body may be encrypted, at the cost of one look through its text."""
    if isinstance(body, bytes):
        return _MARK in body
    return MARK in body if isinstance(body, str) else True


def _unsealed(args: Any, kwargs: Any, job_id: str, name: str) -> tuple[Any, Any]:
    """Decrypt the arguments of a job, and results of others among them.

    :raises SealError: when that cannot be done.
    """
    ring = Recording.sealing
    if is_sealed(kwargs):
        args, kwargs = unseal_payload(ring, args, kwargs, job_id, name)
    return unsealed(ring, args), unsealed(ring, kwargs)


def _secrets_of(declared: Any, args: Any, kwargs: Any) -> Secrets | None:
    """Give what names the values of a job that no log and no error may tell; None where there are none."""
    if declared is None or not (declared.encrypt or declared.secret):
        return None
    if declared.encrypt:
        return cache(lambda: secrets_in([args, kwargs], ("0", "1")))
    return cache(lambda: secrets_in({"args": args, "kwargs": kwargs}, declared.secret_paths))


def _failure(value: Any, told: dict[str, Any], secrets: Secrets | None) -> Failure:
    """Give how a job failed, without what is secret of it."""
    if secrets is None:
        return Failure(value, told)
    told = {name: _masked(secrets, text) if isinstance(text, str) else text for name, text in told.items()}
    if isinstance(getattr(value, "traceback", None), str):
        value.traceback = _masked(secrets, value.traceback)
    return Failure(value, told)
