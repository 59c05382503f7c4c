"""Running a job once more with another payload: as a new job, which is linked to the one it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.differences import Difference, differences, edited
from jobplatform.actions.jobs import MISSING, is_id
from jobplatform.actions.payloads import require, shown
from jobplatform.actions.permission import Permission
from jobplatform.actions.submission import Submission, prepared, submit_prepared, told
from jobplatform.errors import InvalidPayload, JobNotFound, TransitionRefused
from jobplatform.jobs.editing import Change, check_payload, readable
from jobplatform.jobs.payload import decode_payload
from jobplatform.jobs.platform import platform_of
from jobplatform.jobs.published import hiding_of
from jobplatform.secrecy.sealing import is_sealed_payload
from jobplatform.states import FINAL
from jobplatform.store import resubmissions as rows
from jobplatform.store.database import Transaction

Row = Mapping[str, Any]


class Resubmitted(NamedTuple):
    """A job that was submitted anew, and what its payload has apart from the one before, with secrets masked.

    :param job_id: of the new job; None when nothing was submitted.
    """

    job_id: str | None
    of_job_id: str
    job_type: str
    payload: Any
    edited_payload: Any
    changes: Sequence[Difference]


@action("jobs.resubmit", Permission.JOBS_SUBMIT, writes=True)
def resubmit(
    desk: Desk,
    actor: Actor,
    job_id: str,
    payload: Any | None = None,
    changes: Sequence[Change] = (),
    reason: str | None = None,
    dry_run: bool = False,
) -> Resubmitted:
    """Submit a job that has ended once more, as a new one with another payload; the old one stays as it is.

    It goes to the queue of the old one, with its priority, tenant and tags; all else is what its type says now. A mask
    that stands where it was seen keeps what is stored there, and one anywhere else is refused: none is ever written.
    The payload of an encrypted job is read here, and encrypted anew for the new job.

    :param payload: a whole one, as it was shown with masks in it; None changes the one that there is.
    :param dry_run: check all of it, tell what changes, and submit nothing.
    :raises Forbidden: also when payloads may not be seen.
    :raises TransitionRefused: when it has not ended, or is given the results of other jobs as it runs.
    :raises SealError: when it is encrypted, and this process has not the key.
    :raises InvalidPayload: for what a submission refuses, and for a mask out of place.
    """
    require(actor, "jobs.resubmit")
    app = desk.application()
    with desk.look() as session:
        job = _original(session, actor, job_id)
    before = _plain(desk, job)
    saw = shown(desk, actor, {"payload": before, "secret": job["secret"]})["payload"]
    after = edited(payload, changes, before, saw, desk.settings.payload_limit)
    asked, options = _ready(desk, app, actor, job, after)
    sees = shown(desk, actor, {"payload": after, "secret": job["secret"]})["payload"]
    done = Resubmitted(None, job_id, job["job_type"], saw, sees, differences(before, after, (saw, sees)))
    if dry_run:
        return done
    about = {"job_id": job_id, "job_type": job["job_type"], "places": [each.path for each in done.changes]}
    with desk.change(actor, "jobs.resubmit", about, reason) as change:
        made = submit_prepared(desk, app, actor, asked, options, change.transaction)
        rows.link(change.transaction, made, job_id, actor.name)
        change.outcome["job_id"] = made
    return done._replace(job_id=made)


def _original(session: Transaction, actor: Actor, job_id: str) -> Row:
    """Read what is submitted anew.

    :raises JobNotFound: also when it is out of the actor's scope.
    """
    job = rows.original(session, job_id) if is_id(job_id) else None
    if job is None or not actor.scope.holds(job["queue"], job["tenant"]):
        raise JobNotFound(MISSING.format(job_id))
    if job["status"] not in FINAL:
        raise TransitionRefused(
            f"job {job_id} is {job['status']}; only one that has ended can be submitted anew: cancel it first"
        )
    if job["awaits"]:
        raise TransitionRefused(
            f"job {job_id}: its first argument is made of the results of other jobs; retry it, or edit its dead letter"
        )
    return job


def _plain(desk: Desk, job: Row) -> dict[str, Any]:
    """Give the payload as it was submitted."""
    args, kwargs = decode_payload(readable(desk.settings.encryption_keys, job, job["payload"]))
    return {"args": args, "kwargs": kwargs}


def _ready(
    desk: Desk, app: Any, actor: Actor, job: Row, payload: Mapping[str, Any]
) -> tuple[Submission, dict[str, Any]]:
    """Check a new job, and give its options.

    :raises InvalidPayload: also when what is encrypted of the old job would not be of the new one.
    """
    name, args, kwargs = job["job_type"], payload["args"], payload["kwargs"]
    declared, row = getattr(app.tasks.get(name), "job", None), told(desk, [name]).get(name)
    hiding = declared.hiding if declared else hiding_of(row)
    if is_sealed_payload(job["payload"]) and not hiding.encrypt:
        fix = "declare its type with encrypt=True, or submit it by itself"
        raise InvalidPayload("payload", f"it is encrypted, and new jobs of {name} are not", fix)
    usual = declared.tags if declared else (row or {}).get("options", {}).get("tags") or ()
    own = tuple(tag for tag in job["tags"] or () if tag not in usual)
    asked = Submission(name, args, job["queue"], job["priority"], tenant=job["tenant"], tags=own, named=kwargs)
    # It was taken when the old job was submitted.
    platform_of(app).know_queues({job["queue"]})
    (options,) = prepared(desk, app, actor, [asked], check_known=True)
    check_payload(app, name, payload, desk.settings.payload_limit)
    return asked, options
