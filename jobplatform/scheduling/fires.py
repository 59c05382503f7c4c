"""The jobs that a schedule's times become: pure functions of its row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobplatform.jobs.schedule import Misfire
from jobplatform.records import Edge, filled, new_job_id
from jobplatform.scheduling.misfire import Rule
from jobplatform.scheduling.overlap import Fire

_EMPTY: Mapping[str, Any] = {"args": [], "kwargs": {}}


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What the code says of a job type, beyond what its schedules say."""

    max_retries: int = 5
    timeout: float | None = None
    soft_timeout: float | None = None
    retry_rule: Mapping[str, Any] | None = None
    deadline: float | None = None
    message: Mapping[str, Any] | None = None
    #: Encrypts a payload: (payload, job id) -> payload; None where the type does not ask for it.
    seal: Callable[[Mapping[str, Any], str], Mapping[str, Any]] | None = None


def rule_of(row: Mapping[str, Any]) -> Rule:
    """Read what a row says about missed times."""
    return Rule(
        Misfire(row["misfire"]),
        timedelta(seconds=row["misfire_grace"]),
        timedelta(seconds=row["misfire_window"]),
        row["misfire_cap"],
    )


def id_of(row: Mapping[str, Any], at: datetime) -> str:
    """Give the id of the job that a schedule's time becomes, which is always the same."""
    return new_job_id(at.timestamp(), _noise(10, row["schedule_id"], at.timestamp()))


def job_of(row: Mapping[str, Any], fire: Fire, now: datetime, facts: TypeFacts, wait: timedelta) -> dict[str, Any]:
    """Give the values of the job that one fire of a schedule is.

    :param wait: by how much it comes later than now at the least.
    """
    due = max(fire.at + delay_of(row, fire.at), now + wait if wait else fire.at)
    status = "SCHEDULED" if due > now else "PENDING"
    job_id = id_of(row, fire.at)
    payload = filled(row["payload_template"] or _EMPTY, {"{fire_at}": fire.at.isoformat(), "{name}": row["name"]})
    return {
        "job_id": job_id,
        "job_type": row["job_type"],
        "payload": facts.seal(payload, job_id) if facts.seal else payload,
        "message": facts.message,
        "queue": row["queue"],
        "priority": row["priority"],
        "status": status if fire.after is None else "BLOCKED",
        "scheduled_at": due.timestamp() if due > now else None,
        "due_at": now.timestamp() if fire.after else due.timestamp(),
        "after": [Edge(fire.after, "finished")] if fire.after else None,
        "schedule_id": row["schedule_id"],
        "fire_at": fire.at.timestamp(),
        "max_retries": facts.max_retries,
        # By the time at which it begins, which jitter, spread and misfires make later than the one it stands for.
        "deadline": facts.deadline,
        "deadline_at": facts.deadline and max(due, now).timestamp() + facts.deadline,
        "timeout": facts.timeout,
        "soft_timeout": facts.soft_timeout,
        "retry_rule": facts.retry_rule,
    }


def delay_of(row: Mapping[str, Any], fire: datetime) -> timedelta:
    """Give the time by which a job comes later: ``spread`` is fixed for each schedule, ``jitter`` for each fire."""
    spread = row["spread"] * _share(row["name"])
    return timedelta(seconds=spread + row["jitter"] * _share(row["name"], fire.timestamp()))


def _share(*of: Any) -> float:
    """Give a number from 0 to 1 that is always the same for the same things."""
    return int.from_bytes(_noise(6, *of)) / 2**48


def _noise(size: int, *of: Any) -> bytes:
    return hashlib.blake2b(repr(of).encode(), digest_size=size).digest()


def payload_text(template: Mapping[str, Any]) -> str:
    """Write a payload template as its column holds it."""
    return json.dumps(template, separators=(",", ":"))
