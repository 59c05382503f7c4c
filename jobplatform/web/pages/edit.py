"""Another payload for what has failed or ended: for a new job, or for the replay of a dead letter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import Response

from jobplatform.actions import jobs, letters, pacing, replays, resubmission
from jobplatform.actions.differences import Difference
from jobplatform.actions.payloads import ENCRYPTED, require
from jobplatform.actions.permission import Permission
from jobplatform.errors import InvalidPayload, JobPlatformError, RequestRefused, SealError
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.web.page import go, page
from jobplatform.web.problem import problem_of
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = APIRouter()

_PREVIEW, _SUBMIT, _KEEP, _REPLAY = "preview", "submit", "keep", "replay"
Payload = Annotated[str, Form()]
LetterId = Annotated[int, Path(ge=1, le=2**63 - 1)]
What = Annotated[str, Form(max_length=20)]


class Sheet(NamedTuple):
    """A form with a payload in it.

    :param verbs: what can be done with it, as buttons: what each sends, and its label.
    :param back: the path to which to go instead.
    """

    title: str
    words: str
    action: str
    back: str
    verbs: Sequence[tuple[str, str]]
    asks_reason: bool = False


@router.get("/jobs/{job_id}/edit")
@does("jobs.show", "jobs.resubmit")
def edit_job(request: Request, visit: Visiting, job_id: str) -> Response:
    """Show the payload of a job that has ended, to be written over."""
    require(visit.actor, "jobs.resubmit")
    job = jobs.show_job(*visit, job_id).job
    return _show(request, _of_job(job_id, job["job_type"]), _text(job["payload"]))


@router.post("/jobs/{job_id}/edit")
@does("jobs.show", "jobs.resubmit")
def resubmit(
    request: Request,
    visit: Visiting,
    job_id: str,
    payload: Payload,
    what: What,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Submit a job once more with another payload, or show what that would change."""
    sheet = _of_job(job_id, jobs.show_job(*visit, job_id).job["job_type"])
    try:
        whole, dry_run = _read(payload), _known(what, _PREVIEW, _SUBMIT) == _PREVIEW
        if not dry_run:
            pacing.admit(*visit, jobs=1)
        done = resubmission.resubmit(*visit, job_id, whole, (), reason or None, dry_run)
    except JobPlatformError as error:
        return _refused(request, sheet, payload, reason, error)
    if done.job_id is None:
        return _show(request, sheet, payload, reason, done.changes)
    return go(request, f"/jobs/{done.job_id}", "Submitted with another payload.")


@router.get("/dead-letters/letters/{dlq_id}")
@does("letters.show", "letters.edit")
def edit_letter(request: Request, visit: Visiting, dlq_id: LetterId) -> Response:
    """Show the payload of a dead letter, to be written over."""
    require(visit.actor, "letters.edit")
    row = letters.show_letter(*visit, dlq_id)
    now = row["payload"] if row["edited_payload"] is None else row["edited_payload"]
    return _show(request, _of_letter(visit, row), _text(now))


@router.post("/dead-letters/letters/{dlq_id}")
@does("letters.show", "letters.edit")
def keep(request: Request, visit: Visiting, dlq_id: LetterId, payload: Payload, what: What) -> Response:
    """Give a dead letter another payload, and replay it if that is asked for; or show what it would change."""
    require(visit.actor, "letters.edit")
    row = letters.show_letter(*visit, dlq_id)
    sheet = _of_letter(visit, row)
    try:
        dry_run = _known(what, _PREVIEW, _KEEP, _REPLAY) == _PREVIEW
        done = letters.edit(*visit, dlq_id, _read(payload), (), dry_run)
        if dry_run:
            return _show(request, sheet, payload, "", done.changes)
        said = _replayed(visit, dlq_id) if what == _REPLAY else "Kept: the job runs with it once it is replayed."
    except JobPlatformError as error:
        return _refused(request, sheet, payload, "", error)
    return go(request, sheet.back, said)


def _replayed(visit: Visit, dlq_id: int) -> str:
    done = replays.replay_now(*visit, LetterFilter((dlq_id,)))
    if any(row["outcome"] == "replayed" for row in done.letters):
        return "Kept, and its job runs once more."
    return "Kept, but its job cannot run once more as it is now."


def _of_job(job_id: str, job_type: str) -> Sheet:
    here = f"/jobs/{quote(job_id, safe='')}"
    words = "A new job is submitted with what stands here, checked as any other; this one stays as it is."
    verbs = [(_SUBMIT, "Submit as a new job")]
    return Sheet(f"Retry {job_type} with other arguments", words, f"{here}/edit", here, verbs, asks_reason=True)


def _of_letter(visit: Visit, row: Any) -> Sheet:
    back = f"/dead-letters/{quote(row['fingerprint'], safe='')}" if row["fingerprint"] else "/dead-letters"
    verbs = [(_KEEP, "Keep it")]
    if visit.actor.may(Permission.LETTERS_REPLAY):
        verbs.append((_REPLAY, "Keep it and replay"))
    words = f"The job {row['job_id']} runs with what stands here when it is replayed; what it failed with is kept."
    return Sheet(
        f"Edit a dead letter of {row['job_type']}", words, f"/dead-letters/letters/{row['dlq_id']}", back, verbs
    )


def _show(
    request: Request,
    sheet: Sheet,
    payload: str,
    reason: str = "",
    differences: Sequence[Difference] | None = None,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    shown = {"payload": payload, "reason": reason, "differences": differences, "problem": problem}
    return page(request, "edit.html", status, None, **sheet._asdict(), **shown)


def _refused(request: Request, sheet: Sheet, payload: str, reason: str, error: JobPlatformError) -> Response:
    found = problem_of(error)
    return _show(request, sheet, payload, reason, None, found.detail, found.status)


def _text(payload: Any) -> str:
    """Write a payload to be edited.

    :raises SealError: when it is encrypted, and this process has not the key.
    """
    if payload == ENCRYPTED:
        raise SealError("payload: it is encrypted, and this process has not the key; edit it where there is one")
    return json.dumps(payload, indent=2, ensure_ascii=False)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = 'write an object, such as {"args": [], "kwargs": {"name": "Ann"}}'
        raise InvalidPayload("payload", f"it is no JSON ({error})", fix) from error


def _known(what: str, *words: str) -> str:
    if what not in words:
        raise RequestRefused(f"what: {what!r} is none; choose {', '.join(words)}")
    return what
