"""The group ``durations``: how long jobs take, how true that was, and what time limits they bear."""

from __future__ import annotations

import click

from jobplatform.actions import durations as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option

_COLUMNS = ("job_type", "p10", "p50", "p90", "decided_by", "runs", "within", "inside", "updated_at")
_KEY_COLUMNS = ("key", "p10", "p50", "p90", "chance", "decided_by", "runs", "longest", "updated_at")
_DAY_COLUMNS = ("day", "runs", "judged", "within", "inside", "below", "above", "error", "mean")
_LIMIT_COLUMNS = ("job_type", "timeout", "suggested", "soft", "reason")
_limit = click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Rows at most.")


@click.group(short_help="How long jobs take, as foretold and as it was.")
def durations() -> None:
    """Show how long jobs are foretold to take, in seconds, and how true that was.

    A tenth of the runs take less than p10, a tenth more than p90. `within` is the share that took p50, give or take a
    fifth; `inside` that between p10 and p90, which is to be about 0.80.
    """


@durations.command("list")
@_limit
@json_option
@mapped()
def list_durations(limit: int, output: Output) -> None:
    """List job types; the shares are those of the last week."""
    with open_desk() as (desk, actor):
        found = actions.list_durations(desk, actor, limit)
    if output.as_json:
        output.json(found)
    else:
        output.table(found, _COLUMNS, empty="no job has completed yet")


@durations.command("show")
@click.argument("job_type")
@_limit
@json_option
@mapped()
def show_durations(job_type: str, limit: int, output: Output) -> None:
    """Show the estimates of a job type, by key, and how true they were, by day."""
    with open_desk() as (desk, actor):
        keys, days = actions.show_durations(desk, actor, job_type, limit)
    if output.as_json:
        output.json({"job_type": job_type, "estimates": keys, "days": days})
        return
    output.table(keys, _KEY_COLUMNS, empty="")
    output.section("how true it was", days, _DAY_COLUMNS)


@durations.command("suggest")
@_limit
@json_option
@mapped()
def suggest_limits(limit: int, output: Output) -> None:
    """Suggest time limits: seconds that hardly any run that ends well needs, so that one that hangs is ended."""
    with open_desk() as (desk, actor):
        found = actions.suggest_limits(desk, actor, limit)
    if output.as_json:
        output.json(found)
    else:
        output.table(found, _LIMIT_COLUMNS, empty="no job has completed yet")
