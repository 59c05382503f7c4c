"""``jobs filters``: the filters of the list of jobs that somebody keeps."""

from __future__ import annotations

import click

from jobplatform.actions import saved_filters as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option


@click.group(short_help="Keep filters under a name.")
def filters() -> None:
    """Keep filters of the list of jobs under a name, as the dashboard shows them to a user of yours."""


@filters.command("list")
@json_option
@mapped()
def list_filters(output: Output) -> None:
    """List your filters by name."""
    with open_desk() as (desk, actor):
        found = actions.list_filters(desk, actor)
    output.page("filters", found, ("name", "filter", "columns"), None)


@filters.command("save")
@click.argument("name")
@click.argument("filter")
@click.option("--column", "columns", multiple=True, help="To be shown with it; give it again for more.")
@mapped()
def save(name: str, filter: str, columns: tuple[str, ...]) -> None:
    """Keep FILTER, such as 'type:mail state:failed', under NAME."""
    with open_desk() as (desk, actor):
        actions.save(desk, actor, name, filter, columns)


@filters.command("remove")
@click.argument("name")
@mapped()
def remove(name: str) -> None:
    """Keep a filter no more."""
    with open_desk() as (desk, actor):
        actions.remove(desk, actor, name)
