"""``@job``: a function becomes a job type."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from celery import shared_task

from jobplatform.errors import JobOptionError
from jobplatform.jobs.options import JOB_OPTIONS, JobOptions, refuse_unknown
from jobplatform.jobs.retry import DEFAULT, RetryRule
from jobplatform.jobs.schedule import Schedule
from jobplatform.jobs.signature import Signature
from jobplatform.jobs.task import JobTask
from jobplatform.jobs.unique import Unique


@overload
def job(function: Callable[..., Any]) -> JobTask: ...


@overload
def job(
    *,
    name: str | None = None,
    queue: str | None = None,
    priority: int = 1,
    max_retries: int = 5,
    timeout: float | None = None,
    soft_timeout: float | None = None,
    deadline: float | None = None,
    retry: RetryRule | Mapping[str, Any] = DEFAULT,
    payload: type | None = None,
    tags: Sequence[str] = (),
    schedule: str | Schedule | None = None,
    timezone: str | None = None,
    unique: Unique | None = None,
    limit_key: str | None = None,
    units: int = 1,
    slots: int | None = None,
    rate: str | None = None,
    duration_key: Sequence[str] = (),
    long_queue: str | None = None,
    long_after: float | None = None,
    large_queue: str | None = None,
    secret: Sequence[str] = (),
    encrypt: bool = False,
    tool: bool | str = False,
    logs: bool | None = None,
    bind: bool = False,
) -> Callable[[Callable[..., Any]], JobTask]: ...


def job(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Declare a job type, for every attached Celery application of the process.

    Options: ``name``, ``queue``, ``priority`` (1 to 5, 5 the most urgent), ``max_retries``, ``timeout``,
    ``soft_timeout`` and ``deadline`` (seconds), ``retry`` (a ``RetryRule``, or a mapping of its fields), ``payload``
    (a pydantic model of the keyword arguments), ``tags``, ``schedule`` (when it runs by itself: a cron line in the zone
    ``timezone``, or a ``Schedule``), ``unique`` (a ``Unique``), ``slots`` and ``rate`` (how many of its jobs run at
    once, and begin in a time, over all workers), ``limit_key`` and ``units`` (whose limits they share, and how much of
    them each takes), ``duration_key`` (names of arguments whose values tell how long a job takes), ``long_queue`` and
    ``long_after`` (where jobs go that may take longer than so many seconds), ``large_queue`` (where they go while they
    are found to take much memory), ``secret`` (names of arguments, or paths into them, that are masked), ``encrypt``
    (keep arguments and results so that only who has the key can read them), ``tool`` (whether agents are offered to
    submit its jobs), ``logs`` (whether what attempts log is kept with them), ``bind`` (pass the task itself first).

    :raises JobOptionError: at import, when an option is unknown or out of range.
    """
    refuse_unknown(options, JOB_OPTIONS, "@job")
    if function is None:
        return functools.partial(_declare, options)
    if not callable(function):
        raise JobOptionError(f"@job: {function!r} is no function; write @job or @job(name=...)")
    return _declare(options, function)


def _declare(options: dict[str, Any], function: Callable[..., Any]) -> JobTask:
    options = dict(options)
    bind = bool(options.pop("bind", False))
    signature = Signature.of(function, options.pop("payload", None), bind)
    name = options.pop("name", None) or f"{function.__module__}.{function.__qualname__}"
    coerced = _coerced(options)
    declared = JobOptions(name, signature, **{**options, **coerced})
    made: JobTask = shared_task(
        name=name,
        base=JobTask,
        bind=bind,
        typing=False,
        job=declared,
        max_retries=declared.max_retries,
        time_limit=declared.timeout,
        soft_time_limit=declared.soft_timeout,
        acks_late=True,
        # What an encrypted job gives back is in no line of the log.
        **({"resultrepr_maxsize": 0} if declared.encrypt else {}),
    )(_checked(function, signature, bind))
    return made


def _coerced(options: dict[str, Any]) -> dict[str, Any]:
    retry = options.get("retry", DEFAULT)
    if isinstance(retry, Mapping):
        refuse_unknown(retry, set(RetryRule.__dataclass_fields__), "@job retry")
        retry = RetryRule(**retry)
    tags = options.get("tags", ())
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise JobOptionError(f"tags: {tags!r} is no list of texts; give them as ('a', 'b')")
    listed = {}
    for option in ("duration_key", "secret"):
        names = options.get(option, ())
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise JobOptionError(f"{option}: {names!r} is no list of names; give it as ('country', 'rows')")
        listed[option] = tuple(names)
    when = options.get("schedule")
    timezone = options.pop("timezone", None)
    if isinstance(when, str):
        when = Schedule(when, timezone or "UTC")
    elif timezone is not None:
        raise JobOptionError("timezone: it stands beside a schedule that is a text; give it to the Schedule")
    return {"retry": retry, "tags": tuple(tags), "schedule": when, **listed}


def _checked(function: Callable[..., Any], signature: Signature, bind: bool) -> Callable[..., Any]:
    if bind:

        @functools.wraps(function)
        def run_bound(task: Any, /, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = signature.convert(args, kwargs)  # type: ignore[assignment]
            return function(task, *args, **kwargs)

        return run_bound

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = signature.convert(args, kwargs)  # type: ignore[assignment]
        return function(*args, **kwargs)

    return run
