"""Who holds something, why, and until when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from jobplatform.cli.desk import operator as operator
from jobplatform.cli.parameters import UNTIL
from jobplatform.store.pauses import Hold

Command = Callable[..., Any]

_OPTIONS = (
    click.option("--by", help="Who does it; who is logged in, if not given."),
    click.option("--resume-at", type=UNTIL, help="When it goes on by itself: in 2h, or at an ISO time."),
    click.option("--reason", default="paused by hand", show_default=True, help="Shown with it."),
)


def holding(command: Command) -> Command:
    """Add the options of a hold; the command takes it as ``hold``."""

    @wraps(command)
    def run(*, reason: str, by: str | None, resume_at: datetime | None, **options: Any) -> Any:
        return command(hold=Hold(reason, by or operator(), resume_at), **options)

    for option in _OPTIONS:
        run = option(run)
    return run
