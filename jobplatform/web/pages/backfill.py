"""Making up for times of a schedule that are past: counted first, and made once somebody is sure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel

from jobplatform.actions import schedule_edits
from jobplatform.actions.schedule_edits import Backfill
from jobplatform.errors import JobOptionError
from jobplatform.web.page import go
from jobplatform.web.question import Question, ask, is_sure, unsure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting
from jobplatform.web.wording import plural, utc

router = APIRouter()


class Asked(BaseModel):
    """Which times are meant.

    :param until: now if it is empty.
    :param in_turn: whether each waits for the end of the one before.
    """

    name: str
    since: str = ""
    until: str = ""
    in_turn: bool = False
    sure: str = ""
    typed: str = ""


@router.post("/schedules/backfill")
@does("schedules.backfill")
def backfill(request: Request, visit: Visiting, asked: Annotated[Asked, Form()]) -> Response:
    """Make the jobs of times that have none."""
    since = _moment("from", asked.since)
    until = _moment("until", asked.until) if asked.until else visit.desk.now()
    make = partial(schedule_edits.backfill, visit.desk, visit.actor, asked.name, since, until, asked.in_turn)
    back = f"/schedules/{quote(asked.name)}"
    if not is_sure(asked.sure, asked.typed):
        found = make(dry_run=True)
        # What was counted is what is made: by then, it is later.
        known = {"since": since.isoformat(), "until": until.isoformat()}
        question = _question(asked, found, back)._replace(problem=unsure(asked.sure))
        return ask(request, question._replace(fields=[*question.fields, *known.items()]))
    made = make().made
    return go(request, back, f"{plural(made, 'job was', 'jobs were')} made.")


def _question(asked: Asked, found: Backfill, back: str) -> Question:
    words = f"It has {plural(found.times, 'time')} in this span, of which {found.known:,} have a job already. "
    if found.made:
        how = "one after the other" if asked.in_turn else "as there is room"
        words += f"The first is {utc(found.first)}, the last {utc(found.last)}; they run {how}."
    return Question(
        title=f"Make {plural(found.made, 'job')} of {asked.name}?",
        words=words,
        action="/schedules/backfill",
        verb=f"Make {plural(found.made, 'job')}",
        fields=[("name", asked.name), *([("in_turn", "true")] if asked.in_turn else [])],
        jobs=found.made,
        back=back,
    )


def _moment(name: str, text: str) -> datetime:
    """Read a time, in UTC unless it says otherwise.

    :raises JobOptionError: when it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise JobOptionError(f"{name}: {text[:40]!r} is no time; write one, such as 2026-01-31T12:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
