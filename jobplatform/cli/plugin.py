"""The commands that Celery's own command line shows.

Celery imports these in every worker, so nothing heavy may be imported here before a command is called for.
"""

from __future__ import annotations

from typing import Any

import click

_PASSED_ON: dict[str, Any] = {
    "add_help_option": False,
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
}


@click.command("jobs", short_help="List, show and steer jobs.", **_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def jobs(arguments: tuple[str, ...]) -> None:
    """List, show and steer jobs, as ``jobplatform jobs`` does."""
    from jobplatform.cli.jobs import jobs as group

    group.main(list(arguments), prog_name="celery jobs")


@click.command("workers", short_help="List, cordon and drain workers.", **_PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def workers(arguments: tuple[str, ...]) -> None:
    """List, cordon and drain workers, as ``jobplatform workers`` does."""
    from jobplatform.cli.workers import workers as group

    group.main(list(arguments), prog_name="celery workers")


@click.command()
@click.option("-l", "--loglevel", default="INFO", show_default=True, help="Level of the log on standard error.")
@click.pass_context
def controller(context: click.Context, loglevel: str) -> None:
    """Run the controller: it mirrors the journal into the tables, publishes due jobs and decides on retries.

    Any number may run; one leads and the others stand by.
    """
    from jobplatform.cli.controller import run

    run(context.obj.app, loglevel)
