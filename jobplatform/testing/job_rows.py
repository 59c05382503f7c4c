"""What the statements on ``jobs`` and their attempts do, done to rows in memory."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.records import earliest
from jobplatform.states import FINAL, RANK, UNFINISHED, WAITING, State
from jobplatform.testing.tables import Row, Writing, deed

#: The columns whose values the statements give as times.
_TIMES = ("scheduled_at", "due_at", "enqueued_at", "expires_at", "deadline_at", "started_at", "completed_at")
_NEW: Mapping[str, Any] = {
    "status": "PENDING", "priority": 1, "retry_count": 0, "max_retries": 5, "attempt": 1, "units": 1, "deaths": 0,
    "result": None, "error_type": None, "error_message": None, "fingerprint": None, "worker_id": None, "gate": None,
    "hold_by": None, "hold_reason": None, "checkpoint": None, "progress": None, "trial": False, "message": None,
    "retry_rule": None, "tags": None, "tenant": None, "root_id": None, "parent_id": None, "timeout": None,
    "soft_timeout": None, "deadline": None, "limit_key": None, "batch_id": None, "schedule_id": None, "fire_at": None,
    "unique_key": None, "unique_scope": None, "unique_until": None, "queue": "celery",
    **dict.fromkeys(_TIMES),
}  # fmt: skip
_COLUMNS = frozenset({*_NEW, "job_id", "job_type", "payload"})


def job_now(writing: Writing, job_id: str, **values: Any) -> Row:
    """Change a job, and note what that means for its batch, as the triggers of the tables do."""
    before = writing.tables.rows["jobs"][job_id]
    after = writing.change("jobs", job_id, **values)
    if after["status"] != before["status"] and {before["status"], after["status"]} & FINAL:
        _note(writing, after, 0, before["status"])
    return after


def _note(writing: Writing, row: Row, added: int, before: str | None) -> None:
    if row["batch_id"] is None:
        return
    change = {
        name: (row["status"] == state) - (before == state)
        for name, state in (("completed", "COMPLETED"), ("failed", "FAILED"), ("cancelled", "CANCELLED"))
    }
    number = next(writing.tables.numbers)
    writing.put("batch_changes", number, {"batch_id": row["batch_id"], "added": added, **change})


@deed("insert_job", "insert_jobs", "insert_alike")
def _insert(writing: Writing, parameters: Mapping[str, Any]) -> int:
    if "rows" not in parameters:
        return _insert_one(writing, parameters)
    shared = {name: value for name, value in parameters.items() if name != "rows"}
    return sum(_insert_one(writing, {**shared, **row}) for row in json.loads(parameters["rows"]))


def _insert_one(writing: Writing, given: Mapping[str, Any]) -> int:
    values = {name: value for name, value in given.items() if name in _COLUMNS and value is not None}
    for name in ("payload", "message", "retry_rule"):
        if isinstance(values.get(name), str):
            values[name] = json.loads(values[name])
    row = {**_NEW, **values, "created_at": writing.now, "edges": given.get("after") or ()}
    if row["job_id"] in writing.tables.rows["jobs"] or _is_taken(writing, row):
        return 0
    _note(writing, writing.put("jobs", row["job_id"], row), 1, None)
    return 1


def _is_taken(writing: Writing, row: Row) -> bool:
    """Tell whether one of the unique indexes would refuse a row."""
    fire = row["schedule_id"], row["fire_at"]
    return (row["unique_key"] is not None and holder_of(writing, row["unique_key"]) is not None) or (
        fire[0] is not None and any((job["schedule_id"], job["fire_at"]) == fire for job in writing.tables.of("jobs"))
    )


def holder_of(writing: Writing, key: str) -> Row | None:
    """Find the job that has a unique key."""
    for job in writing.tables.of("jobs"):
        scope, status = job["unique_scope"], State(job["status"])
        if job["unique_key"] == key and (
            (scope == "waiting" and status in WAITING)
            or (scope == "unfinished" and status in UNFINISHED)
            or scope == "period"
        ):
            return job
    return None


@deed("find_holder")
def _find_holder(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    job = holder_of(writing, parameters["key"])
    if job is None:
        return []
    over = None if job["unique_until"] is None else job["unique_until"] <= writing.now
    return [{"job_id": job["job_id"], "status": job["status"], "over": over}]


@deed("let_go_of_key")
def _let_go_of_key(writing: Writing, parameters: Mapping[str, Any]) -> int:
    writing.change("jobs", parameters["job_id"], unique_scope=None)
    return 1


@deed("replace_waiting")
def _replace_waiting(writing: Writing, given: Mapping[str, Any]) -> int:
    job = writing.tables.rows["jobs"][given["job_id"]]
    if State(job["status"]) not in WAITING:
        return 0
    stays = job["status"] in ("BLOCKED", "PAUSED")
    at = given["scheduled_at"]
    names = ("priority", "queue", "tags", "scheduled_at", "expires_at", "deadline", "deadline_at")
    writing.change(
        "jobs",
        job["job_id"],
        **{name: given[name] for name in names},
        payload=json.loads(given["payload"]),
        attempt=job["attempt"] + (job["status"] == "PENDING"),
        status=job["status"] if stays else "PENDING" if at is None else "SCHEDULED",
        due_at=job["due_at"] if stays else writing.now if at is None else at,
    )
    return 1


@deed("find_running")
def _find_running(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    found = (job for job in writing.tables.of("jobs") if job["unique_key"] == parameters["key"])
    return [
        {"job_id": job["job_id"]}
        for job in found
        if job["unique_scope"] == "waiting" and job["status"] in ("PROCESSING", "RETRYING")
    ]


@deed("list_missing")
def _list_missing(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    return [{"job_id": each} for each in parameters["job_ids"] if each not in writing.tables.rows["jobs"]]


@deed("mark_due")
def _mark_due(writing: Writing, parameters: Mapping[str, Any]) -> int:
    found = [job for job in chosen(writing, parameters) if job["status"] == "PENDING" and job["due_at"] is None]
    for job in found:
        job_now(writing, job["job_id"], due_at=writing.now, attempt=job["attempt"] + parameters["again"])
    return len(found)


@deed("cancel_jobs")
def _cancel(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    found = [job for job in chosen(writing, parameters) if State(job["status"]) in UNFINISHED]
    for job in found:
        due = writing.now if job["status"] in ("PENDING", "PROCESSING") else None
        job_now(
            writing, job["job_id"], status="CANCELLED", due_at=due, completed_at=writing.now, error_type="Cancelled",
            error_message=parameters["reason"], gate=None, hold_by=None, hold_reason=None,
        )  # fmt: skip
    return [{"job_id": job["job_id"], "was": job["status"]} for job in found]


@deed("revoke_jobs")
def _revoke(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    open_states = UNFINISHED if parameters["running"] else UNFINISHED - {State.PROCESSING}
    meant = [job for job in chosen(writing, parameters) if State(job["status"]) in open_states]
    found: list[Row] = _cancel(writing, {"job_ids": [job["job_id"] for job in meant], "reason": "revoked"})
    for row in found:
        writing.change("jobs", row["job_id"], error_type="Revoked")
    return found


@deed("replay_jobs")
def _replay(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    found = [job for job in chosen(writing, parameters) if job["status"] in ("FAILED", "CANCELLED")]
    for job in found:
        deadline_at = None if job["deadline"] is None else writing.now + job["deadline"]
        expires_at = job["expires_at"] if (job["expires_at"] or 0.0) > writing.now else None
        job_now(
            writing, job["job_id"], status="PENDING", attempt=job["attempt"] + 1, retry_count=0, deaths=0,
            due_at=writing.now, started_at=None, completed_at=None, error_type=None, error_message=None,
            fingerprint=None, deadline_at=deadline_at, expires_at=expires_at,
        )  # fmt: skip
    return [{"job_id": job["job_id"]} for job in found]


@deed("hasten_jobs")
def _hasten(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    found = [job for job in chosen(writing, parameters) if job["status"] in ("RETRYING", "SCHEDULED")]
    for job in found:
        job_now(writing, job["job_id"], due_at=writing.now)
    return [{"job_id": job["job_id"]} for job in found]


@deed("claim_due")
def _claim_due(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    now = parameters["now"].timestamp()
    due = [job for job in writing.tables.of("jobs") if job["due_at"] is not None and job["due_at"] <= now]
    due.sort(key=lambda job: job["due_at"])
    claimed = (_claim(writing, job, now) for job in due[: parameters["limit"]])
    return [row for row in claimed if row is not None]


def _claim(writing: Writing, job: Row, now: float) -> Row | None:
    by = earliest(job["expires_at"], job["deadline_at"])
    late = by is not None and by <= now
    was = job["status"]
    if was in ("COMPLETED", "FAILED") or (was == "BLOCKED" and not late):
        return None
    step = "void" if was == "CANCELLED" else "expire" if late else "publish"
    if step == "publish" and (job["scheduled_at"] or now) > now:
        step = "postpone"
    changes: dict[str, Any] = {"due_at": job["scheduled_at"] if step == "postpone" else None, "gate": None}
    if step == "expire":
        expired = job["deadline_at"] is None or job["deadline_at"] > (job["expires_at"] or job["deadline_at"])
        changes.update(status="CANCELLED", completed_at=now, error_type="Expired" if expired else "DeadlineExceeded")
    elif step != "void":
        changes.update(status="SCHEDULED" if step == "postpone" else "PENDING")
        changes.update(attempt=job["attempt"] + (was in ("RETRYING", "PAUSED")))
        changes.update(retry_count=job["retry_count"] + (was == "RETRYING"))
    if step == "publish":
        changes.update(enqueued_at=now)
    after = job_now(writing, job["job_id"], **changes)
    again = was in ("PENDING", "PAUSED") and after["attempt"] > 1
    first = was == "PENDING" and (job["deaths"] > 0 or job["error_type"] == "Interrupted")
    return {**after, **moments(after), "step": step, "again": again, "first": first}


def moments(row: Row) -> dict[str, datetime | None]:
    """Give the times of a job as statements do."""
    return {name: None if row[name] is None else datetime.fromtimestamp(row[name], UTC) for name in _TIMES}


@deed("apply_transitions")
def _apply_transitions(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    moved: dict[tuple[Any, ...], list[tuple[float, float]]] = defaultdict(list)
    bounds = parameters["bounds"]
    for news in json.loads(parameters["rows"]):
        job = writing.tables.get("jobs", news["job_id"])
        if job is None or (news["attempt"], news["rank"]) <= (job["attempt"], RANK[State(job["status"])]):
            continue
        names = ("started_at", "completed_at", "due_at", "result", "error_type", "error_message", "fingerprint", "gate")
        job_now(
            writing,
            job["job_id"],
            **{name: news.get(name) for name in names},
            status=news["status"],
            attempt=news["attempt"],
            worker_id=news.get("worker_id") or job["worker_id"],
            deaths=news.get("deaths") or job["deaths"],
        )
        ran, waited = _spans(news, job)
        kind = (job["job_type"], job["queue"], news["status"], _bucket(ran, bounds), _bucket(waited, bounds))
        moved[kind].append((max(ran or 0.0, 0.0), max(waited or 0.0, 0.0)))
    return [
        {**dict(zip(("job_type", "queue", "status", "run", "wait"), kind, strict=True)), "jobs": len(spans),
         "run_seconds": sum(ran for ran, _ in spans), "wait_seconds": sum(waited for _, waited in spans)}
        for kind, spans in moved.items()
    ]  # fmt: skip


def _spans(news: Row, job: Row) -> tuple[float | None, float | None]:
    """Tell for how many seconds an attempt that has ended ran, and waited before."""
    begun, ended, queued = news.get("started_at"), news.get("ended_at"), job["enqueued_at"]
    if ended is None or begun is None:
        return None, None
    return ended - begun, None if queued is None else begun - queued


def _bucket(seconds: float | None, bounds: Sequence[float]) -> int | None:
    return None if seconds is None else bisect_right(bounds, seconds)


@deed("read_retry_facts")
def _read_retry_facts(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    names = (
        "job_id", "max_retries", "retry_count", "retry_rule", "deaths", "attempt", "status", "job_type", "trial",
        "deadline_at",
    )  # fmt: skip
    none = {"first_failed_at": None, "times_held": 0}
    return [{**{name: job[name] for name in names}, **none} for job in chosen(writing, parameters)]


def chosen(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    """Give those of the jobs that a statement names which are there."""
    jobs = writing.tables.rows["jobs"]
    return [jobs[each] for each in parameters["job_ids"] if each in jobs]
