"""The jobs that a schedule's times become: pure functions of its row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobplatform.records import new_job_id
from jobplatform.scheduling.misfire import Misfire, Policy

_EMPTY = {"args": [], "kwargs": {}}


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What the code says of a job type, beyond what its schedules say."""

    max_retries: int = 5
    timeout: float | None = None
    soft_timeout: float | None = None
    retry_rule: Mapping[str, Any] | None = None


def misfire_of(row: Mapping[str, Any]) -> Misfire:
    """Read what a row says about missed times."""
    return Misfire(
        Policy(row["misfire"]),
        timedelta(seconds=row["misfire_grace"]),
        timedelta(seconds=row["misfire_window"]),
        row["misfire_cap"],
    )


def job_of(row: Mapping[str, Any], fire: datetime, now: datetime, facts: TypeFacts) -> dict[str, Any]:
    """Give the values of the job that one fire of a schedule is; the same fire always has the same id."""
    due = fire + delay_of(row, fire)
    return {
        "job_id": new_job_id(fire.timestamp(), _noise(10, row["schedule_id"], fire)),
        "job_type": row["job_type"],
        "payload": _filled(row["payload_template"] or _EMPTY, {"{fire_at}": fire.isoformat(), "{name}": row["name"]}),
        "queue": row["queue"],
        "priority": row["priority"],
        "status": "SCHEDULED" if due > now else "PENDING",
        "scheduled_at": due.timestamp() if due > now else None,
        "due_at": due.timestamp(),
        "schedule_id": row["schedule_id"],
        "fire_at": fire.timestamp(),
        "max_retries": facts.max_retries,
        "timeout": facts.timeout,
        "soft_timeout": facts.soft_timeout,
        "retry_rule": facts.retry_rule,
    }


def delay_of(row: Mapping[str, Any], fire: datetime) -> timedelta:
    """Give the time by which a job comes later: ``spread`` is fixed for each schedule, ``jitter`` for each fire."""
    spread = row["spread"] * _share(row["name"])
    return timedelta(seconds=spread + row["jitter"] * _share(row["name"], fire))


def _share(*of: Any) -> float:
    """Give a number from 0 to 1 that is always the same for the same things."""
    return int.from_bytes(_noise(6, *of)) / 2**48


def _noise(size: int, *of: Any) -> bytes:
    return hashlib.blake2b(repr(of).encode(), digest_size=size).digest()


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    if isinstance(template, str):
        for name, value in values.items():
            template = template.replace(name, value)
        return template
    if isinstance(template, list):
        return [_filled(item, values) for item in template]
    if isinstance(template, dict):
        return {key: _filled(item, values) for key, item in template.items()}
    return template


def payload_text(template: Mapping[str, Any]) -> str:
    """Write a payload template as its column holds it."""
    return json.dumps(template, separators=(",", ":"))
