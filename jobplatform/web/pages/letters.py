"""Dead letters by their error: what is wrong, how often, and what becomes of it."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from jobplatform.actions import clusters, letters, replays
from jobplatform.actions.replays import Pace
from jobplatform.errors import JobOptionError, RequestRefused
from jobplatform.maintenance.replay_plan import Plan
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.web import paging
from jobplatform.web.page import go, page
from jobplatform.web.question import Blank, Question, ask, is_sure, unsure
from jobplatform.web.rule import does
from jobplatform.web.trace import frames
from jobplatform.web.visit import Visit, Visiting
from jobplatform.web.wording import duration, plural

Number = TypeVar("Number", int, float)

router = APIRouter()

_ROWS, _REPLAYS, _COUNTED = 50, 20, 1_000_000
_STATES = ("open", "muted", "resolved")


@router.get("/dead-letters")
@does("clusters.list", "replays.list")
def list_clusters(request: Request, visit: Visiting, state: str = "open", after: str = "") -> Response:
    """List errors, those seen last first, and the replays that run."""
    if state not in _STATES:
        raise RequestRefused(f"state: it is none; choose one of {', '.join(_STATES)}")
    found = clusters.list_clusters(*visit, state, None, _ROWS, paging.read(after))
    running = replays.list_replays(*visit, False, _REPLAYS).rows
    return page(
        request,
        "letters.html",
        rows=found.rows,
        next=paging.written(found.next),
        state=state,
        states=_STATES,
        after=after,
        replays=running,
    )


@router.get("/dead-letters/{fingerprint}")
@does("clusters.show")
def show_cluster(request: Request, visit: Visiting, fingerprint: str) -> Response:
    """Show an error: a sample with its traceback, where and when it came, and its open dead letters."""
    return page(request, "letter.html", found=clusters.show_cluster(*visit, fingerprint), frames=frames)


@router.post("/dead-letters/{fingerprint}/replay")
@does("replays.plan", "replays.start")
def replay(
    request: Request,
    visit: Visiting,
    fingerprint: str,
    rate: Annotated[str, Form(max_length=20)] = "",
    canaries: Annotated[str, Form(max_length=20)] = "",
    sure: Annotated[str, Form()] = "",
    typed: Annotated[str, Form()] = "",
) -> Response:
    """Run the jobs of an error once more, a few first."""
    chosen = _family(visit, fingerprint)
    pace = Pace(_number(rate, "rate", float), _number(canaries, "canaries", int))
    if not is_sure(sure, typed):
        plan = replays.plan(*visit, chosen, pace)
        return ask(
            request,
            Question(
                title=f"Replay {plural(plan.jobs, 'job')}?",
                words=f"{plural(plan.canaries, 'job')} go first, and the rest once these have gone well. "
                + _in_the_way(plan),
                action=f"/dead-letters/{fingerprint}/replay",
                verb=f"Replay {plural(plan.jobs, 'job')}",
                fields=[],
                jobs=plan.jobs,
                back=f"/dead-letters/{fingerprint}",
                blanks=[
                    Blank("rate", "Jobs a second at most", "text", hint="As many as the limits allow if left empty."),
                    Blank("canaries", "Jobs that go first", "text", hint="1 %, at least 5, if left empty."),
                ],
                problem=unsure(sure),
            ),
        )
    made = replays.start(*visit, chosen, pace)
    said = "There was nothing to replay." if made is None else f"A replay of {plural(made['jobs'], 'job')} has begun."
    return go(request, f"/dead-letters/{fingerprint}", said)


@router.post("/dead-letters/{fingerprint}/discard")
@does("letters.count", "letters.resolve")
def discard(
    request: Request,
    visit: Visiting,
    fingerprint: str,
    reason: Annotated[str, Form(max_length=500)] = "",
    sure: Annotated[str, Form()] = "",
    typed: Annotated[str, Form()] = "",
) -> Response:
    """Resolve the dead letters of an error without running their jobs."""
    if not is_sure(sure, typed) or not reason:
        found = letters.count_letters(*visit, _family(visit, fingerprint), _COUNTED)
        return ask(
            request,
            Question(
                title=f"Discard {plural(found, 'dead letter')}?",
                words="They are marked as resolved, and their jobs do not run again.",
                action=f"/dead-letters/{fingerprint}/discard",
                verb=f"Discard {plural(found, 'dead letter')}",
                fields=[],
                jobs=found,
                back=f"/dead-letters/{fingerprint}",
                harm=True,
                blanks=[Blank("reason", "Reason", required=True, hint="Kept with each of them.")],
                problem=unsure(sure),
            ),
        )
    done = letters.resolve(*visit, _family(visit, fingerprint), reason)
    return go(request, f"/dead-letters/{fingerprint}", f"{plural(len(done.resolved), 'dead letter')} discarded.")


@router.post("/dead-letters/{fingerprint}/edit")
@does("clusters.assign", "clusters.note", "clusters.mute", "clusters.resolve", "clusters.reopen")
def change(
    request: Request,
    visit: Visiting,
    fingerprint: str,
    what: Annotated[str, Form()],
    text: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Say something of an error: who looks after it, a note, that it is to be left out, or that it is mended."""
    if what == "assign":
        clusters.assign(*visit, fingerprint, text or None)
    elif what == "note":
        if not text.strip():
            raise JobOptionError("note: there is none; write one")
        clusters.note(*visit, fingerprint, text)
    elif what in ("mute", "unmute"):
        clusters.mute(*visit, fingerprint, what == "mute")
    elif what == "resolve":
        clusters.resolve(*visit, fingerprint, text or None)
    elif what == "reopen":
        clusters.reopen(*visit, fingerprint)
    else:
        raise RequestRefused(f"what: {what[:50]!r} is none; choose assign, note, mute, unmute, resolve or reopen")
    return go(request, f"/dead-letters/{fingerprint}", "Noted.")


def _family(visit: Visit, fingerprint: str) -> LetterFilter:
    found = clusters.show_cluster(*visit, fingerprint)
    names = [found.cluster["fingerprint"], *(row["fingerprint"] for row in found.merged)]
    return LetterFilter(fingerprints=tuple(names))


def _in_the_way(plan: Plan) -> str:
    said = [f"It takes {duration(plan.seconds_at_least)} at least."] if plan.seconds_at_least else []
    said += [f"{plural(row['jobs'], 'payload')} of {row['job_type']} do not fit any more." for row in plan.invalid]
    if plan.unknown:
        said.append(f"No worker takes {', '.join(plan.unknown)}.")
    said += [f"{row['scope'].capitalize()} {row['name']} is paused." for row in plan.paused]
    return " ".join(said)


def _number(text: str, name: str, kind: type[Number]) -> Number | None:
    if not text.strip():
        return None
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    if not 0 <= value < 1e9 or (kind is float and not value):
        raise JobOptionError(f"{name}: {text[:20]!r} is no number that can be used; give one above 0")
    return value
