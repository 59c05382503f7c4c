"""What a pool process does with a job: run it, and hand back its result as the JSON text that the journal keeps."""

from __future__ import annotations

import resource
from functools import cache
from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo
from celery._state import current_app
from celery.app.trace import trace_task
from celery.utils.nodenames import gethostname
from kombu.serialization import loads, prepare_accept_content

from jobplatform.errors import ResultTooLarge
from jobplatform.journal.result import encode_result


class Outcome(NamedTuple):
    """What a job gave: its result as JSON text, the CPU seconds it took, and the peak memory of its process in KiB."""

    result: str
    cpu_seconds: float
    peak_rss: int


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
    if content_type:
        body = loads(body, content_type, encoding, accept=_accepted(app))
    args, kwargs, embed = body
    request.update(
        {"args": args, "kwargs": kwargs, "hostname": request.get("hostname") or _hostname(), "is_eager": False},
        **embed or {},
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    value, failure, runtime, _ = trace_task(app.tasks[name], uuid, args, kwargs, request, app=app)
    if failure:
        return 1, value, runtime
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    try:
        return 0, Outcome(encode_result(value, limit), round(cpu, 6), after.ru_maxrss), runtime
    except ResultTooLarge:
        return 1, ExceptionInfo(), runtime
