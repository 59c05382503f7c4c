"""The group ``mcp``: serve agents, and decide on what they ask for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import anyio
import click

from jobplatform.actions import entry, plans
from jobplatform.actions.actor import Actor, Via
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.cli.desk import open_desk, operator
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.mcp.job_tools import tools_of_types
from jobplatform.mcp.offered import Tool, tools_of_actions
from jobplatform.mcp.office import Office
from jobplatform.mcp.quoted import clean

TOKEN = "JOBPLATFORM_TOKEN"
#: Whoever approves more than so many types their number.
_MANY = 100
_COLUMNS = ("plan_id", "state", "actor", "action", "jobs", "asked_at", "expires_at", "decided_by")


@click.group(invoke_without_command=True, short_help="Serve agents, and decide on what they ask for.")
@click.pass_context
@mapped()
def mcp(context: click.Context) -> None:
    """Serve an agent over standard input and output, by the Model Context Protocol.

    JOBPLATFORM_TOKEN says who the agent is and what it may do; without it, it may look and change nothing. What it
    wants to change waits as a plan until a person approves that: see "jobplatform mcp plans".
    """
    if context.invoked_subcommand is not None:
        return
    try:
        from jobplatform.mcp.server import serve_stdio
    except ImportError as error:
        raise CommandError(
            f"the SDK is missing ({error.name}); run: pip install 'jobplatform[mcp]'", Exit.FAILED
        ) from error
    secret = os.environ.pop(TOKEN, None)
    with open_desk() as (desk, _):
        anyio.run(serve_stdio, Office(desk, _agent(desk, secret), _tools(desk)))


@mcp.command("plans")
@json_option
@mapped()
def list_plans(output: Output) -> None:
    """List what agents ask for and nobody has applied yet."""
    with open_desk() as (desk, actor):
        found = [dict(row) for row in plans.list_plans(desk, actor)]
    shown = [{name: row[name] for name in (*_COLUMNS, "arguments", "blast")} for row in found]
    if output.as_json:
        output.json({"plans": shown})
    else:
        output.table(shown, _COLUMNS, empty="no plan waits")


@mcp.command("approve")
@click.argument("plan_id")
@mapped()
def approve(plan_id: str) -> None:
    """Show a plan, ask whether it is to be done, and let the agent do it once.

    It takes a terminal: a person decides here, and no program that the agent has started.
    """
    if not _is_terminal():
        raise CommandError("a person approves plans, at a terminal; run this command there", Exit.USAGE)
    with open_desk() as (desk, actor):
        plan = plans.show_plan(desk, actor, plan_id)
        click.echo(_described(plan))
        if not _agreed(plan["jobs"]):
            plans.refuse(desk, actor, plan_id)
            raise CommandError(f"plan {plan_id} is refused", Exit.FAILED)
        plans.approve(desk, actor, plan_id, plan["jobs"])
    click.echo(f"plan {plan_id} is approved; the agent may apply it once, until {plan['expires_at']:%H:%M:%S}")


@mcp.command("refuse")
@click.argument("plan_id")
@mapped()
def refuse(plan_id: str) -> None:
    """Refuse a plan."""
    with open_desk() as (desk, actor):
        plans.refuse(desk, actor, plan_id)
    click.echo(f"plan {plan_id} is refused")


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _agreed(jobs: int) -> bool:
    if jobs > _MANY:
        return bool(click.prompt(f"It touches {jobs}. Type that number to approve", default="", type=str) == str(jobs))
    return click.confirm("Approve it?", default=False)


def _described(plan: Mapping[str, Any]) -> str:
    """Write a plan for whoever decides on it; what an agent has written changes nothing of how it looks."""
    blast = plan["blast"]
    rows = {
        "plan": plan["plan_id"],
        "asked by": clean(plan["actor"]),
        "action": plan["action"],
        "arguments": clean(repr(plan["arguments"])),
        "touches": f"{plan['jobs']}  {clean(', '.join(blast['sample']))}",
        "what": clean(blast["what"]),
        "until": f"{plan['expires_at']:%H:%M:%S %Z}",
    }
    return "\n".join(f"{name:>10}  {value}" for name, value in rows.items())


def _tools(desk: Desk) -> list[Tool]:
    return [*tools_of_actions(), *tools_of_types(desk.application())]


def _agent(desk: Desk, secret: str | None) -> Actor:
    """Give who the agent is."""
    if secret is None:
        return Actor(f"{operator()}/agent", Via.AGENT, ROLES["viewer"])
    actor = entry.of_token(desk, secret, None, via=Via.AGENT)
    if actor is None:
        raise CommandError(f"{TOKEN}: no token counts that says so; it may be over, or revoked", Exit.USAGE)
    return actor
