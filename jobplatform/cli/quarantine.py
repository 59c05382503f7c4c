"""The group ``quarantine``: messages and journal entries that could not be read, and giving them another chance."""

from __future__ import annotations

import base64

import click

from jobplatform.actions import quarantine as actions
from jobplatform.actions.quarantine import Choice, Settled
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import NotQuarantined, TransitionRefused

_COLUMNS = ("quarantine_id", "kind", "queue", "size", "complete", "reason", "quarantined_at", "resolution")
_DONE_COLUMNS = ("quarantine_id", "kind", "queue", "size", "outcome")
_ID = click.IntRange(min=1, max=2**63 - 1)
_KIND = click.Choice(["message", "entry"])
_SHOWN = 2_000


@click.group(short_help="List, show and replay what could not be read.")
def quarantine() -> None:
    """List, show, replay and discard messages and journal entries that nothing could be made of."""


@quarantine.command("list")
@click.option("--kind", type=_KIND, help="Messages of queues, or entries of the journal.")
@click.option("--queue", help="Messages of this queue.")
@click.option("--all", "resolved_too", is_flag=True, help="What was resolved as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Rows on a page.")
@click.option("--page", type=_ID, metavar="CURSOR", help="The cursor that the page before printed.")
@json_option
@mapped()
def list_quarantine(
    kind: str | None, queue: str | None, resolved_too: bool, limit: int, page: int | None, output: Output
) -> None:
    """List what is in quarantine, newest first."""
    with open_desk() as (desk, actor):
        found, after = actions.list_quarantine(desk, actor, kind, queue, resolved_too, limit, page)
    output.page("quarantine", found, _COLUMNS, str(after) if after else None)


@quarantine.command("show")
@click.argument("quarantine_id", type=_ID)
@json_option
@mapped()
def show_quarantined(quarantine_id: int, output: Output) -> None:
    """Show why something is in quarantine, and its bytes."""
    with open_desk() as (desk, actor):
        row = actions.show_quarantined(desk, actor, quarantine_id)
    raw = row["entry"]
    told = {name: value for name, value in row.items() if name != "entry"}
    if output.as_json:
        output.json({**told, "raw": base64.b64encode(raw).decode()})
        return
    output.record(told)
    output.block(f"first {_SHOWN} bytes" if len(raw) > _SHOWN else "bytes", _text(raw[:_SHOWN]))


@quarantine.command("replay")
@click.argument("quarantine_ids", type=_ID, nargs=-1)
@click.option("--kind", type=_KIND, help="All open ones of this kind.")
@click.option("--queue", help="All open messages of this queue.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="Replay at most.")
@click.option("--dry-run", is_flag=True, help="Change nothing; tell what would be replayed.")
@json_option
@mapped()
def replay(
    quarantine_ids: tuple[int, ...], kind: str | None, queue: str | None, limit: int, dry_run: bool, output: Output
) -> None:
    """Put messages back into their queues, and entries back into the journal, by id or by filter.

    Only what was kept whole can be replayed. Do it once the cause is away, such as after an upgrade.
    """
    if not (quarantine_ids or kind or queue):
        raise click.UsageError("nothing says which ones; give ids, --kind or --queue")
    with open_desk() as (desk, actor):
        done = actions.replay(desk, actor, Choice(quarantine_ids, kind, queue, limit), dry_run)
    _report(done, output)


@quarantine.command("discard")
@click.argument("quarantine_ids", type=_ID, nargs=-1, required=True)
@json_option
@mapped()
def discard(quarantine_ids: tuple[int, ...], output: Output) -> None:
    """Mark what is in quarantine as not worth a replay; the bytes stay."""
    with open_desk() as (desk, actor):
        done = actions.discard(desk, actor, quarantine_ids)
    _report(done, output)


def _report(done: Settled, output: Output) -> None:
    """Tell what became of each.

    :raises NotQuarantined: when an id that was asked for is not there.
    :raises TransitionRefused: when one is resolved already, or was refused.
    """
    if output.as_json:
        output.json(list(done.rows))
    else:
        output.table(done.rows, _DONE_COLUMNS, empty="nothing that is open in quarantine matches")
    for quarantine_id, why in done.missing.items():
        raise (TransitionRefused if quarantine_id in done.resolved else NotQuarantined)(why)
    for row in done.rows:
        if row["outcome"].startswith("refused"):
            raise TransitionRefused(f"{row['quarantine_id']}: {row['outcome']}")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
