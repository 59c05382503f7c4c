"""``dlq replay`` and ``dlq replays``: give jobs another chance, a few of them first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from jobplatform.cli.application import open_app
from jobplatform.cli.choosing import DLQ_ID, MISSING, choosing
from jobplatform.cli.connect import open_database, require_settings
from jobplatform.cli.exits import mapped
from jobplatform.cli.holding import operator
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import JobNotFound, ReplayNotFound, TransitionRefused
from jobplatform.limits import parse_rate
from jobplatform.maintenance.replay_plan import Plan, plan
from jobplatform.store import dead_letters, replay_jobs, replays
from jobplatform.store.database import Database, Transaction
from jobplatform.store.dead_letters import LetterFilter, Row
from jobplatform.store.replays import Wish

#: So few dead letters that are named one by one run at once.
FEW = 10
_ALL = 10_000_000
_SHOWN = 20
#: Planning and asking read every dead letter that is meant.
_STATEMENT_SECONDS = 300.0
_COLUMNS = ("dlq_id", "job_id", "job_type", "error_type", "outcome")
_REPLAY_COLUMNS = ("replay_id", "state", "jobs", "step", "asked_by", "asked_at", "reason")
_TROUBLE_COLUMNS = ("dlq_id", "job_id", "state", "error_type", "fingerprint", "reason")
_NO_REPLAY = "replay {}: there is none of this id; see: jobplatform dlq replays list"
_STATES = ("waiting", "sent", "succeeded", "failed", "skipped")


@click.command("replay")
@choosing
@click.option("--limit", type=click.IntRange(1, _ALL), default=_ALL, help="Replay at most so many, the oldest.")
@click.option("--rate", help="Send no more than so many, such as 20/s or 100/m.")
@click.option("--canary", "canaries", type=click.IntRange(min=1), help="How many go first.  [default: 1 %, at least 5]")
@click.option("--at-once", is_flag=True, help="Let none of them go first.")
@click.option("--by", help="Who does it; who is logged in, if not given.")
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would run, and what is in its way.")
@json_option
@mapped()
def replay(
    chosen: LetterFilter,
    limit: int,
    rate: str | None,
    canaries: int | None,
    at_once: bool,
    by: str | None,
    dry_run: bool,
    output: Output,
) -> None:
    """Run the jobs of dead letters once more, by id or by filter; their retries are restored.

    A few ids run at once. Otherwise the controller sends some jobs first, and only when these have ended well the
    others, step by step. It stops by itself when an error comes back that was to be mended.
    """
    if at_once and canaries is not None:
        raise click.UsageError("--at-once lets none go first; leave out --canary or --at-once")
    wish = Wish(by or operator(), None if rate is None else parse_rate(rate), 0 if at_once else canaries)
    settings = require_settings()
    if dry_run:
        app, database = open_app(settings), Database(settings, 1, _STATEMENT_SECONDS)
        with database.transaction() as transaction:
            _print_plan(plan(transaction, app, chosen, wish, limit, settings.payload_limit), output)
        database.close()
    elif len(chosen.dlq_ids or ()) in range(1, FEW + 1) and wish == Wish(
        wish.asked_by, canaries=0 if at_once else None
    ):
        _replay_now(chosen, wish.asked_by, output)
    else:
        _ask(chosen, wish, limit, output)


def _replay_now(chosen: LetterFilter, by: str, output: Output) -> None:
    ids = chosen.dlq_ids or ()
    with open_database() as database, database.transaction() as transaction:
        rows = dead_letters.payloads(transaction, chosen, len(ids))
        done = frozenset(dead_letters.replay(transaction, sorted({row["job_id"] for row in rows}), by))
        absent = _absent(transaction, ids, rows)
    report = [
        {**{name: row[name] for name in _COLUMNS[:-1]}, "outcome": "replayed" if row["job_id"] in done else "refused"}
        for row in rows
    ]
    if output.as_json:
        output.json(report)
    else:
        output.table(report, _COLUMNS, empty="no such open dead letters")
    _complain(report, absent)


def _absent(transaction: Transaction, ids: Sequence[int], rows: Sequence[Row]) -> dict[int, Row | None]:
    """Read those of the dead letters that were named that are not open, or do not match."""
    left_out = frozenset(ids) - {row["dlq_id"] for row in rows}
    return {dlq_id: dead_letters.show(transaction, dlq_id) for dlq_id in sorted(left_out)}


def _complain(report: Sequence[Mapping[str, Any]], absent: Mapping[int, Row | None]) -> None:
    """Raise for the first dead letter that was named and is not replayed."""
    for dlq_id, row in absent.items():
        if row is None:
            raise JobNotFound(MISSING.format(dlq_id))
        if row["resolved_at"] is not None:
            raise TransitionRefused(f"dead letter {dlq_id} is resolved already: {row['resolution']}")
        raise JobNotFound(f"dead letter {dlq_id} does not match the filter; leave the filter out")
    for line in report:
        if line["outcome"] == "refused":
            raise TransitionRefused(
                f"dead letter {line['dlq_id']}: its job is gone, runs or completed; "
                f"see: jobplatform jobs show {line['job_id']}"
            )


def _ask(chosen: LetterFilter, wish: Wish, limit: int, output: Output) -> None:
    database = Database(require_settings(), 1, _STATEMENT_SECONDS)
    with database.transaction() as transaction:
        row = replays.ask(transaction, chosen, wish, limit)
    database.close()
    if output.as_json:
        output.json(dict(row) if row else {"replay_id": None, "jobs": 0})
    elif row is None:
        output.note("no such open dead letters")
    else:
        output.line(f"replay {row['replay_id']} of {row['jobs']} jobs")
        output.note(f"the controller works on it; see: jobplatform dlq replays show {row['replay_id']}")


def _print_plan(found: Plan, output: Output) -> None:
    if output.as_json:
        output.json({**asdict(found), **{name: list(map(dict, getattr(found, name))) for name in ("by", "paused")}})
        return
    output.record({
        "jobs": found.jobs, "canaries": found.canaries, "rate": f"{found.rate:g}/s" if found.rate else None,
        "seconds_at_least": found.seconds_at_least, "unknown_to_workers": ", ".join(found.unknown) or None,
        "not_checked_here": ", ".join(found.unchecked) or None,
    })  # fmt: skip
    output.section("what would run", found.by, ("job_type", "queue", "fingerprint", "jobs", "refused"))
    invalid = ("jobs", "job_type", "field", "problem", "fix", "dlq_id")
    output.section("payloads that do not fit any more", found.invalid[:_SHOWN], invalid)
    output.section("limits that it meets", found.limits, ("name", "slots", "rate", "jobs", "seconds"))
    output.section("paused", found.paused, ("scope", "name", "reason", "paused_by"))


@click.group("replays")
def replay_group() -> None:
    """List, show and cancel replays: many dead letters that the controller runs once more."""


@replay_group.command("list")
@click.option("--running", is_flag=True, help="Only those that have not ended.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Replays on a page.")
@click.option("--page", type=DLQ_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_replays(running: bool, limit: int, page: int | None, output: Output) -> None:
    """List replays, newest first."""
    with open_database() as database, database.session() as session:
        rows = replays.listed(session, running, limit + 1, page)
    cursor = str(rows[limit - 1]["replay_id"]) if len(rows) > limit else None
    output.page("replays", rows[:limit], _REPLAY_COLUMNS, cursor)


@replay_group.command("show")
@click.argument("replay_id", type=DLQ_ID)
@json_option
@mapped()
def show_replay(replay_id: int, output: Output) -> None:
    """Show how far a replay is, why it ended, and which of its jobs did not go well."""
    with open_database() as database, database.session() as session:
        row = replays.show(session, replay_id)
        trouble = replay_jobs.trouble(session, replay_id, _SHOWN)
    if row is None:
        raise ReplayNotFound(_NO_REPLAY.format(replay_id))
    if output.as_json:
        output.json({**_counted(row), "trouble": list(map(dict, trouble))})
        return
    output.record(_counted(row))
    output.section(f"jobs that did not go well, the first {_SHOWN}", trouble, _TROUBLE_COLUMNS)


@replay_group.command("cancel")
@click.argument("replay_id", type=DLQ_ID)
@click.option("--by", help="Who does it; who is logged in, if not given.")
@json_option
@mapped()
def cancel_replay(replay_id: int, by: str | None, output: Output) -> None:
    """Send nothing more of a replay; what was sent goes on, what was not stays a dead letter."""
    reason = f"cancelled by {by or operator()}"
    with open_database() as database, database.transaction() as transaction:
        done = replays.end(transaction, replay_id, "cancelled", reason, datetime.now(UTC))
        row = replays.show(transaction, replay_id)
    if row is None:
        raise ReplayNotFound(_NO_REPLAY.format(replay_id))
    if not done:
        raise TransitionRefused(f"replay {replay_id} has ended already: it is {row['state']}")
    if output.as_json:
        output.json(_counted(row))
    else:
        output.line(f"replay {replay_id} is cancelled")


def _counted(row: replays.Row) -> dict[str, Any]:
    counts = {state: row["counts"].get(state, 0) for state in _STATES}
    return {**{name: value for name, value in row.items() if name != "counts"}, **counts}


COMMANDS = (replay, replay_group)
