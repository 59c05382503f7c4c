"""What somebody is let do, and where: the options that users and tokens share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from jobplatform.actions.actor import Scope
from jobplatform.actions.permission import Permission

Command = Callable[..., Any]

may_option = click.option(
    "--may",
    multiple=True,
    type=click.Choice([str(each) for each in Permission]),
    metavar="PERMISSION",
    help="Such as jobs.payload; may be given several times.",
)


_OPTIONS = (
    click.option("--tenant", "tenants", multiple=True, help="Jobs of this tenant alone; of all, if not given."),
    click.option("--queue", "queues", multiple=True, help="In this queue alone; in all, if not given."),
)


def scoping(command: Command) -> Command:
    """Add queues and tenants; the command takes them as ``scope``, None when none was given."""

    @wraps(command)
    def run(*, queues: tuple[str, ...], tenants: tuple[str, ...], **options: Any) -> Any:
        scope = Scope(frozenset(queues) or None, frozenset(tenants) or None) if queues or tenants else None
        return command(scope=scope, **options)

    for option in _OPTIONS:
        run = option(run)
    return run
