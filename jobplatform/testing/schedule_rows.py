"""What the statements on schedules do, done to rows in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobplatform.states import UNFINISHED, State
from jobplatform.testing.tables import Row, Writing, deed

_NEW: Mapping[str, Any] = {"enabled": True, "next_run": None, "last_run": None, "skipped": 0, "problem": None}


@deed("put_schedules")
def _put(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    written = json.loads(given["rows"])
    for row in written:
        known = writing.tables.get("schedules", row["name"]) or {"schedule_id": next(writing.tables.numbers), **_NEW}
        writing.put("schedules", row["name"], {"payload_template": None, **known, **row})
    return written  # type: ignore[no-any-return]


@deed("claim_schedules")
def _claim(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    found = [row for row in _enabled(writing) if row["next_run"] is not None and row["next_run"] <= given["now"]]
    return sorted(found, key=lambda row: (row["next_run"], row["name"]))


@deed("claim_unplanned")
def _claim_unplanned(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    return [row for row in _enabled(writing) if row["next_run"] is None]


@deed("put_plans")
def _put_plans(writing: Writing, given: Mapping[str, Any]) -> int:
    names = {row["schedule_id"]: row["name"] for row in writing.tables.of("schedules")}
    plans = json.loads(given["plans"])
    for each in plans:
        before = writing.tables.rows["schedules"][names[each["schedule_id"]]]
        writing.change(
            "schedules",
            before["name"],
            next_run=_moment(each["next_run"]),
            last_run=_moment(each["last_run"]) or before["last_run"],
            skipped=before["skipped"] + each["skipped"],
            problem=each["problem"],
            enabled=each["problem"] is None,
        )
    return len(plans)


@deed("list_unfinished_fires")
def _list_unfinished(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    found: dict[int, dict[str, Any]] = {}
    open_jobs = [job for job in writing.tables.of("jobs") if State(job["status"]) in UNFINISHED and job["fire_at"]]
    for job in sorted(open_jobs, key=lambda job: float(job["fire_at"])):
        key = job["schedule_id"]
        if key in given["schedule_ids"]:
            row = found.setdefault(key, {"schedule_id": key, "job_ids": [], "buffered": []})
            row["job_ids"].append(job["job_id"])
            row["buffered"] += [job["job_id"]] if job["status"] == State.BLOCKED else []
    return list(found.values())


@deed("resume_due_schedules")
def _resume_due(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    return []


def _enabled(writing: Writing) -> list[Row]:
    return [row for row in writing.tables.of("schedules") if row["enabled"]]


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
