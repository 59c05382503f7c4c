"""Plans: what agents ask to do, how much it touches, and deciding on it."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import Response

from jobplatform.actions import plans
from jobplatform.errors import RequestRefused
from jobplatform.web.page import go, page
from jobplatform.web.question import Question, ask, is_sure, unsure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting
from jobplatform.web.wording import plain

router = APIRouter()

PlanId = Annotated[str, Path(min_length=1, max_length=100)]

_MOST = 200
#: Characters of the arguments that are shown; who cannot read all of them cannot approve them here.
_LONGEST = 100_000


@router.get("/plans")
@does("plans.list")
def list_plans(request: Request, visit: Visiting) -> Response:
    """List the plans that can be decided on or applied."""
    rows = plans.list_plans(*visit, _MOST)
    return page(request, "plans.html", rows=rows, most=_MOST, minutes=plans.MINUTES)


@router.get("/plans/{plan_id}")
@does("plans.show")
def show_plan(request: Request, visit: Visiting, plan_id: PlanId) -> Response:
    """Show all that a plan would do."""
    row = plans.show_plan(*visit, plan_id)
    text = plain(json.dumps(row["arguments"], indent=2, ensure_ascii=False))
    return page(
        request,
        "plan.html",
        row=row,
        open=row["state"] in ("asked", "approved") and not row["over"],
        may=row["takes"] is not None and row["takes"] in visit.actor.permissions,
        arguments=text[:_LONGEST],
        more=len(text) > _LONGEST,
    )


@router.post("/plans/{plan_id}/{verb}")
@does("plans.show", "plans.approve", "plans.refuse")
def decide(
    request: Request,
    visit: Visiting,
    plan_id: PlanId,
    verb: str,
    sure: Annotated[str, Form()] = "",
    typed: Annotated[str, Form()] = "",
) -> Response:
    """Approve or refuse a plan, once somebody is sure."""
    if verb not in ("approve", "refuse"):
        raise RequestRefused(f"verb: {verb[:50]!r} is none; choose approve or refuse", 404)
    if not is_sure(sure, typed):
        question = _question(plans.show_plan(*visit, plan_id), verb)
        return ask(request, question._replace(problem=unsure(sure)))
    if verb == "refuse":
        plans.refuse(*visit, plan_id)
        return go(request, "/plans", f"Refused: the agent cannot apply {plan_id}.")
    # What was asked about is what is approved: another count is refused.
    row = plans.approve(*visit, plan_id, int(sure))
    return go(
        request,
        "/plans",
        f"Approved: the agent may apply {plan_id} once, until {row['expires_at'].astimezone(UTC):%H:%M:%S} UTC.",
    )


def _question(row: Any, verb: str) -> Question:
    here = f"/plans/{row['plan_id']}"
    asked = Question(
        title=f"Refuse plan {row['plan_id']}?",
        words=f"{plain(row['actor'])} cannot apply it then, and is told so.",
        action=f"{here}/{verb}",
        verb="Refuse",
        fields=[],
        jobs=1,
        back=here,
    )
    if verb == "refuse":
        return asked
    return asked._replace(
        title=f"Let {plain(row['actor'])} do {row['action']}?",
        words=f"It touches {row['jobs']:,} of what it names, and can be applied once. Approve nothing that you have "
        "not read: what agents write may come from the jobs that they have looked at.",
        verb=f"Approve {row['jobs']:,}",
        jobs=row["jobs"],
        harm=True,
    )
