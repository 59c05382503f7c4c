"""Attempts of tasks in Google's cluster trace of 2011: those that follow a failed attempt of the same task.

An attempt that was killed or evicted says nothing of whether it would have succeeded, and is left out. An outcome is
known when the attempt ends, which for many is hours after others were decided on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.traces.trace import Trace, frames
from jobplatform.learning.replay import Retry

_COLUMNS = {"job", "task", "user", "sclass", "prio", "cpu", "ram", "disk", "start", "end", "out", "att", "prev_out"}
_COLUMNS |= {"prev_start", "prev_end"}
_LEVELS = ("task", "job", "user", "class")
_FAILED, _FINISHED = 3, 4
_MICROSECONDS = 1e-6


def load_attempts(data: Path) -> Trace | None:
    """Load the attempts that followed failed ones; None where there are none."""
    table = frames(data, lambda columns: columns >= _COLUMNS)
    if table is None:
        return None
    table = table.drop_duplicates(["job", "task", "start"])
    after = table[(table.prev_out == _FAILED) & table.out.isin([_FAILED, _FINISHED])]
    rows = list(after.sort_values(["prev_end", "end"], kind="stable").itertuples(index=False))
    retries = [_retry(row) for row in rows]
    jobs, users = ([str(retry.groups[level]) for retry in retries] for level in ("job", "user"))
    fails = _fails(table, retries)
    return Trace("google2011", _LEVELS, _LEVELS[:3], retries, jobs, users, _eventually(rows), fails)


def _retry(row: Any) -> Retry:
    groups = {
        "task": f"{row.job}/{row.task}",
        "job": str(row.job),
        "user": str(row.user),
        "class": f"{row.prio}/{row.sclass}",
    }
    decided, known = float(row.prev_end) * _MICROSECONDS, float(row.end) * _MICROSECONDS
    return Retry(groups, int(row.att), decided, known, row.out == _FINISHED, _extra(row))


def _extra(row: Any) -> dict[str, float | None]:
    asked = {name: float(getattr(row, name)) for name in ("sclass", "prio", "cpu", "ram", "disk")}
    ran = None if pd.isna(row.prev_start) else math.log1p(max(0.0, row.prev_end - row.prev_start) * _MICROSECONDS)
    return {"ran": ran, **{name: None if math.isnan(value) else value for name, value in asked.items()}}


def _fails(table: pd.DataFrame, retries: Sequence[Retry]) -> list[int]:
    """Count how many attempts of each retry's job had failed when it was decided on, its own included, in a row."""
    ended = table[table.out.isin([_FAILED, _FINISHED])]
    rows = zip(ended.end, ended.job, ended.out, strict=True)
    events = sorted((end * _MICROSECONDS, str(job), out == _FAILED) for end, job, out in rows)
    counts: Counter[str] = Counter()
    found, place = [0] * len(retries), 0
    for index, retry in sorted(enumerate(retries), key=lambda pair: pair[1].decided):
        while place < len(events) and events[place][0] < retry.decided:
            _, job, failed = events[place]
            counts[job] = counts[job] + 1 if failed else 0
            place += 1
        found[index] = counts[str(retry.groups["job"])] + 1
    return found


def _eventually(rows: Sequence[Any]) -> list[bool]:
    ends: dict[tuple[int, int], bool] = {}
    found = []
    for row in reversed(rows):
        key = (row.job, row.task)
        ends[key] = ends.get(key, False) or row.out == _FINISHED
        found.append(ends[key])
    return found[::-1]
