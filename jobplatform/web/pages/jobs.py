"""The list of jobs: what is there, by a filter that the address keeps."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from jobplatform.actions import jobs
from jobplatform.actions.query import parse, write
from jobplatform.errors import QueryRefused, RequestRefused
from jobplatform.states import State
from jobplatform.store.listing import JobFilter
from jobplatform.web import paging
from jobplatform.web.page import page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()

#: Rows of a page; jobs of a state that are counted; rows of an export, and of one look for it.
_ROWS, _COUNTED, _EXPORTED, _LOOK = 50, 1_000, 100_000, 1_000
_COLUMNS = (
    "job_id", "job_type", "status", "queue", "priority", "attempt", "retry_count", "max_retries", "created_at",
    "scheduled_at", "started_at", "completed_at", "due_at", "worker_id", "tenant", "tags", "error_type",
    "error_message",
)  # fmt: skip
#: With these a cell begins that a spreadsheet takes for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@router.get("/jobs")
@does("jobs.list", "jobs.count")
def list_jobs(request: Request, visit: Visiting, q: str = "", after: str = "") -> Response:
    """List jobs, newest first."""
    try:
        chosen, refused = parse(q, visit.desk.now()), None
    except QueryRefused as error:
        chosen, refused = JobFilter(), error
    found = jobs.list_jobs(*visit, chosen, _ROWS, paging.read(after)) if refused is None else jobs.Page((), None)
    return page(
        request,
        "jobs.html",
        status=200 if refused is None else 422,
        q=q,
        after=after,
        chosen=chosen,
        refused=refused,
        rows=found.rows,
        next=paging.written(found.next),
        tabs=_tabs(visit, chosen) if refused is None else [],
        reach=found.reach,
    )


def _tabs(visit: Visit, chosen: JobFilter) -> list[dict[str, Any]]:
    """Give a tab for each state, with its count where nothing else narrows it, which is what an index counts."""
    bare = replace(chosen, states=None) == JobFilter()
    made = [{"label": "all", "q": write(replace(chosen, states=None)), "now": not chosen.states, "count": None}]
    for state in State:
        narrowed = replace(chosen, states=(str(state),))
        count = jobs.count_jobs(*visit, narrowed, _COUNTED) if bare else None
        now = chosen.states == (str(state),)
        said = None if count is None else f"{count:,}" if count.whole else f"{count:,}+"
        made.append({"label": state.lower(), "q": write(narrowed), "now": now, "count": said})
    return made


@router.get("/jobs/export")
@does("jobs.list")
def export(visit: Visiting, q: str = "", format: str = "jsonl") -> Response:
    """Give the jobs that match as a file, so many at most."""
    if format not in ("jsonl", "csv"):
        raise RequestRefused("format: it is none; choose jsonl or csv")
    rows = _all(visit, parse(q, visit.desk.now()))
    lines, kind = (_jsonl(rows), "application/jsonl") if format == "jsonl" else (_csv(rows), "text/csv")
    headers = {"content-disposition": f'attachment; filename="jobs.{format}"'}
    return StreamingResponse(lines, media_type=kind, headers=headers)


def _all(visit: Visit, chosen: JobFilter) -> Iterator[dict[str, Any]]:
    after, given = None, 0
    while given < _EXPORTED:
        found = jobs.list_jobs(*visit, chosen, _LOOK, after)
        yield from ({name: row[name] for name in _COLUMNS} for row in found.rows)
        given, after = given + len(found.rows), found.next
        if after is None:
            return


def _jsonl(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(row, default=str) + "\n" for row in rows)


def _csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow(cell(value) for value in row.values())
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def cell(value: Any) -> str:
    """Write a cell that no spreadsheet takes for a formula."""
    text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
