"""What is done to jobs from a page: asked first, with how many it is about, and then done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from jobplatform.actions import bulk, jobs
from jobplatform.actions.bulk import Wish
from jobplatform.actions.query import parse
from jobplatform.actions.steering import Chosen, Steered
from jobplatform.errors import JobOptionError, RequestRefused
from jobplatform.store.listing import JobFilter
from jobplatform.store.pauses import Hold
from jobplatform.web.entrance import local
from jobplatform.web.page import go
from jobplatform.web.question import Blank, Question, ask, is_sure, unsure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting
from jobplatform.web.wording import plural

router = APIRouter()

#: Jobs that are named at most; more than so many are done by a job of their own.
_MOST_NAMED, _AT_ONCE = 1_000, 500


class Asked(BaseModel):
    """What a form says.

    :param whole: all that match ``q``, instead of those that are named.
    :param sure: how many it was asked about.
    """

    job_id: list[UUID] = Field(default=[], max_length=_MOST_NAMED)
    whole: bool = False
    q: str = ""
    back: str = "/jobs"
    reason: str = Field("", max_length=500)
    queue: str = Field("", max_length=100)
    priority: str = ""
    cascade: bool = False
    sure: str = ""
    typed: str = ""


class Verb(NamedTuple):
    """A verb as pages know it.

    :param do: does it, or counts what it would be done to.
    """

    title: str
    words: str
    do: Callable[[Visit, Chosen, Asked, bool], Steered]
    harm: bool = False
    blanks: tuple[Blank, ...] = ()


def _retry(visit: Visit, chosen: Chosen, asked: Asked, dry: bool) -> Steered:
    return jobs.retry(*visit, chosen, dry)


def _cancel(visit: Visit, chosen: Chosen, asked: Asked, dry: bool) -> Steered:
    return jobs.cancel(*visit, chosen, asked.reason or f"cancelled by {visit.actor.name}", asked.cascade, dry)


def _pause(visit: Visit, chosen: Chosen, asked: Asked, dry: bool) -> Steered:
    hold = Hold(asked.reason or f"paused by {visit.actor.name}", visit.actor.name)
    return jobs.pause(*visit, chosen, hold, dry)


def _resume(visit: Visit, chosen: Chosen, asked: Asked, dry: bool) -> Steered:
    return jobs.resume(*visit, chosen, dry)


def _move(visit: Visit, chosen: Chosen, asked: Asked, dry: bool) -> Steered:
    if asked.priority and asked.priority not in ("1", "2", "3", "4", "5"):
        raise JobOptionError(f"priority: {asked.priority!r} is none; give 1 to 5, of which 5 is the most urgent")
    queue, priority = asked.queue or None, int(asked.priority) if asked.priority else None
    # What would be moved can be counted before it is known where to.
    return jobs.move(*visit, chosen, queue, priority or (1 if dry and not queue else None), dry)


_WHY = Blank("reason", "Reason", hint="It is written down with your name.")
VERBS = {
    "retry": Verb(
        "Retry", "Those that wait for a time run at once; those that failed or were cancelled run once more.", _retry
    ),
    "cancel": Verb(
        "Cancel", "Those that wait never start; those that run are told to stop, and killed if they do not.",
        _cancel, True, (_WHY,),
    ),
    "pause": Verb(
        "Pause", "Those that wait do not start; those that run stop at their next checkpoint.", _pause, False, (_WHY,)
    ),
    "resume": Verb("Resume", "Those that are paused go on.", _resume),
    "move": Verb(
        "Move", "Those that have not begun wait elsewhere, or with another priority.", _move, False,
        (Blank("queue", "Queue"), Blank("priority", "Priority", "number", hint="1 to 5; 5 is the most urgent.")),
    ),
}  # fmt: skip


@router.post("/jobs/steer/{verb}")
@does("jobs.retry", "jobs.cancel", "jobs.pause", "jobs.resume", "jobs.move", "bulk.start")
def steer(request: Request, visit: Visiting, verb: str, asked: Annotated[Asked, Form()]) -> Response:
    """Do something to jobs, once somebody is sure."""
    if verb not in VERBS:
        raise RequestRefused(f"verb: {verb[:50]!r} is none; the verbs are {', '.join(VERBS)}", 404)
    known, chosen = VERBS[verb], _chosen(visit, asked)
    if not is_sure(asked.sure, asked.typed):
        return ask(request, _question(visit, verb, chosen, asked))
    if asked.whole and int(asked.sure) > _AT_ONCE:
        bulk_id = bulk.start(*visit, Wish(f"jobs.{verb}", asked.q, asked.reason or None, _values(verb, asked)))
        return go(request, f"/bulk/{bulk_id}", "A job does it; this page tells how far it is.")
    done = known.do(visit, chosen, asked, False)
    return go(request, local(asked.back), _told(done))


def _values(verb: str, asked: Asked) -> dict[str, Any]:
    """Give the values of a verb that is done in bulk."""
    given: dict[str, dict[str, Any]] = {
        "cancel": {"cascade": asked.cascade},
        "move": {"queue": asked.queue or None, "priority": int(asked.priority) if asked.priority.isdecimal() else None},
    }
    return given.get(verb, {})


def _chosen(visit: Visit, asked: Asked) -> Chosen:
    if asked.whole:
        return Chosen(filter=parse(asked.q, visit.desk.now()))
    if not asked.job_id:
        raise RequestRefused("jobs: none was selected; select some rows, or choose all that match")
    return Chosen(tuple(map(str, asked.job_id)))


def _question(visit: Visit, name: str, chosen: Chosen, asked: Asked) -> Question:
    verb = VERBS[name]
    count = sum(verb.do(visit, chosen, asked, True).counts.values())
    which = "all jobs there are" if chosen.filter == JobFilter() else f"all that match {asked.q.strip()}"
    about = which if asked.whole else "of those that were selected"
    return Question(
        title=f"{verb.title} {plural(count, 'job')}?",
        words=f"{plural(count, 'job')}, {about}. {verb.words}",
        action=f"/jobs/steer/{name}",
        verb=f"{verb.title} {plural(count, 'job')}",
        fields=_fields(asked),
        jobs=count,
        back=local(asked.back),
        harm=verb.harm,
        # Who mistyped the number has not to say the rest again.
        blanks=[each._replace(value=getattr(asked, each.name)) for each in verb.blanks],
        problem=unsure(asked.sure),
    )


def _fields(asked: Asked) -> list[tuple[str, str]]:
    named = [("job_id", str(job_id)) for job_id in asked.job_id]
    return [("whole", "true"), ("q", asked.q), ("back", asked.back)] if asked.whole else [*named, ("back", asked.back)]


def _told(done: Steered) -> str:
    said = [f"{plural(count, 'job')} {what}" for what, count in done.counts.items() if what != "matching" and count]
    if done.refused:
        said.append(f"{len(done.refused)} left as they were: {done.rule}")
    if done.missing:
        said.append(f"{plural(len(done.missing), 'job')} not there any more")
    return "; ".join(said).capitalize() + "." if said else f"Nothing was done: {done.rule}."
