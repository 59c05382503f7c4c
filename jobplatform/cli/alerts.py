"""``jobplatform alerts``: what is wrong, and who is told."""

from __future__ import annotations

from datetime import datetime

import click

from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import UNTIL

_COLUMNS = ("state", "condition", "subject", "message", "opened_at", "closed_at", "muted", "sent", "problem")
_MUTES = ("condition", "subject", "muted_until", "muted_by", "reason")


@click.group(short_help="List and mute what people are told of.")
def alerts() -> None:
    """List what is wrong, tell nobody of it for a while, and try whether people are told."""


@alerts.command("list")
@click.option("--all", "every", is_flag=True, help="What is over as well.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Alerts at most.")
@json_option
@mapped()
def list_alerts(every: bool, limit: int, output: Output) -> None:
    """List what is wrong, the latest first, and what could not be told."""
    from jobplatform.actions import alerts as actions

    with open_desk() as (desk, actor):
        found = actions.list_alerts(desk, actor, every, limit)
    if output.as_json:
        rows = {"alerts": list(map(dict, found.alerts)), "mutes": list(map(dict, found.mutes))}
        output.json({**rows, "targets": list(found.targets)})
        return
    output.table(found.alerts, _COLUMNS, empty="nothing is wrong that people would be told of")
    output.section("muted", found.mutes, _MUTES)
    if not found.targets:
        output.note("nobody is told of alerts; set JOBPLATFORM_ALERT_WEBHOOKS or JOBPLATFORM_ALERT_SMTP")


@alerts.command("mute")
@click.argument("condition")
@click.argument("subject", default="")
@click.option("--until", type=UNTIL, help="When it is told of again: in 2h, or at an ISO time.")
@click.option("--reason", help="Shown with it.")
@mapped()
def mute(condition: str, subject: str, until: datetime | None, reason: str | None) -> None:
    """Tell nobody of CONDITION, of one SUBJECT or of all; it is listed all the same."""
    from jobplatform.actions import alerts as actions

    with open_desk() as (desk, actor):
        actions.mute(desk, actor, condition, subject, until, reason)


@alerts.command("unmute")
@click.argument("condition")
@click.argument("subject", default="")
@mapped()
def unmute(condition: str, subject: str) -> None:
    """Tell people of CONDITION again."""
    from jobplatform.actions import alerts as actions

    with open_desk() as (desk, actor):
        actions.unmute(desk, actor, condition, subject)


@alerts.command("test")
@json_option
@mapped()
def test(output: Output) -> None:
    """Send a notice to everybody who is told of alerts."""
    from jobplatform.actions import alerts as actions

    with open_desk() as (desk, actor):
        outcome = actions.test(desk, actor)
    rows = [{"target": name, "problem": problem} for name, problem in outcome.items()]
    if output.as_json:
        output.json(rows)
    else:
        output.table(rows, ("target", "problem"), empty="nobody is told of alerts; set JOBPLATFORM_ALERT_WEBHOOKS")
    if any(outcome.values()):
        raise CommandError("somebody was not told; the problem stands beside the target", Exit.FAILED)
