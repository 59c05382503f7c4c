"""``jobplatform env``: where the stack that is up listens."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DIRECTORY
from jobplatform.settings import load_settings


@click.command(short_help="Print the variables that point to the stack that is up.")
@click.option("--dir", "directory", type=DIRECTORY, help="Where its data is kept.")
@json_option
@mapped()
def env(directory: Path | None, output: Output) -> None:
    """Print the variables that point to the stack that is up, for: eval "$(jobplatform env)"."""
    from jobplatform.devstack.stack import read_running

    place = directory or Path(load_settings(os.environ).data_dir)
    stack = read_running(place)
    if stack is None:
        raise CommandError(f"no stack is up in {place}; run: jobplatform up", Exit.UNREACHABLE)
    if output.as_json:
        output.json(stack.environment())
        return
    for name, value in stack.environment().items():
        output.line(f"export {name}={shlex.quote(value)}")
