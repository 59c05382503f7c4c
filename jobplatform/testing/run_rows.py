"""What the statements on attempts, effects, saved states, results and keys do, done to rows in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobplatform.states import State, is_ahead
from jobplatform.testing.job_rows import chosen, moments
from jobplatform.testing.tables import Row, Writing, deed


@deed("apply_progress")
def _apply_progress(writing: Writing, parameters: Mapping[str, Any]) -> int:
    news = json.loads(parameters["rows"])
    for each in news:
        if each["job_id"] in writing.tables.rows["jobs"]:
            writing.change("jobs", each["job_id"], progress=each["progress"])
    return len(news)


@deed("record_executions")
def _record_executions(writing: Writing, parameters: Mapping[str, Any]) -> int:
    news = json.loads(parameters["rows"])
    for each in news:
        key = each["job_id"], each["attempt"]
        known = writing.tables.get("executions", key)
        attempt = each["attempt"]
        if known is None or is_ahead(attempt, State(each["status"]), attempt, State(known["status"])):
            writing.put(
                "executions", key, {**each, "started_at": each["started_at"] or (known or {}).get("started_at")}
            )
    return len(news)


@deed("note_stale")
def _note_stale(writing: Writing, parameters: Mapping[str, Any]) -> int:
    news = json.loads(parameters["rows"])
    for each in news:
        key = each["job_id"], each["attempt"]
        known = writing.tables.get("executions", key)
        if known is not None:
            writing.put("executions", key, {**known, "metrics": {**known["metrics"], "stale": each["stale"]}})
    return len(news)


@deed("record_decisions")
def _record_decisions(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    new: list[Row] = []
    for each in json.loads(parameters["rows"]):
        key = each["job_id"], each["attempt"]
        if key not in writing.tables.rows["decisions"]:
            writing.put("decisions", key, each)
            new.append({"job_id": each["job_id"], "attempt": each["attempt"]})
    return new


@deed("bury_jobs")
def _bury(writing: Writing, parameters: Mapping[str, Any]) -> int:
    news = json.loads(parameters["rows"])
    for each in news:
        writing.put("dead_letters", (each["job_id"], each["attempt"]), each)
    return len(news)


@deed("apply_edits", "resolve_replayed")
def _resolve_replayed(writing: Writing, parameters: Mapping[str, Any]) -> int:
    for key in [key for key in writing.tables.rows["dead_letters"] if key[0] in parameters["job_ids"]]:
        writing.drop("dead_letters", key)
    return len(parameters["job_ids"])


# Nobody learns from a test, and nobody looks through its clusters.
@deed("settle_decisions", "count_errors", "quarantine")
def _pass_over(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    return []


@deed("claim_effect")
def _claim_effect(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    job = writing.tables.get("jobs", parameters["job_id"])
    newest = 0 if job is None else job["attempt"]
    key = parameters["job_id"], parameters["key"]
    first = newest <= parameters["attempt"] and key not in writing.tables.rows["effects"]
    if first:
        writing.put("effects", key, {"attempt": parameters["attempt"]})
    return [{"patience": "0", "first": first, "newest": newest}]


@deed("set_patience")
def _set_patience(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    return []


@deed("save_checkpoint")
def _save_checkpoint(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    job = writing.tables.get("jobs", parameters["job_id"])
    if job is None:
        return []
    saved = job["attempt"] <= parameters["attempt"]
    if saved:
        writing.change("jobs", job["job_id"], checkpoint=json.loads(parameters["state"]))
    return [{"saved": saved}]


@deed("read_checkpoint")
def _read_checkpoint(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    job = writing.tables.get("jobs", parameters["job_id"])
    return [] if job is None else [{"checkpoint": job["checkpoint"]}]


@deed("read_result")
def _read_result(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    job = writing.tables.get("jobs", parameters["job_id"])
    if job is None:
        return []
    run = writing.tables.get("executions", (job["job_id"], job["attempt"])) or {}
    return [{**job, "completed_at": moments(job)["completed_at"], "traceback": run.get("traceback")}]


@deed("read_results")
def _read_results(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    return [{"job_id": job["job_id"], "result": job["result"]} for job in chosen(writing, parameters)]


@deed("find_key")
def _find_key(writing: Writing, parameters: Mapping[str, Any]) -> list[Row]:
    known = writing.tables.get("keys", parameters["key"])
    return [known] if known is not None and known["until"] > parameters["since"] else []


@deed("claim_key")
def _claim_key(writing: Writing, parameters: Mapping[str, Any]) -> int:
    known = writing.tables.get("keys", parameters["key"])
    if known is not None and known["until"] > parameters["since"]:
        return 0
    writing.put("keys", parameters["key"], dict(parameters))
    return 1


@deed("point_key")
def _point_key(writing: Writing, parameters: Mapping[str, Any]) -> int:
    writing.change("keys", parameters["key"], job_id=parameters["job_id"])
    return 1


@deed("release_key")
def _release_key(writing: Writing, parameters: Mapping[str, Any]) -> int:
    writing.drop("keys", parameters["key"])
    return 1
