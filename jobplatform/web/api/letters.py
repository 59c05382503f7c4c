"""Dead letters and their replays over HTTP."""

from __future__ import annotations

import io
import json
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from jobplatform.actions import clusters, letters, replays
from jobplatform.actions.replays import Pace
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.web import cursor
from jobplatform.web.api.body import After, Body, Limit, Moment, Name, Number, Numbers, Payload, Text
from jobplatform.web.api.reply import answer, page
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = noun("dead letters")

Part = Annotated[str, Path(min_length=1, max_length=200)]
Asked = Annotated[str | None, Query(max_length=200)]
_LINES = "application/x-ndjson"
#: Where counting stops.
_COUNTED = 10_000


class Letters(Body):
    """Which dead letters are meant: some by id, or the open ones that match."""

    dlq_ids: Numbers | None = None
    job_type: Name | None = None
    error_type: Name | None = None
    cluster: Name | None = None
    failed_after: Moment | None = None

    def chosen(self, visit: Visit) -> LetterFilter:
        """Give them as actions take them."""
        ids = None if self.dlq_ids is None else tuple(self.dlq_ids)
        return _filter(visit, ids, self.job_type, self.error_type, self.cluster, self.failed_after)


class Resolving(Letters):
    """Dead letters that are dealt with, and how."""

    note: Text | None = None


class Replaying(Letters):
    """Dead letters whose jobs run once more, and how fast."""

    rate: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    canaries: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    limit: Annotated[int, Field(ge=1, le=replays.MOST)] = replays.MOST

    @property
    def pace(self) -> Pace:
        """How fast."""
        return Pace(self.rate, self.canaries, self.limit)


class Reasoned(Body):
    """Why."""

    reason: Text | None = None


def _filter(
    visit: Visit,
    ids: tuple[int, ...] | None,
    job_type: str | None,
    error_type: str | None,
    cluster: str | None,
    failed_after: Any,
    open_only: bool = True,
) -> LetterFilter:
    names = None if cluster is None else clusters.family(*visit, cluster)
    return LetterFilter(ids, job_type, error_type, names, failed_after, open_only)


def _asked(
    visit: Visiting,
    job_type: Asked = None,
    error_type: Asked = None,
    cluster: Asked = None,
    since: Moment | None = None,
    every: bool = False,
) -> LetterFilter:
    return _filter(visit, None, job_type, error_type, cluster, since, not every)


#: The dead letters that the query of a request asks for.
Chosen = Annotated[LetterFilter, Depends(_asked)]


@router.get("/letters")
@does("letters.list", "clusters.family")
@gives_page(letters.list_letters)
def list_letters(request: Request, visit: Visiting, chosen: Chosen, limit: Limit = 50, after: After = None) -> Response:
    """List dead letters, newest first; with `every` those that are resolved as well."""
    found = letters.list_letters(*visit, chosen, limit, cursor.read_number(after))
    return page(request, found.rows, found.next)


@router.get("/letters/count")
@does("letters.count", "clusters.family")
@gives(letters=int, whole=bool)
def count_letters(request: Request, visit: Visiting, chosen: Chosen) -> Response:
    """Count dead letters; without `whole` there are so many or more."""
    count = letters.count_letters(*visit, chosen, _COUNTED)
    return answer(request, {"letters": count, "whole": count < _COUNTED})


@router.get("/letters/export")
@does("letters.export", "clusters.family")
def export(visit: Visiting, chosen: Chosen) -> Response:
    """Give dead letters with their payloads, each as a line of JSON, the oldest first."""
    lines = letters.export(*visit, chosen)
    headers = {"content-disposition": 'attachment; filename="dead-letters.ndjson"'}
    return StreamingResponse((line.rstrip("\n") + "\n" for line in lines), 200, headers, _LINES)


@router.get("/letters/{dlq_id}")
@does("letters.show")
@gives(letters.show_letter)
def show_letter(request: Request, visit: Visiting, dlq_id: Number) -> Response:
    """Show a dead letter with its payloads, its reason and what became of it."""
    return answer(request, letters.show_letter(*visit, dlq_id))


@router.post("/letters/resolve")
@does("letters.resolve", "clusters.family")
@gives(letters.resolve)
def resolve(request: Request, visit: Visiting, asked: Resolving) -> Response:
    """Mark open dead letters as resolved without running their jobs."""
    return answer(request, letters.resolve(*visit, asked.chosen(visit), asked.note))


@router.post("/letters/replay")
@does("letters.replay", "clusters.family")
@gives(replays.replay_now)
def replay_now(request: Request, visit: Visiting, asked: Letters) -> Response:
    """Run the jobs of a few dead letters once more at once; they are named by id."""
    return answer(request, replays.replay_now(*visit, asked.chosen(visit)))


@router.post("/letters/import")
@does("letters.import")
@gives(letters.import_)
def import_letters(
    request: Request, visit: Visiting, lines: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1_000)]
) -> Response:
    """Take the dead letters that another installation exported; what is here already stays as it is."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return answer(request, letters.import_(*visit, io.BytesIO(text.encode())))


@router.put("/letters/{dlq_id}/payload")
@does("letters.edit")
@gives(letters.edit)
def edit(request: Request, visit: Visiting, dlq_id: Number, asked: Payload) -> Response:
    """Give a dead letter another payload, with which its job is replayed; the one that failed stays beside it."""
    return answer(request, letters.edit(*visit, dlq_id, asked.payload, asked.edits, asked.dry_run))


@router.get("/replays")
@does("replays.list")
@gives_page(replays.list_replays)
def list_replays(
    request: Request, visit: Visiting, running: bool = False, limit: Limit = 50, after: After = None
) -> Response:
    """List replays, newest first."""
    found = replays.list_replays(*visit, running, limit, cursor.read_number(after))
    return page(request, found.rows, found.next)


@router.post("/replays/plan")
@does("replays.plan", "clusters.family")
@gives(replays.plan)
def plan(request: Request, visit: Visiting, asked: Replaying) -> Response:
    """Tell what a replay would run, what is in its way, and how long it takes at least; nothing is changed."""
    return answer(request, replays.plan(*visit, asked.chosen(visit), asked.pace))


@router.post("/replays")
@does("replays.start", "clusters.family")
@gives(replays.start, "replay")
def start(request: Request, visit: Visiting, asked: Replaying) -> Response:
    """Let the controller run the jobs of dead letters once more, a few first."""
    return answer(request, {"replay": replays.start(*visit, asked.chosen(visit), asked.pace)})


@router.get("/replays/{replay_id}")
@does("replays.show")
@gives(replays.show_replay)
def show_replay(request: Request, visit: Visiting, replay_id: Number) -> Response:
    """Show how far a replay is, why it ended, and which of its jobs did not go well."""
    return answer(request, replays.show_replay(*visit, replay_id))


@router.post("/replays/{replay_id}/pause")
@does("replays.pause")
@gives(replays.pause)
def pause_replay(request: Request, visit: Visiting, replay_id: Number, asked: Reasoned) -> Response:
    """Send nothing more of a replay until it is resumed; what was sent goes on."""
    return answer(request, replays.pause(*visit, replay_id, asked.reason))


@router.post("/replays/{replay_id}/resume")
@does("replays.resume")
@gives(replays.resume)
def resume_replay(request: Request, visit: Visiting, replay_id: Number) -> Response:
    """Let a paused replay go on in the step in which it was."""
    return answer(request, replays.resume(*visit, replay_id))


@router.post("/replays/{replay_id}/cancel")
@does("replays.cancel")
@gives(replays.cancel)
def cancel_replay(request: Request, visit: Visiting, replay_id: Number) -> Response:
    """Send nothing more of a replay; what was not sent stays a dead letter."""
    return answer(request, replays.cancel(*visit, replay_id))
