"""Alerts and what agents plan, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import alerts, plans, retention
from jobplatform.web.api.body import Body, Limit, Moment, Name, Number, Text
from jobplatform.web.api.reply import answer
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("alerts")

PlanId = Annotated[str, Path(min_length=1, max_length=100)]


class Meant(Body):
    """A condition that alerts tell of, and about what; empty is all of it."""

    condition: Name
    subject: Annotated[Text, Field()] = ""


class Muting(Meant):
    """What is to be kept quiet, until when and why; null is until it is told again."""

    until: Moment | None = None
    reason: Text | None = None


class Approval(Body):
    """How much the plan touches, as it was read by who approves it."""

    count: Number


@router.get("/alerts")
@does("alerts.list")
@gives(alerts.list_alerts)
def list_alerts(request: Request, visit: Visiting, every: bool = False, limit: Limit = 100) -> Response:
    """List what is wrong, with what was sent and what could not be; with ``every`` what is over as well."""
    return answer(request, alerts.list_alerts(*visit, every, limit))


@router.post("/alerts/mute")
@does("alerts.mute")
@gives(muted=str)
def mute(request: Request, visit: Visiting, asked: Muting) -> Response:
    """Tell nobody of a condition."""
    alerts.mute(*visit, asked.condition, asked.subject, asked.until, asked.reason)
    return answer(request, {"muted": asked.condition})


@router.post("/alerts/unmute")
@does("alerts.unmute")
@gives(unmuted=str)
def unmute(request: Request, visit: Visiting, asked: Meant) -> Response:
    """Tell people of a condition again."""
    alerts.unmute(*visit, asked.condition, asked.subject)
    return answer(request, {"unmuted": asked.condition})


@router.post("/alerts/test")
@does("alerts.test")
@gives(alerts.test)
def test(request: Request, visit: Visiting) -> Response:
    """Send a notice to everybody who is told of alerts; tells by target what went wrong."""
    return answer(request, alerts.test(*visit))


@router.get("/retention")
@does("retention.count")
@gives(retention.count, "jobs")
def count(request: Request, visit: Visiting) -> Response:
    """Count by type the jobs whose time is over, and change nothing."""
    return answer(request, {"jobs": retention.count(*visit)})


@router.get("/plans")
@does("plans.list")
@gives(plans.list_plans, "rows")
def list_plans(request: Request, visit: Visiting, limit: Limit = 100) -> Response:
    """List the plans of agents that can be decided on or applied, newest first."""
    return answer(request, {"rows": plans.list_plans(*visit, limit)})


@router.get("/plans/{plan_id}")
@does("plans.show")
@gives(plans.show_plan)
def show_plan(request: Request, visit: Visiting, plan_id: PlanId) -> Response:
    """Show a plan of an agent."""
    return answer(request, plans.show_plan(*visit, plan_id))


@router.post("/plans/{plan_id}/approve")
@does("plans.approve")
@gives(plans.approve)
def approve(request: Request, visit: Visiting, plan_id: PlanId, asked: Approval) -> Response:
    """Approve the plan of an agent, which may then apply it once; refused to agents and tokens."""
    return answer(request, plans.approve(*visit, plan_id, asked.count))


@router.post("/plans/{plan_id}/refuse")
@does("plans.refuse")
@gives(refused=str)
def refuse(request: Request, visit: Visiting, plan_id: PlanId) -> Response:
    """Refuse the plan of an agent."""
    plans.refuse(*visit, plan_id)
    return answer(request, {"refused": plan_id})
