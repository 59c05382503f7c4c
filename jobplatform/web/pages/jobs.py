"""The list of jobs: what is there, by a filter that the address keeps."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response, StreamingResponse

from jobplatform.actions import job_types, jobs, query, saved_filters
from jobplatform.actions.query import parse, write
from jobplatform.errors import QueryRefused, RequestRefused
from jobplatform.states import State
from jobplatform.store.listing import JobFilter
from jobplatform.web import columns, paging
from jobplatform.web.page import go, page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()

Cols = Annotated[Sequence[str], Query(max_length=50)]
#: Job types that a filter is completed with.
_TYPES = 300
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
@does("jobs.list", "jobs.count", "filters.list", "job_types.list")
def list_jobs(request: Request, visit: Visiting, q: str = "", after: str = "", cols: Cols = ()) -> Response:
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
        columns=columns.chosen(cols),
        cols=columns.written(columns.chosen(cols)),
        saved=saved_filters.list_filters(*visit),
        beginnings=_beginnings(visit),
    )


def _beginnings(visit: Visit) -> list[str]:
    """List what a term of a filter can begin with, of what the actor may see."""
    types = job_types.list_job_types(*visit, _TYPES).rows
    return query.beginnings([row["name"] for row in types], sorted({row["queue"] for row in types if row["queue"]}))


@router.get("/jobs/columns")
@does("jobs.list")
def choose_columns(request: Request, visit: Visiting, q: str = "", cols: Cols = ()) -> Response:
    """Offer the columns of the list."""
    return page(request, "columns.html", q=q, columns=columns.chosen(cols), every=columns.COLUMNS)


@router.post("/jobs/filters")
@does("filters.save")
def save_filter(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=1_000)],
    q: Annotated[str, Form()] = "",
    cols: Annotated[str, Form()] = "",
) -> Response:
    """Keep a filter with its columns under a name."""
    shown = [column.name for column in columns.chosen([cols])] if cols else []
    saved_filters.save(*visit, name.strip(), q.strip(), shown)
    return go(request, _place(q, cols), f"Saved as {name.strip()}.")


@router.post("/jobs/filters/remove")
@does("filters.remove")
def remove_filter(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=1_000)],
    q: Annotated[str, Form()] = "",
    cols: Annotated[str, Form()] = "",
) -> Response:
    """Keep a filter no more."""
    saved_filters.remove(*visit, name)
    return go(request, _place(q, cols), f"{name} is no longer saved.")


def _place(q: str, cols: str) -> str:
    """Give the address of the list with a filter and columns."""
    asked = urlencode({name: value for name, value in (("q", q), ("cols", cols)) if value})
    return f"/jobs?{asked}" if asked else "/jobs"


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
