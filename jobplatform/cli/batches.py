"""The group ``batches``: jobs that are counted together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from jobplatform.cli.connect import open_database
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import CURSOR, JOB_ID
from jobplatform.jobs.eta import Eta
from jobplatform.maintenance import prospect
from jobplatform.store import batches as rows
from jobplatform.store import listing
from jobplatform.store.database import Database
from jobplatform.store.tallies import tally_of
from jobplatform.tally import Event, progress_of

_COLUMNS = ("batch_id", "name", "state", "percent", "total", "completed", "failed", "cancelled", "eta", "created_at")
_CALLBACK_COLUMNS = ("event", "at", "job_type", "job_id", "status")
_TIMES = ("created_at", "closed_at", "cancelled_at")
_IDS = click.argument("batch_ids", type=JOB_ID, nargs=-1, required=True, metavar="BATCH_ID...")


@click.group(short_help="List, show, close, cancel and retry batches.")
def batches() -> None:
    """List, show, close, cancel and retry batches: jobs that are counted together."""


@batches.command("list")
@click.option("--unfinished", is_flag=True, help="Only those that have never finished.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Batches on a page.")
@click.option("--page", type=CURSOR, help="The cursor that the page before printed.")
@json_option
@mapped()
def list_batches(unfinished: bool, limit: int, page: tuple[datetime, str] | None, output: Output) -> None:
    """List batches, newest first."""
    with open_database() as database, database.session() as session:
        found = rows.listed(session, unfinished, limit + 1, page)
    shown = [_counts(row) for row in found[:limit]]
    cursor = CURSOR.write(shown[-1]["created_at"], shown[-1]["batch_id"]) if len(found) > limit else None
    output.page("batches", shown, _COLUMNS, cursor)


@batches.command("show")
@click.argument("batch_id", type=JOB_ID)
@json_option
@mapped()
def show_batch(batch_id: str, output: Output) -> None:
    """Show how far a batch is, and the jobs that its events have made."""
    with open_database() as database, database.session() as session:
        row, progress = rows.show(session, batch_id)
        calls = [_call(event, row, lambda job_id: listing.show_job(session, job_id)) for event in Event]
    shown = {**asdict(progress), **{name: row[name] for name in _TIMES}, "cancel_reason": row["cancel_reason"]}
    if output.as_json:
        output.json({**shown, "events": calls})
        return
    output.record(_rounded(shown))
    output.section("events", calls, _CALLBACK_COLUMNS)


@batches.command("eta")
@click.argument("batch_id", type=JOB_ID)
@json_option
@mapped()
def show_eta(batch_id: str, output: Output) -> None:
    """Tell when what waits of a batch is done, from what waits before it and how long that is foretold to take."""
    now = datetime.now(UTC)
    with open_database() as database, database.session() as session:
        _, progress = rows.show(session, batch_id)
        found = prospect.of_batch(session, batch_id, now) or Eta(None, progress.eta, 0, "none of its jobs waits")
    if output.as_json:
        output.json({"batch_id": batch_id, **found._asdict(), "words": found.words()})
    else:
        output.line(found.words())


@batches.command("close")
@_IDS
@json_option
@mapped()
def close_batches(batch_ids: tuple[str, ...], output: Output) -> None:
    """Close batches: nobody but their own jobs adds more, and they are over when all of these have ended."""

    def close(database: Database, batch_id: str) -> str:
        with database.transaction() as transaction:
            rows.close(transaction, batch_id)
        return "closed"

    _apply(close, batch_ids, output)


@batches.command("cancel")
@_IDS
@click.option("--reason", default="cancelled by hand", show_default=True, help="Kept with the jobs.")
@json_option
@mapped()
def cancel_batches(batch_ids: tuple[str, ...], reason: str, output: Output) -> None:
    """Cancel batches: the controller cancels what has not ended of them, also what their jobs still add."""

    def cancel(database: Database, batch_id: str) -> str:
        with database.transaction() as transaction:
            return "cancelling" if rows.cancel(transaction, batch_id, reason) else "had finished"

    _apply(cancel, batch_ids, output)


@batches.command("retry-failed")
@_IDS
@json_option
@mapped()
def retry_failed(batch_ids: tuple[str, ...], output: Output) -> None:
    """Run the failed jobs of batches once more; when all have completed then, the success is called back."""

    def retry(database: Database, batch_id: str) -> str:
        return f"{rows.retry_failed(database, batch_id)} replayed"

    _apply(retry, batch_ids, output)


def _apply(verb: Callable[[Database, str], str], batch_ids: Sequence[str], output: Output) -> None:
    with open_database() as database:
        report = [{"batch_id": batch_id, "outcome": verb(database, batch_id)} for batch_id in batch_ids]
    if output.as_json:
        output.json(report)
    else:
        output.table(report, ("batch_id", "outcome"), empty="")


def _counts(row: Mapping[str, Any]) -> dict[str, Any]:
    progress = progress_of(tally_of(row), 0, row["at"])
    shown = {name: value for name, value in asdict(progress).items() if name not in ("running", "waiting")}
    return _rounded({**shown, **{name: row[name] for name in _TIMES}})


def _rounded(shown: dict[str, Any]) -> dict[str, Any]:
    """Give figures as people read them; 100 stands for the whole alone."""
    eta = shown["eta"]
    return {**shown, "percent": int(shown["percent"] * 10) / 10, "eta": None if eta is None else round(eta, 1)}


def _call(event: Event, row: Mapping[str, Any], find: Callable[[str], Mapping[str, Any] | None]) -> Mapping[str, Any]:
    made = row["callbacks"].get(event, {})
    job = find(made["job_id"]) if made and row[f"{event}_at"] else None
    return {
        "event": str(event),
        "at": row[f"{event}_at"],
        "job_type": made.get("job_type"),
        "job_id": job and job["job_id"],
        "status": job and job["status"],
    }
