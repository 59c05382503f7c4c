"""The group ``batches``: jobs that are counted together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from jobplatform.actions import batches as actions
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import CURSOR, JOB_ID

_COLUMNS = ("batch_id", "name", "state", "percent", "total", "completed", "failed", "cancelled", "eta", "created_at")
_CALLBACK_COLUMNS = ("event", "at", "job_type", "job_id", "status")
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
    with open_desk() as (desk, actor):
        found = actions.list_batches(desk, actor, unfinished, limit, page)
    cursor = CURSOR.write(*found.next) if found.next else None
    output.page("batches", list(map(_rounded, found.rows)), _COLUMNS, cursor)


@batches.command("show")
@click.argument("batch_id", type=JOB_ID)
@json_option
@mapped()
def show_batch(batch_id: str, output: Output) -> None:
    """Show how far a batch is, and the jobs that its events have made."""
    with open_desk() as (desk, actor):
        shown, events = actions.show_batch(desk, actor, batch_id)
    if output.as_json:
        output.json({**shown, "events": list(events)})
        return
    output.record(_rounded(shown))
    output.section("events", events, _CALLBACK_COLUMNS)


@batches.command("eta")
@click.argument("batch_id", type=JOB_ID)
@json_option
@mapped()
def show_eta(batch_id: str, output: Output) -> None:
    """Tell when what waits of a batch is done, from what waits before it and how long that is foretold to take."""
    with open_desk() as (desk, actor):
        found = actions.eta(desk, actor, batch_id)
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

    def close(desk: Desk, actor: Actor, batch_id: str) -> str:
        actions.close(desk, actor, batch_id)
        return "closed"

    _apply(close, batch_ids, output)


@batches.command("cancel")
@_IDS
@click.option("--reason", default="cancelled by hand", show_default=True, help="Kept with the jobs.")
@json_option
@mapped()
def cancel_batches(batch_ids: tuple[str, ...], reason: str, output: Output) -> None:
    """Cancel batches: the controller cancels what has not ended of them, also what their jobs still add."""

    def cancel(desk: Desk, actor: Actor, batch_id: str) -> str:
        return "cancelling" if actions.cancel(desk, actor, batch_id, reason) else "had finished"

    _apply(cancel, batch_ids, output)


@batches.command("retry-failed")
@_IDS
@json_option
@mapped()
def retry_failed(batch_ids: tuple[str, ...], output: Output) -> None:
    """Run the failed jobs of batches once more; when all have completed then, the success is called back."""

    def retry(desk: Desk, actor: Actor, batch_id: str) -> str:
        return f"{actions.retry_failed(desk, actor, batch_id)} replayed"

    _apply(retry, batch_ids, output)


def _apply(verb: Callable[[Desk, Actor, str], str], batch_ids: Sequence[str], output: Output) -> None:
    with open_desk() as (desk, actor):
        report = [{"batch_id": batch_id, "outcome": verb(desk, actor, batch_id)} for batch_id in batch_ids]
    if output.as_json:
        output.json(report)
    else:
        output.table(report, ("batch_id", "outcome"), empty="")


def _rounded(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Give figures as people read them; 100 stands for the whole alone."""
    eta = shown["eta"]
    return {**shown, "percent": int(shown["percent"] * 10) / 10, "eta": None if eta is None else round(eta, 1)}
