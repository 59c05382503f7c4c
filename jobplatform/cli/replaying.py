"""``dlq replay`` and ``dlq replays``: give jobs another chance, a few of them first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from jobplatform.actions import replays as actions
from jobplatform.actions.replays import FEW, MOST, TROUBLE, Pace, Replayed
from jobplatform.cli.choosing import DLQ_ID, choosing, complain
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import TransitionRefused
from jobplatform.limits import parse_rate
from jobplatform.maintenance.replay_plan import Plan
from jobplatform.store.dead_letters import LetterFilter

#: Planning and asking read every dead letter that is meant.
_STATEMENT_SECONDS = 300.0
_COLUMNS = ("dlq_id", "job_id", "job_type", "error_type", "outcome")
_REPLAY_COLUMNS = ("replay_id", "state", "jobs", "step", "asked_by", "asked_at", "reason")
_REPLAY_ID = click.argument("replay_id", type=DLQ_ID)
_BY = click.option("--by", help="Who does it; who is logged in, if not given.")
_TROUBLE_COLUMNS = ("dlq_id", "job_id", "state", "error_type", "fingerprint", "reason")


@click.command("replay")
@choosing
@click.option("--limit", type=click.IntRange(1, MOST), default=MOST, help="Replay at most so many, the oldest.")
@click.option("--rate", help="Send no more than so many, such as 20/s or 100/m.")
@click.option("--canary", "canaries", type=click.IntRange(min=1), help="How many go first.  [default: 1 %, at least 5]")
@click.option("--at-once", is_flag=True, help="Let none of them go first.")
@_BY
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
    pace = Pace(None if rate is None else parse_rate(rate), 0 if at_once else canaries, limit)
    few = len(chosen.dlq_ids or ()) in range(1, FEW + 1) and pace.rate is None and canaries is None
    with open_desk(by=by, statement_seconds=_STATEMENT_SECONDS) as (desk, actor):
        if dry_run:
            _print_plan(actions.plan(desk, actor, chosen, pace), output)
        elif few:
            _print_replayed(actions.replay_now(desk, actor, chosen), output)
        else:
            _print_started(actions.start(desk, actor, chosen, pace), output)


def _print_replayed(done: Replayed, output: Output) -> None:
    """Report what became of each dead letter.

    :raises TransitionRefused: when one of them does not run; the others do all the same.
    """
    if output.as_json:
        output.json(list(done.letters))
    else:
        output.table(done.letters, _COLUMNS, empty="no such open dead letters")
    complain(done.left)
    for line in done.letters:
        if line["outcome"] == "refused":
            raise TransitionRefused(
                f"dead letter {line['dlq_id']}: its job is gone, runs or completed; "
                f"see: jobplatform jobs show {line['job_id']}"
            )


def _print_started(row: Mapping[str, Any] | None, output: Output) -> None:
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
    output.section("payloads that do not fit any more", found.invalid[:TROUBLE], invalid)
    output.section("limits that it meets", found.limits, ("name", "slots", "rate", "jobs", "seconds"))
    output.section("paused", found.paused, ("scope", "name", "reason", "paused_by"))


@click.group("replays")
def replay_group() -> None:
    """List, show, pause and cancel replays: many dead letters that the controller runs once more."""


@replay_group.command("list")
@click.option("--running", is_flag=True, help="Only those that have not ended.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Replays on a page.")
@click.option("--page", type=DLQ_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_replays(running: bool, limit: int, page: int | None, output: Output) -> None:
    """List replays, newest first."""
    with open_desk() as (desk, actor):
        found = actions.list_replays(desk, actor, running, limit, page)
    output.page("replays", found.rows, _REPLAY_COLUMNS, None if found.next is None else str(found.next))


@replay_group.command("show")
@_REPLAY_ID
@json_option
@mapped()
def show_replay(replay_id: int, output: Output) -> None:
    """Show how far a replay is, why it ended, and which of its jobs did not go well."""
    with open_desk() as (desk, actor):
        row, trouble = actions.show_replay(desk, actor, replay_id)
    if output.as_json:
        output.json({**row, "trouble": list(map(dict, trouble))})
        return
    output.record(row)
    output.section(f"jobs that did not go well, the first {TROUBLE}", trouble, _TROUBLE_COLUMNS)


@replay_group.command("pause")
@_REPLAY_ID
@click.option("--reason", help="Why, shown with it.")
@_BY
@json_option
@mapped()
def pause_replay(replay_id: int, reason: str | None, by: str | None, output: Output) -> None:
    """Send nothing more of a replay until it is resumed; what was sent goes on."""
    with open_desk(by=by) as (desk, actor):
        row = actions.pause(desk, actor, replay_id, reason)
    _report(row, "is paused", output)


@replay_group.command("resume")
@_REPLAY_ID
@_BY
@json_option
@mapped()
def resume_replay(replay_id: int, by: str | None, output: Output) -> None:
    """Let a paused replay go on in the step in which it was."""
    with open_desk(by=by) as (desk, actor):
        row = actions.resume(desk, actor, replay_id)
    _report(row, "goes on", output)


@replay_group.command("cancel")
@_REPLAY_ID
@_BY
@json_option
@mapped()
def cancel_replay(replay_id: int, by: str | None, output: Output) -> None:
    """Send nothing more of a replay; what was sent goes on, what was not stays a dead letter."""
    with open_desk(by=by) as (desk, actor):
        row = actions.cancel(desk, actor, replay_id)
    _report(row, "is cancelled", output)


def _report(row: Mapping[str, Any], words: str, output: Output) -> None:
    if output.as_json:
        output.json(dict(row))
    else:
        output.line(f"replay {row['replay_id']} {words}")


COMMANDS = (replay, replay_group)
