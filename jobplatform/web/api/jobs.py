"""Jobs over HTTP: found by a filter, shown, submitted, and steered by id."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Query, Request
from fastapi.responses import Response
from pydantic import Field

from jobplatform.actions import jobs, logs, pacing, query, resubmission, submission
from jobplatform.actions.jobs import MISSING
from jobplatform.actions.steering import Chosen, Steered
from jobplatform.actions.submission import Submission
from jobplatform.errors import JobNotFound, RequestRefused
from jobplatform.store.pauses import Hold
from jobplatform.store.search import Reach
from jobplatform.web import cursor
from jobplatform.web.api.body import MOST, After, Body, Limit, Moment, Name, Payload, Priority, Seconds, Text
from jobplatform.web.api.reply import answer, page
from jobplatform.web.api.route import check_key, noun
from jobplatform.web.gives import gives, gives_fields, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visit, Visiting

router = noun("jobs")

Q = Annotated[
    str, Query(alias="q", max_length=query.LONGEST, description="A filter, such as `type:mail state:failed since:2h`.")
]
Attempt = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Of which attempt; the last if left out.")]
#: Where counting stops.
_COUNTED = 10_000


class JobIds(Body):
    """Jobs that are meant.

    :param dry_run: change nothing, and tell which are there.
    """

    job_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST)]
    dry_run: bool = False

    @property
    def chosen(self) -> Chosen:
        """Give them as actions take them."""
        return Chosen(tuple(map(str, self.job_ids)))


class Cancellation(JobIds):
    """Jobs that are to be cancelled, and whether what they submitted is as well."""

    reason: Text = "asked over HTTP"
    cascade: bool = False


class Pausing(JobIds):
    """Jobs that are to be paused, and until when."""

    reason: Text = "asked over HTTP"
    until: Moment | None = None


class Moving(JobIds):
    """Jobs that are to be elsewhere."""

    queue: Name | None = None
    priority: Priority | None = None


class NewJob(Body):
    """A job that is to be submitted; times are in seconds."""

    job_type: Annotated[Name, Field(max_length=100)]
    payload: dict[str, Any] | list[Any] = Field(default_factory=dict)
    queue: Name | None = None
    priority: Priority | None = None
    delay: Seconds | None = None
    eta: Moment | None = None
    expires: Seconds | None = None
    deadline: Seconds | None = None
    tenant: Name | None = None
    tags: Annotated[list[Name], Field(max_length=100)] = Field(default_factory=list)
    idempotency_key: Annotated[Name, Field(max_length=255)] | None = None
    idempotency_retention: Seconds | None = None

    def submission(self, key: str | None = None) -> Submission:
        """Give it as actions take it."""
        known = {name: getattr(self, name) for name in type(self).model_fields}
        known["idempotency_key"] = self.idempotency_key or key
        return Submission(**{**known, "tags": tuple(self.tags)})


class Anew(Payload):
    """Another payload with which a job is submitted once more, and why."""

    reason: Text | None = None


class NewJobs(Body):
    """Jobs of which all are to be submitted, or none."""

    jobs: Annotated[list[NewJob], Field(min_length=1, max_length=submission.MOST)]


@router.get("/jobs")
@does("jobs.list")
@gives_page(jobs.list_jobs, looked=Reach | None)
def list_jobs(request: Request, visit: Visiting, q: Q = "", limit: Limit = 50, after: After = None) -> Response:
    """List jobs that match a filter, newest first; where it looked at too many, `looked` says how far it came."""
    found = jobs.list_jobs(*visit, query.parse(q, visit.desk.now()), limit, cursor.read_job(after))
    reach = found.reach._asdict() if found.reach else None
    return page(request, found.rows, found.next, looked=reach)


@router.get("/jobs/count")
@does("jobs.count")
@gives(jobs=int, whole=bool)
def count_jobs(request: Request, visit: Visiting, q: Q = "") -> Response:
    """Count jobs that match a filter; without `whole` there are so many or more."""
    count = jobs.count_jobs(*visit, query.parse(q, visit.desk.now()), _COUNTED)
    return answer(request, {"jobs": count, "whole": count.whole})


@router.get("/jobs/states")
@does("jobs.states")
@gives(jobs.states, "states")
def job_states(
    request: Request, visit: Visiting, job_id: Annotated[list[UUID], Query(min_length=1, max_length=100)]
) -> Response:
    """Tell in which states some jobs are; those that are not there are left out."""
    return answer(request, {"states": jobs.states(*visit, [str(each) for each in job_id])})


@router.get("/jobs/{job_id}")
@does("jobs.show")
@gives(jobs.show_job)
def show_job(request: Request, visit: Visiting, job_id: UUID) -> Response:
    """Show a job, its attempts, what was decided after each failure, and its edges."""
    return answer(request, jobs.show_job(*visit, str(job_id)))


@router.get("/jobs/{job_id}/graph")
@does("jobs.graph")
@gives(jobs.graph, "jobs", complete=bool)
def graph(request: Request, visit: Visiting, job_id: UUID, limit: Limit = 1_000) -> Response:
    """List the jobs that hang together with one by dependencies."""
    found = jobs.graph(*visit, str(job_id), limit)
    return answer(request, {"jobs": found[:limit], "complete": len(found) <= limit})


@router.get("/jobs/{job_id}/logs")
@does("jobs.logs")
@gives(logs.read, "log")
def log(request: Request, visit: Visiting, job_id: UUID, attempt: Attempt = None) -> Response:
    """Show what the code of an attempt has logged: of the last that has a log, unless one is named."""
    return answer(request, {"log": logs.read(*visit, str(job_id), attempt)})


@router.get("/jobs/{job_id}/logs/ends")
@does("jobs.log_ends")
@gives(logs.ends, "logs")
def log_ends(request: Request, visit: Visiting, job_id: UUID) -> Response:
    """Show the last lines that the code of each of the newest attempts has logged."""
    return answer(request, {"logs": logs.ends(*visit, str(job_id))})


@router.get("/jobs/{job_id}/eta")
@does("jobs.eta")
@gives_fields(jobs.eta, words=str)
def eta(request: Request, visit: Visiting, job_id: UUID, workflow: bool = False) -> Response:
    """Tell when a job, or all that hangs together with it, begins and ends, in seconds from now."""
    found = jobs.eta(*visit, str(job_id), workflow)
    return answer(request, {**found._asdict(), "words": found.words()})


@router.post("/jobs", status_code=201)
@does("jobs.submit")
@gives(submission.submit, "job_id")
def submit(
    request: Request,
    visit: Visiting,
    asked: NewJob,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Response:
    """Submit a job; with a key that was used before it is the job that was submitted with it."""
    key = None if idempotency_key is None else check_key(idempotency_key)
    if key is not None and asked.idempotency_key not in (None, key):
        raise RequestRefused("idempotency_key: the header gives another one; give one of them")
    pacing.admit(*visit, jobs=1)
    job_id = submission.submit(*visit, asked.submission(key))
    return answer(request, {"job_id": job_id}, 201, {"location": f"/api/v1/jobs/{job_id}"})


@router.post("/jobs/many", status_code=201)
@does("jobs.submit_many")
@gives(submission.submit_many, "job_ids")
def submit_many(request: Request, visit: Visiting, asked: NewJobs) -> Response:
    """Submit jobs, all of them or none."""
    pacing.admit(*visit, jobs=len(asked.jobs))
    return answer(request, {"job_ids": submission.submit_many(*visit, [each.submission() for each in asked.jobs])}, 201)


@router.post("/jobs/{job_id}/resubmit", status_code=201, responses={200: {"description": "What a dry run tells."}})
@does("jobs.resubmit")
@gives(resubmission.resubmit)
def resubmit(request: Request, visit: Visiting, job_id: UUID, asked: Anew) -> Response:
    """Submit a job that has ended once more, as a new one with another payload; with `dry_run` tell what changes."""
    if not asked.dry_run:
        pacing.admit(*visit, jobs=1)
    done = resubmission.resubmit(*visit, str(job_id), asked.payload, asked.edits, asked.reason, asked.dry_run)
    if done.job_id is None:
        return answer(request, done)
    return answer(request, done, 201, {"location": f"/api/v1/jobs/{done.job_id}"})


@router.post("/jobs/retry")
@does("jobs.retry")
@gives(jobs.retry)
def retry(request: Request, visit: Visiting, asked: JobIds) -> Response:
    """Run jobs now: those that wait for a time at once, those that failed or were cancelled once more."""
    return _told(request, jobs.retry(*visit, asked.chosen, asked.dry_run))


@router.post("/jobs/cancel")
@does("jobs.cancel")
@gives(jobs.cancel)
def cancel(request: Request, visit: Visiting, asked: Cancellation) -> Response:
    """Cancel jobs: those that wait never start, those that run are told to stop."""
    return _told(request, jobs.cancel(*visit, asked.chosen, asked.reason, asked.cascade, asked.dry_run))


@router.post("/jobs/pause")
@does("jobs.pause")
@gives(jobs.pause)
def pause(request: Request, visit: Visiting, asked: Pausing) -> Response:
    """Pause jobs: those that wait do not start, those that run stop at their next checkpoint."""
    return _told(request, jobs.pause(*visit, asked.chosen, _hold(visit, asked.reason, asked.until), asked.dry_run))


@router.post("/jobs/resume")
@does("jobs.resume")
@gives(jobs.resume)
def resume(request: Request, visit: Visiting, asked: JobIds) -> Response:
    """Let paused jobs go on."""
    return _told(request, jobs.resume(*visit, asked.chosen, asked.dry_run))


@router.post("/jobs/move")
@does("jobs.move")
@gives(jobs.move)
def move(request: Request, visit: Visiting, asked: Moving) -> Response:
    """Change the queue or the priority of jobs that have not begun."""
    return _told(request, jobs.move(*visit, asked.chosen, asked.queue, asked.priority, asked.dry_run))


def _hold(visit: Visit, reason: str, until: Any) -> Hold:
    return Hold(reason, visit.actor.name, until)


def _told(request: Request, done: Steered) -> Response:
    """Answer what became of each job.

    :raises JobNotFound: when none of them is there.
    """
    if done.missing and not done.jobs and not done.refused:
        raise JobNotFound(MISSING.format(done.missing[0]))
    return answer(request, done)
