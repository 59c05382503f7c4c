"""Random journals of a few jobs, and the rows that they leave."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.decision import RetryFacts
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.collapse import collapse, rows_of
from jobplatform.journal.entry import Entry, Kind, parse

OUTCOMES = ("completed", "failed", "cancelled", "running", "parked")


def journal_of(job_id: str, outcomes: Sequence[str]) -> list[bytes]:
    """Write the journal of one job: an outcome for each attempt, in order."""
    lines = []
    for attempt, outcome in enumerate(outcomes, 1):
        start = 1_700_000_000.0 + attempt * 100
        head = entry.attempt_head(job_id, attempt, f"worker{attempt}", 100 + attempt, start - 1, "")
        if outcome == "parked":
            lines.append(entry.ended(Kind.PARKED, head, None, start, {"message": f"parked {attempt}"}))
            continue
        lines.append(entry.started(head, start))
        if outcome == "completed":
            lines.append(entry.completed(head, start, start + 5, '{"n":1}'))
        elif outcome != "running":
            error = {"type": "ValueError", "message": f"attempt {attempt}", "classes": ["ValueError"]}
            lines.append(entry.ended(Kind(outcome), head, start, start + 5, error))
        lines.append(entry.progress(job_id, attempt, start + 1, {"done": attempt, "total": 9, "note": ""}))
    return [line.encode() for line in lines]


def disturbed(lines: Sequence[bytes], luck: random.Random) -> list[bytes]:
    """Double some lines, then shuffle them all."""
    mixed = [*lines, *(line for line in lines if luck.random() < 0.5)]
    luck.shuffle(mixed)
    return mixed


def batches(lines: Sequence[bytes], luck: random.Random) -> list[list[Entry]]:
    """Cut a journal into random batches of entries."""
    cut: list[list[Entry]] = []
    rest = list(lines)
    while rest:
        size = luck.randint(1, len(rest))
        cut.append([parse(line) for line in rest[:size]])
        rest = rest[size:]
    return cut


def expected(job_id: str, lines: Sequence[bytes], most: int) -> Mapping[str, Any]:
    """Reduce a whole journal at once, without a database: the model that the rows are held against."""
    facts = {job_id: RetryFacts(job_id, most, 0, None)}
    rows = rows_of(collapse(parse(line) for line in lines), facts, decide_all)
    return {"job": rows.jobs[0] if rows.jobs else None, "executions": rows.executions, "dead": rows.dead_letters}
