"""The group ``breakers``: what is held as others fail of the same cause, and saying otherwise."""

from __future__ import annotations

import click

from jobplatform.actions import breakers as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option

_COLUMNS = ("cause", "state", "held", "probes", "probe_at", "opened_at", "forced", "reason")


@click.group(short_help="List, open and close breakers.")
def breakers() -> None:
    """List, open and close breakers.

    A breaker holds the jobs that fail of one cause, such as host:api.local, while nearly all of them do. One job at a
    time tries it, and when that succeeds, the others follow in steps.
    """


@breakers.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are closed as well.")
@json_option
@mapped()
def list_breakers(every: bool, output: Output) -> None:
    """List the breakers that hold jobs, or that somebody forced, and how many jobs each holds."""
    with open_desk() as (desk, actor):
        found = actions.list_breakers(desk, actor, every)
    if output.as_json:
        output.json({"breakers": found})
    else:
        output.table(found, _COLUMNS, empty="no breaker is open")


@breakers.command("show")
@click.argument("cause")
@json_option
@mapped()
def show_breaker(cause: str, output: Output) -> None:
    """Show a breaker: why it opened, which job types do not begin, and when the next job tries."""
    with open_desk() as (desk, actor):
        found = next((row for row in actions.list_breakers(desk, actor, every=True) if row["cause"] == cause), None)
    if found is None:
        raise CommandError(f"there is no breaker {cause}; see: jobplatform breakers list --all", Exit.NOT_FOUND)
    if output.as_json:
        output.json(found)
    else:
        output.record(found)


def _forcing(name: str, forced: str | None, words: str) -> None:
    """Add the command that forces breakers, or no longer does."""

    @breakers.command(name, help=words, short_help=words)
    @click.argument("causes", nargs=-1, required=True)
    @json_option
    @mapped()
    def command(causes: tuple[str, ...], output: Output) -> None:
        with open_desk() as (desk, actor):
            actions.force(desk, actor, causes, forced)
        if output.as_json:
            output.json({"causes": list(causes), "forced": forced})
        else:
            output.line(f"{', '.join(causes)}: {forced or 'decides by itself'}, within a second")


_forcing("open", "open", "Hold all jobs that fail of these causes from now on; none of them tries.")
_forcing("close", "closed", "Hold nothing that fails of these causes, and let go what is held.")
_forcing("auto", None, "Let the breakers of these causes decide by themselves again.")
