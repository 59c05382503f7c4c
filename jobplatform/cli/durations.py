"""The group ``durations``: how long jobs take, how true that was, and what time limits they bear."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import JobNotFound
from jobplatform.jobs.limit_suggestion import suggest
from jobplatform.store import durations as rows

_COLUMNS = ("job_type", "p10", "p50", "p90", "decided_by", "runs", "within", "inside", "updated_at")
_KEY_COLUMNS = ("key", "p10", "p50", "p90", "chance", "decided_by", "runs", "longest", "updated_at")
_DAY_COLUMNS = ("day", "runs", "judged", "within", "inside", "below", "above", "error", "mean")
_LIMIT_COLUMNS = ("job_type", "timeout", "suggested", "soft", "reason")
_WEEK = timedelta(days=7)
_DAYS = 30
_limit = click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Rows at most.")


@click.group(short_help="How long jobs take, as foretold and as it was.")
def durations() -> None:
    """Show how long jobs are foretold to take, in seconds, and how true that was.

    A tenth of the runs take less than p10, a tenth more than p90. `within` is the share that took p50, give or take a
    fifth; `inside` that between p10 and p90, which is to be about 0.80.
    """


@durations.command("list")
@_limit
@json_option
@mapped()
def list_durations(limit: int, output: Output) -> None:
    """List job types; the shares are those of the last week."""
    with open_database() as database, database.session() as session:
        found = [_judged(row) for row in rows.types(session, datetime.now(UTC) - _WEEK, limit)]
    if output.as_json:
        output.json([{name: row[name] for name in _COLUMNS} for row in found])
    else:
        output.table(found, _COLUMNS, empty="no job has completed yet")


@durations.command("show")
@click.argument("job_type")
@_limit
@json_option
@mapped()
def show_durations(job_type: str, limit: int, output: Output) -> None:
    """Show the estimates of a job type, by key, and how true they were, by day."""
    with open_database() as database, database.session() as session:
        keys = [_rounded(row) for row in rows.of_type(session, job_type, limit)]
        days = [_judged(row) for row in rows.coverage(session, job_type, _DAYS)]
    if not keys:
        raise JobNotFound(f"durations: no job of type {job_type} has completed; see: jobplatform durations list")
    if output.as_json:
        output.json({"job_type": job_type, "estimates": keys, "days": days})
        return
    output.table(keys, _KEY_COLUMNS, empty="")
    output.section("how true it was", days, _DAY_COLUMNS)


@durations.command("suggest")
@_limit
@json_option
@mapped()
def suggest_limits(limit: int, output: Output) -> None:
    """Suggest time limits: seconds that hardly any run that ends well needs, so that one that hangs is ended."""
    with open_database() as database, database.session() as session:
        found = [_limits(row) for row in rows.types(session, datetime.now(UTC) - _WEEK, limit)]
    if output.as_json:
        output.json(found)
    else:
        output.table(found, _LIMIT_COLUMNS, empty="no job has completed yet")


def _limits(row: Mapping[str, Any]) -> dict[str, Any]:
    found = suggest(row["p90"], row["longest"], row["runs"])
    names = {"suggested": found and found.timeout, "soft": found and found.soft_timeout}
    reason = found.reason if found else f"{row['runs']} runs say too little"
    return {"job_type": row["job_type"], "timeout": row["timeout"], **names, "reason": reason}


def _judged(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give shares in the place of counts."""
    judged, runs = row["judged"] or 0, row.get("runs") or 0
    shares = {name: round(row[name] / judged, 3) if judged else None for name in ("within", "below", "above")}
    inside = round(1.0 - (row["below"] + row["above"]) / judged, 3) if judged else None
    error = round(row["error"] / judged, 3) if judged else None
    mean = round(row["seconds"] / runs, 3) if runs and row["seconds"] is not None else None
    day = {"day": row["day"].isoformat()} if "day" in row else {}
    return {**_rounded(row), **day, **shares, "inside": inside, "error": error, "mean": mean}


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give figures as people read them: three digits."""
    return {name: _short(value) if isinstance(value, float) else value for name, value in row.items()}


def _short(value: float) -> float:
    if not value or not math.isfinite(value):
        return value
    return round(value, max(0, 2 - math.floor(math.log10(abs(value)))))
