"""What a pool process does with a job: run it, and hand back its result as the JSON text that the journal keeps."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo
from celery._state import current_app
from celery.app.trace import trace_task
from celery.signals import task_failure, task_retry
from celery.utils.nodenames import gethostname
from kombu.serialization import loads, prepare_accept_content

from jobplatform.errors import ResultTooLarge, SealError
from jobplatform.journal.failure import describe
from jobplatform.journal.recording import Recording
from jobplatform.journal.result import encode_result
from jobplatform.masking import mask_text, of_job, secrets_in
from jobplatform.records import job_id_of
from jobplatform.secrecy.sealing import MARK, RESULT, is_sealed, seal, unseal_payload, unsealed


class Outcome(NamedTuple):
    """What a job gave: its result as JSON text, the CPU seconds it took, and the peak memory of its process in KiB."""

    result: str
    cpu_seconds: float
    peak_rss: int


class Failure(NamedTuple):
    """How a job failed: what Celery keeps of the exception, and what the exception itself told.

    An exception that cannot be pickled, as that of an HTTP client which holds its connection, comes out of a pool
    process as one of a base class, without what it had to say.
    """

    error: Any
    told: dict[str, Any]


_MARK = MARK.encode()
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


def trace_job(
    name: str, uuid: str, request: dict[str, Any], body: Any, content_type: str, encoding: str, limit: int
) -> tuple[int, Any, float]:
    """Run a job as Celery's ``trace_task_ret`` does, but keep its value and not the ``repr`` of it.

    :param limit: the largest result kept, in bytes.
    :returns: whether it failed; its outcome, or the exception; the seconds that it ran.
    """
    app = current_app._get_current_object()
    marked = _is_marked(body)
    if content_type:
        body = loads(body, content_type, encoding, accept=_accepted(app))
    args, kwargs, embed = body
    declared = getattr(app.tasks[name], "job", None)
    if marked:
        try:
            args, kwargs = _unsealed(args, kwargs, job_id_of(uuid), name)
        except SealError:
            return 1, ExceptionInfo(), 0.0
    secrets = _secrets_of(declared, args, kwargs) if declared is not None else None
    token = of_job.set(secrets) if secrets else None
    request.update(
        {"args": args, "kwargs": kwargs, "hostname": request.get("hostname") or _hostname(), "is_eager": False},
        **embed or {},
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    _told[uuid] = {}
    try:
        value, failure, runtime, _ = trace_task(app.tasks[name], uuid, args, kwargs, request, app=app)
    finally:
        told = _told.pop(uuid, {})
        if token is not None:
            of_job.reset(token)
    if failure:
        if secrets:
            told, value = _masked(told, value, secrets())
        return 1, Failure(value, told), runtime
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    try:
        text = encode_result(value, limit)
        if declared is not None and declared.encrypt:
            text = json.dumps(seal(Recording.sealing, text, job_id_of(uuid), name, RESULT), separators=(",", ":"))
        return 0, Outcome(text, round(cpu, 6), after.ru_maxrss), runtime
    except (ResultTooLarge, SealError):
        return 1, ExceptionInfo(), runtime


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


def _secrets_of(declared: Any, args: Any, kwargs: Any) -> Callable[[], list[str]] | None:
    """Give what names the values of a job that no log and no error may tell; None where there are none."""
    if declared.encrypt:
        return lambda: secrets_in([args, kwargs], ("0", "1"))
    if declared.secret:
        return lambda: secrets_in({"args": args, "kwargs": kwargs}, declared.secret_paths)
    return None


def _masked(told: dict[str, Any], value: Any, secrets: list[str]) -> tuple[dict[str, Any], Any]:
    """Take what is secret of a job out of what is told of its failure."""
    told = {name: mask_text(text, secrets) if isinstance(text, str) else text for name, text in told.items()}
    if isinstance(getattr(value, "traceback", None), str):
        value.traceback = mask_text(value.traceback, secrets)
    return told, value
