"""What the statements on batches and their counts do, done to rows in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobplatform.states import UNFINISHED, State
from jobplatform.tally import Tally
from jobplatform.testing.tables import Row, Writing, deed

_COUNTS = ("total", "completed", "failed", "cancelled")
_TIMES = (
    "failure_at", "success_at", "complete_at", "exhausted_at", "began_at", "rated_at",
)  # fmt: skip


@deed("insert_batch")
def _insert(writing: Writing, given: Mapping[str, Any]) -> int:
    tally = dict.fromkeys(Tally.__dataclass_fields__) | dict.fromkeys(_COUNTS, 0)
    batch = {"batch_id": given["batch_id"], "name": given["name"], "created_at": writing.moment}
    more = {"callbacks": json.loads(given["callbacks"]), "cancel_reason": None}
    writing.put("batches", given["batch_id"], {**tally, **batch, **more})
    return 1


@deed("lock_membership", "read_closed")
def _read(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    batch = writing.tables.get("batches", given["batch_id"])
    return [] if batch is None else [batch]


@deed("close_batch")
def _close(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    batch = writing.tables.get("batches", given["batch_id"])
    if batch is None:
        return []
    return [writing.change("batches", batch["batch_id"], closed_at=batch["closed_at"] or writing.moment)]


@deed("cancel_batch")
def _cancel(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    batch = writing.tables.get("batches", given["batch_id"])
    if batch is None or batch["complete_at"] is not None:
        return []
    now = writing.moment
    changes = {"cancelled_at": batch["cancelled_at"] or now, "closed_at": batch["closed_at"] or now}
    reason = batch["cancel_reason"] or given["reason"]
    return [writing.change("batches", batch["batch_id"], **changes, cancel_reason=reason)]


@deed("list_cancelling")
def _list_cancelling(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    found = (batch for batch in writing.tables.of("batches") if _is_cancelling(batch))
    return [{"batch_id": batch["batch_id"], "reason": batch["cancel_reason"]} for batch in found]


@deed("list_to_cancel")
def _list_to_cancel(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    return [job for job in _jobs(writing, given["batch_id"]) if State(job["status"]) in UNFINISHED]


@deed("list_failed")
def _list_failed(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    failed = (job for job in _jobs(writing, given["batch_id"]) if job["status"] == State.FAILED)
    return sorted((job for job in failed if job["job_id"] > given["after"]), key=lambda job: str(job["job_id"]))


@deed("read_progress")
def _read_progress(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    batch = writing.tables.get("batches", given["batch_id"])
    if batch is None:
        return []
    changes = [each for each in writing.tables.of("batch_changes") if each["batch_id"] == batch["batch_id"]]
    running = sum(job["status"] == State.PROCESSING for job in _jobs(writing, batch["batch_id"]))
    more = {f"more_{name}": sum(each[_noted(name)] for each in changes) for name in _COUNTS}
    return [{**batch, **more, "running": running, "at": writing.moment}]


def _noted(name: str) -> str:
    return "added" if name == "total" else name


@deed("look_out")
def _look_out(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    batches = writing.tables.of("batches")
    return [
        {
            "changes": bool(writing.tables.rows["batch_changes"]),
            "ripe": any(map(_is_ripe, batches)),
            "cancelling": any(map(_is_cancelling, batches)),
        }
    ]


@deed("take_changes")
def _take_changes(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    sums: dict[str, dict[str, Any]] = {}
    for number, change in list(writing.tables.rows["batch_changes"].items()):
        batch_id = change["batch_id"]
        known = sums.setdefault(
            batch_id, {"batch_id": batch_id, "added": 0, "failing": False, **dict.fromkeys(_COUNTS[1:], 0)}
        )
        for name in ("added", *_COUNTS[1:]):
            known[name] += change[name]
        known["failing"] |= change["failed"] > 0
        writing.drop("batch_changes", number)
    return list(sums.values())


@deed("lock_tallies")
def _lock_tallies(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    batches = writing.tables.rows["batches"]
    return [batches[each] for each in given["batch_ids"] if each in batches]


@deed("lock_ripe")
def _lock_ripe(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    return [batch for batch in writing.tables.of("batches") if _is_ripe(batch)]


@deed("read_ripe")
def _read_ripe(writing: Writing, given: Mapping[str, Any]) -> list[Row]:
    changed = {change["batch_id"] for change in writing.tables.of("batch_changes")}
    return [batch for batch in _lock_tallies(writing, given) if batch["batch_id"] not in changed]


@deed("write_tallies")
def _write_tallies(writing: Writing, given: Mapping[str, Any]) -> int:
    tallies = json.loads(given["rows"])
    for tally in tallies:
        times = {name: _moment(tally[name]) for name in _TIMES}
        counts = {name: tally[name] for name in (*_COUNTS, "rate")}
        writing.change("batches", tally["batch_id"], **times, **counts)
    return len(tallies)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _jobs(writing: Writing, batch_id: str) -> list[Row]:
    return [job for job in writing.tables.of("jobs") if job["batch_id"] == batch_id]


def _ended(batch: Row) -> int:
    return int(batch["completed"] + batch["failed"] + batch["cancelled"])


def _is_ripe(batch: Row) -> bool:
    """Tell whether a batch is over and an event of that was not noted, as idx_batches_ripe says it."""
    over = batch["closed_at"] is not None and _ended(batch) == batch["total"]
    return over and (
        batch["complete_at"] is None
        or (batch["success_at"] is None and batch["completed"] == batch["total"])
        or (batch["exhausted_at"] is None and batch["failed"] > 0)
    )


def _is_cancelling(batch: Row) -> bool:
    over = batch["complete_at"] is not None and _ended(batch) >= batch["total"]
    return batch["cancelled_at"] is not None and not over
