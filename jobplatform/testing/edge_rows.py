"""What the statements on the edges between jobs do, done to rows in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobplatform.records import earliest
from jobplatform.states import FINAL, State
from jobplatform.testing.job_rows import job_now
from jobplatform.testing.tables import Row, Writing, deed

_UNMET = "a job that it depends on has ended otherwise than it asks for"


@deed("insert_edges")
def _insert(writing: Writing, parameters: Mapping[str, Any]) -> int:
    rows = json.loads(parameters["rows"])
    return sum(_link(writing, row["job_id"], *edge) for row in rows for edge in row.get("after") or ())


@deed("graft_edges")
def _graft(writing: Writing, parameters: Mapping[str, Any]) -> int:
    grafts = [(row["job_id"], row["before"]) for row in json.loads(parameters["rows"]) if row.get("before")]
    waiting = [edge for edge in writing.tables.of("edges") if edge["outcome"] is None]
    return sum(
        _link(writing, edge["job_id"], job_id, edge["policy"], edge["on_failure"])
        for job_id, before in grafts
        for edge in waiting
        if edge["of"] == before
    )


def _link(writing: Writing, job_id: str, of: str, policy: str = "success", on_failure: str = "cancel") -> int:
    key = job_id, of
    if key in writing.tables.rows["edges"]:
        return 0
    row = {"job_id": job_id, "of": of, "policy": policy, "on_failure": on_failure, "outcome": None}
    writing.put("edges", key, row)
    return 1


@deed("settle_edges")
def _settle(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    settled: list[Row] = []
    for edge in writing.tables.of("edges"):
        job = writing.tables.get("jobs", edge["of"])
        if edge["of"] in parameters["job_ids"] and edge["outcome"] is None and job and State(job["status"]) in FINAL:
            writing.change("edges", (edge["job_id"], edge["of"]), outcome=_outcome(edge, job["status"]))
            settled.append({"job_id": edge["job_id"]})
    return settled


def _outcome(edge: Row, status: str) -> str:
    met = edge["policy"] == "finished" or edge["on_failure"] == "continue"
    return "met" if met or (edge["policy"] == "failure") != (status == State.COMPLETED) else "unmet"


@deed("lock_blocked")
def _lock_blocked(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    jobs = writing.tables.rows["jobs"]
    return [{"job_id": each} for each in parameters["job_ids"] if each in jobs and jobs[each]["status"] == "BLOCKED"]


@deed("release_blocked")
def _release(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    steps = {job_id: _step(writing, job_id) for job_id in parameters["job_ids"]}
    for job_id, step in steps.items():
        _take(writing, job_id, step, parameters["held"])
    return [{"job_id": job_id, "step": step} for job_id, step in steps.items() if step != "wait"]


def _step(writing: Writing, job_id: str) -> str:
    edges = [edge for edge in writing.tables.of("edges") if edge["job_id"] == job_id]
    unmet = [edge for edge in edges if edge["outcome"] == "unmet"]
    if any(edge["on_failure"] == "cancel" or edge["policy"] == "failure" for edge in unmet):
        return "cancel"
    if any(edge["outcome"] is None for edge in edges):
        return "wait"
    return "hold" if unmet else "release"


def _take(writing: Writing, job_id: str, step: str, held: str) -> None:
    job, now = writing.tables.rows["jobs"][job_id], writing.now
    if step == "cancel":
        job_now(
            writing, job_id, status="CANCELLED", due_at=None, completed_at=now, error_type="DependencyUnmet",
            error_message=_UNMET,
        )  # fmt: skip
    elif step == "hold":
        job_now(writing, job_id, status="PAUSED", due_at=None, hold_reason=held, hold_by="platform")
    elif step == "release":
        at = max(now, job["scheduled_at"] or now)
        job_now(writing, job_id, status="SCHEDULED" if at > now else "PENDING", due_at=at)


@deed("await_again")
def _await_again(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    reopened = []
    for edge in writing.tables.of("edges"):
        job = writing.tables.rows["jobs"][edge["job_id"]]
        unmet = job["error_type"] == "DependencyUnmet" or job["hold_reason"] == parameters["held"]
        if edge["of"] in parameters["job_ids"] and unmet and job["status"] in ("CANCELLED", "PAUSED"):
            writing.change("edges", (edge["job_id"], edge["of"]), outcome=None)
            job_now(
                writing, job["job_id"], status="BLOCKED", completed_at=None, error_type=None, error_message=None,
                hold_reason=None, hold_by=None,
            )  # fmt: skip
            reopened.append(job["job_id"])
    further = _await_again(writing, {**parameters, "job_ids": reopened}) if reopened else []
    return [*({"job_id": each} for each in reopened), *further]


@deed("list_upstream")
def _list_upstream(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    names = ("job_id", "job_type", "status", "result", "error_type", "error_message")
    awaited = [edge["of"] for edge in writing.tables.of("edges") if edge["job_id"] == parameters["job_id"]]
    found = (writing.tables.rows["jobs"][each] for each in awaited)
    return [{name: job[name] for name in names} for job in found]


@deed("list_unexamined")
def _list_unexamined(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    return [
        job
        for job in writing.tables.of("jobs")
        if job["status"] == "BLOCKED" and job["due_at"] is not None and job["due_at"] <= writing.now
        and (_begins_by(job) is None or _begins_by(job) > writing.now)
    ]  # fmt: skip


@deed("lock_awaited")
def _lock_awaited(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    open_edges = (edge for edge in writing.tables.of("edges") if edge["outcome"] is None)
    awaited = {edge["of"] for edge in open_edges if edge["job_id"] in parameters["job_ids"]}
    return [{"job_id": each} for each in sorted(awaited & writing.tables.rows["jobs"].keys())]


# Rows do not come late here: whoever would bring one is this process.
@deed("watch_edges", "settle_missing")
def _pass_over(writing: Writing, parameters: Mapping[str, Any]) -> int:
    return 0


@deed("postpone_blocked")
def _postpone(writing: Writing, parameters: Mapping[str, Any]) -> int:
    jobs = [writing.tables.rows["jobs"][each] for each in parameters["job_ids"]]
    blocked = [job for job in jobs if job["status"] == "BLOCKED"]
    for job in blocked:
        writing.change("jobs", job["job_id"], due_at=_begins_by(job))
    return len(blocked)


def _begins_by(job: Row) -> Any:
    return earliest(job["expires_at"], job["deadline_at"])
