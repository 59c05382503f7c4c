"""The command ``capacity``: what would have been with another number of workers."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from jobplatform.actions import capacity as actions
from jobplatform.actions.capacity import Question
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DURATION, SINCE

_COLUMNS = ("policy", "jobs", "late", "late_share", "wait_p50", "wait_p95", "wait_max", "worker_hours", "most_workers")


@click.command(short_help="Say what would have been with another number of workers.")
@click.option("--workers", type=click.IntRange(1, 100_000), multiple=True, help="So many; several are compared.")
@click.option("--queue", help="Only the jobs of this queue.")
@click.option("--from", "since", type=SINCE, default="1d", show_default=True, help="Jobs that were submitted since.")
@click.option("--to", "until", type=SINCE, default="0s", show_default=True, help="Jobs that were submitted before.")
@click.option(
    "--slots", type=click.IntRange(1, 10_000), help="Jobs that a worker runs at once, else the setting, or 1."
)
@click.option("--slo", type=DURATION, help="How long a job may wait, else the setting says.")
@click.option("--start", type=DURATION, help="How long a worker takes to start, else the setting says.")
@click.option("--scaler", is_flag=True, help="Compare the rate rule, the model in force, and the future known.")
@json_option
@mapped()
def capacity(
    workers: tuple[int, ...], queue: str | None, since: datetime, until: datetime, scaler: bool, output: Output,
    slots: int | None, slo: timedelta | None, start: timedelta | None,
) -> None:  # fmt: skip
    """Run recorded jobs once more in simulated time, and print waits, jobs that waited too long, and worker-hours.

    A start of a job counts as an arrival of its own, and takes as long as it took.
    """
    if not workers and not scaler:
        raise click.UsageError("say what to compare: --workers and a number, --scaler, or both")
    question = Question(since, until, workers, scaler, queue, slots, _seconds(slo), _seconds(start))
    with open_desk() as (desk, actor):
        found = actions.ask(desk, actor, question)
    if output.as_json:
        output.json({"queue": queue, "from": since, "to": until, "policies": found})
    else:
        output.table(found, _COLUMNS, empty="")


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
