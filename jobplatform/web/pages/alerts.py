"""Alerts: what is wrong and was, who is told of it, and telling nobody for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from jobplatform.actions import alerts
from jobplatform.errors import JobOptionError
from jobplatform.web.page import go, page
from jobplatform.web.question import Blank, Question, ask, is_sure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

_MOST = 200
#: For how long nobody is told.
_SPANS = {
    "an hour": timedelta(hours=1),
    "eight hours": timedelta(hours=8),
    "a day": timedelta(days=1),
    "a week": timedelta(days=7),
    "until it is unmuted": None,
}

Condition = Annotated[str, Form(max_length=100)]
Subject = Annotated[str, Form(max_length=500)]


@router.get("/alerts")
@does("alerts.list")
def list_alerts(request: Request, visit: Visiting, every: bool = False) -> Response:
    """List what is wrong, and when people are told of what."""
    found = alerts.list_alerts(*visit, every, _MOST)
    return page(
        request,
        "alerts.html",
        rows=found.alerts,
        mutes=found.mutes,
        targets=found.targets,
        rules=found.rules,
        every=every,
        most=_MOST,
    )


@router.post("/alerts/mute")
@does("alerts.mute")
def mute(
    request: Request,
    visit: Visiting,
    condition: Condition,
    subject: Subject = "",
    until: Annotated[str, Form()] = "",
    reason: Annotated[str, Form(max_length=500)] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Tell nobody of a condition for a while."""
    what = _about(condition, subject)
    if not is_sure(sure, ""):
        question = Question(
            title=f"Mute {what}?",
            words="Nobody is told of it until then. It is listed here all the same.",
            action="/alerts/mute",
            verb="Mute",
            fields=[("condition", condition), ("subject", subject)],
            jobs=1,
            back="/alerts",
            blanks=[
                Blank("until", "For", choices=list(_SPANS), required=True),
                Blank("reason", "Reason", hint="Shown beside it."),
            ],
        )
        return ask(request, question)
    if until not in _SPANS:
        raise JobOptionError(f"for: {until[:50]!r} is none; choose one of {', '.join(_SPANS)}")
    span = _SPANS[until]
    alerts.mute(*visit, condition, subject, None if span is None else visit.desk.now() + span, reason or None)
    return go(request, "/alerts", f"Nobody is told of {what}, {until if span is None else 'for ' + until}.")


@router.post("/alerts/unmute")
@does("alerts.unmute")
def unmute(request: Request, visit: Visiting, condition: Condition, subject: Subject = "") -> Response:
    """Tell people of a condition again."""
    alerts.unmute(*visit, condition, subject)
    return go(request, "/alerts", f"People are told of {_about(condition, subject)} again.")


@router.post("/alerts/test")
@does("alerts.test")
def test(request: Request, visit: Visiting) -> Response:
    """Send a notice to everybody who is told of alerts."""
    outcome = alerts.test(*visit)
    told = [name for name, problem in outcome.items() if problem is None]
    parts = [f"Told: {', '.join(told)}."] if told else []
    parts += [f"{name} was not told: {problem}." for name, problem in outcome.items() if problem is not None]
    return go(request, "/alerts", " ".join(parts) or "Nobody is told of alerts: the settings name no target.")


def _about(condition: str, subject: str) -> str:
    return f"{condition} ({subject})" if subject else condition
