"""Schedules that code declares: by ``@job(schedule=...)``, or as entries of Celery's ``beat_schedule``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab, schedule

from jobplatform.jobs.secrets import sealer_of, with_secrets
from jobplatform.scheduling.fires import TypeFacts

#: The columns of a declared row that its code need not name.
DEFAULTS: Mapping[str, Any] = {
    "timezone": "UTC",
    "priority": 1,
    "misfire": "once",
    "misfire_grace": 60.0,
    "misfire_window": 3600.0,
    "misfire_cap": 100,
    "overlap": "skip",
    "jitter": 0.0,
    "spread": 0.0,
}
#: What an entry of ``beat_schedule`` may say beside its task, time and arguments, to become a row.
_OPTIONS = {"queue", "priority"}


def rows_of_types(app: Any) -> Iterator[dict[str, Any]]:
    """Give the rows of the job types that declare when they run."""
    for name, task in sorted(app.tasks.items()):
        declared = getattr(task, "job", None)
        if declared is None or declared.schedule is None:
            continue
        yield {
            **DEFAULTS,
            **declared.schedule.as_row(),
            "name": name,
            "job_type": name,
            "priority": declared.priority,
            "queue": declared.queue or app.conf.task_default_queue,
        }


def rows_of_entries(app: Any) -> Iterator[dict[str, Any]]:
    """Give rows for those entries of ``beat_schedule`` that a row can hold."""
    for name, entry in app.conf.beat_schedule.items():
        expression = expression_of(entry["schedule"])
        options = entry.get("options") or {}
        if expression is None or not set(options) <= _OPTIONS:
            continue
        yield {
            **DEFAULTS,
            "name": name,
            "job_type": entry["task"],
            "cron_expression": expression,
            "timezone": str(getattr(entry["schedule"], "tz", None) or app.timezone),
            "payload_template": {"args": list(entry.get("args") or ()), "kwargs": dict(entry.get("kwargs") or {})},
            "overlap": "allow_all",
            "priority": options.get("priority") or 1,
            "queue": options.get("queue") or app.conf.task_default_queue,
        }


def expression_of(when: Any) -> str | None:
    """Write one of Celery's schedules as a row does, None when that cannot be.

    Where a crontab names days both of the month and of the week, Celery takes those that are both, and cron those that
    are either.
    """
    if isinstance(when, crontab):
        fields = [when._orig_minute, when._orig_hour, when._orig_day_of_month, when._orig_month_of_year]
        texts = ["".join(str(field).split()) for field in (*fields, when._orig_day_of_week)]
        return None if texts[2] != "*" != texts[4] else " ".join(texts)
    if type(when) is schedule:
        when = when.run_every
    if isinstance(when, BaseSchedule):
        return None
    seconds = when.total_seconds() if isinstance(when, timedelta) else float(when)
    return f"@every {seconds:g}s" if seconds >= 1 else None


def facts_of(app: Any, job_type: str) -> TypeFacts:
    """Tell what the code says of a job type, beyond what its schedules say."""
    declared = getattr(app.tasks.get(job_type), "job", None)
    if declared is None:
        return TypeFacts()
    return TypeFacts(
        declared.max_retries,
        declared.timeout,
        declared.soft_timeout,
        declared.retry.as_row(),
        declared.deadline,
        with_secrets(None, declared.hiding),
        sealer_of(app.jobplatform.settings.encryption_keys, job_type, declared.hiding),
    )
