"""The group ``jobs``, of ``jobplatform`` and of ``celery -A jobplatform`` alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import click

from jobplatform.actions import jobs as actions
from jobplatform.actions import logs as log_actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.filters import filters
from jobplatform.cli.output import Output, iso, json_option
from jobplatform.cli.parameters import CURSOR, JOB_ID
from jobplatform.cli.resubmitting import resubmit_job
from jobplatform.cli.selection import filtered
from jobplatform.cli.steering import COMMANDS
from jobplatform.jobs.graph import levels
from jobplatform.store.listing import JobFilter

_COLUMNS = ("job_id", "job_type", "status", "queue", "attempt", "created_at", "error_type")
_ATTEMPT_COLUMNS = ("attempt_number", "status", "worker_id", "started_at", "completed_at", "error_type")
_DECISION_COLUMNS = ("attempt", "action", "delay_seconds", "decided_by", "reason")
_EDGE_COLUMNS = ("job_id", "job_type", "status", "policy", "on_failure", "outcome", "reason")
_GRAPH_COLUMNS = ("level", "job_id", "job_type", "status", "after", "completed_at", "error_type")
_MIB = 1024 * 1024


@click.group(short_help="List, show and steer jobs.")
def jobs() -> None:
    """List, show and steer jobs."""


@jobs.command("list")
@filtered
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Jobs on a page.")
@click.option("--page", type=CURSOR, help="The cursor that the page before printed.")
@json_option
@mapped()
def list_jobs(limit: int, page: tuple[datetime, str] | None, output: Output, chosen: JobFilter) -> None:
    """List jobs, newest first."""
    with open_desk() as (desk, actor):
        found = actions.list_jobs(desk, actor, chosen, limit, page)
    output.page("jobs", found.rows, _COLUMNS, CURSOR.write(*found.next) if found.next else None)
    if found.reach:
        output.note(f"looked at {found.reach.looked:,} jobs, back to {iso(found.reach.back_to)}; --page goes on there")


@jobs.command("show")
@click.argument("job_id", type=JOB_ID)
@json_option
@mapped()
def show_job(job_id: str, output: Output) -> None:
    """Show a job, its attempts, and what was decided after each failure."""
    with open_desk() as (desk, actor):
        job, attempts, decisions, edges = actions.show_job(desk, actor, job_id)
    if output.as_json:
        lists = {"executions": attempts, "retry_decisions": decisions, "dependencies": edges}
        output.json({**job, **{name: list(map(dict, rows)) for name, rows in lists.items()}})
        return
    output.record(job)
    shown = [{**attempt, "death": _death((attempt["metrics"] or {}).get("death"))} for attempt in attempts]
    deadly = any(attempt["death"] for attempt in shown)
    output.section("attempts", shown, (*_ATTEMPT_COLUMNS, "death") if deadly else _ATTEMPT_COLUMNS)
    output.section("retry decisions", decisions, _DECISION_COLUMNS)
    output.section("waits for", _ends(edges, "depends_on_job_id", job_id), _EDGE_COLUMNS)
    output.section("is waited for by", _ends(edges, "job_id", job_id), _EDGE_COLUMNS)
    for attempt in attempts[-1:]:
        if attempt["traceback"]:
            output.block(f"traceback of attempt {attempt['attempt_number']}", attempt["traceback"])


@jobs.command("logs")
@click.argument("job_id", type=JOB_ID)
@click.option("--attempt", type=click.IntRange(1), help="Which one; the last that has a log unless said.")
@click.option("--all", "every", is_flag=True, help="The last lines of each of the newest attempts.")
@json_option
@mapped()
def show_logs(job_id: str, attempt: int | None, every: bool, output: Output) -> None:
    """Show what the code of an attempt has logged.

    It is kept of attempts that failed, or as JOBPLATFORM_CAPTURE_LOGS and the job type say.
    """
    if every and attempt is not None:
        raise click.UsageError("--all and --attempt say both which; give one of them")
    with open_desk() as (desk, actor):
        if every:
            found = [log._asdict() for log in log_actions.ends(desk, actor, job_id)]
        else:
            one = log_actions.read(desk, actor, job_id, attempt)
            found = [] if one is None else [dict(one)]
    if output.as_json:
        output.json({"job_id": job_id, "logs": found} if every else {"job_id": job_id, "log": next(iter(found), None)})
    elif not found:
        output.line("no log is kept of it")
    for log in [] if output.as_json else found:
        cut = f"; {log['cut']} lines before were cut" if log["cut"] else ""
        output.block(f"log of attempt {log['attempt']}{cut}", log["text"])


@jobs.command("graph")
@click.argument("job_id", type=JOB_ID)
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Jobs at most.")
@json_option
@mapped()
def show_graph(job_id: str, limit: int, output: Output) -> None:
    """Show the jobs that hang together with one by dependencies, in the order in which they can run."""
    with open_desk() as (desk, actor):
        found = actions.graph(desk, actor, job_id, limit)
    shown = found[:limit]
    level = levels({job["job_id"]: job["after"] for job in shown})
    rows = sorted(({"level": level[job["job_id"]], **job} for job in shown), key=itemgetter("level", "job_id"))
    if output.as_json:
        output.json({"jobs": rows, "complete": len(found) <= limit})
        return
    output.table([{**row, "after": len(row["after"])} for row in rows], _GRAPH_COLUMNS, empty="")
    if len(found) > limit:
        output.note(f"more than {limit} jobs hang together; see --limit")


@jobs.command("eta")
@click.argument("job_id", type=JOB_ID)
@click.option("--workflow", is_flag=True, help="Of all jobs that hang together with it by dependencies.")
@json_option
@mapped()
def show_eta(job_id: str, workflow: bool, output: Output) -> None:
    """Tell when a job begins and ends, from what waits before it and how long that is foretold to take."""
    with open_desk() as (desk, actor):
        found = actions.eta(desk, actor, job_id, workflow)
    if output.as_json:
        output.json({"job_id": job_id, **found._asdict(), "words": found.words()})
    else:
        output.line(found.words())


def _ends(edges: Sequence[Mapping[str, Any]], end: str, job_id: str) -> list[dict[str, Any]]:
    """Give the edges that have another job at one end, named by that."""
    return [{**edge, "job_id": edge[end]} for edge in edges if edge[end] != job_id]


def _death(known: Mapping[str, Any] | None) -> str | None:
    """Say how the process of an attempt died, and what memory it took, in a few words."""
    if known is None:
        return None
    code = known.get("exit_code")
    how = known.get("signal") or ("worker lost" if code is None else f"exit code {code}")
    return f"{how}, {known['rss'] / _MIB:.0f} MiB" if "rss" in known else how


for command in (*COMMANDS, resubmit_job, filters):
    jobs.add_command(command)
