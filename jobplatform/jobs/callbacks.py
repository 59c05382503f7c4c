"""The jobs that the events of a batch make, as they are kept with it until then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from celery.canvas import Signature

from jobplatform.errors import JobOptionError
from jobplatform.jobs import submission
from jobplatform.jobs.argument import AWAITED
from jobplatform.jobs.task import job_of
from jobplatform.records import NewJob, row_of
from jobplatform.tally import Event

#: A text that is nothing but one of these becomes a value that is not a text.
_VALUES = frozenset({"{batch}", "{total}", "{completed}", "{failed}", "{cancelled}"})
#: A row that cannot be written would keep the batch from being over.
_LONGEST = 100
_REFUSED = ("countdown", "eta", "expires", "after", "unique", "batch")


def rows_of(callbacks: Mapping[Event, Any]) -> dict[str, dict[str, Any]]:
    """Give by event the row of the job that it makes, its id with it: so it is made once.

    :raises JobOptionError: when a callback is no signature of a single task, or waits for something by itself.
    :raises InvalidPayload: when its arguments do not fit the job type.
    """
    return {str(event): _row(event, signature) for event, signature in callbacks.items() if signature is not None}


def _row(event: Event, signature: Any) -> dict[str, Any]:
    name = f"on_{event}"
    if not isinstance(signature, Signature) or signature.get("subtask_type"):
        raise JobOptionError(f"{name}: {signature!r} is no signature of a task; give task.s(...)")
    for option in _REFUSED:
        if signature.options.get(option) is not None:
            raise JobOptionError(f"{name}: {option}: a callback is submitted at its event; leave the option out")
    if (job := job_of(signature)) is not None:
        if job.unique is not None:
            raise JobOptionError(f"{name}: {signature.task} is unique, and might not be made; give a type that is not")
        if job.encrypt:
            raise JobOptionError(f"{name}: {signature.task} is encrypted, and takes no counts; give a type that is not")
        args, kwargs = map(_awaiting, signature.args), signature.kwargs.items()
        job.signature.check(tuple(args), {key: _awaiting(value) for key, value in kwargs})
    with submission.collecting() as jobs:
        signature.apply_async()
    (made,) = jobs
    if len(made.job_type) > _LONGEST:
        raise JobOptionError(
            f"{name}: {made.job_type!r} has {len(made.job_type)} characters; a type has 1 to {_LONGEST}"
        )
    return _waiting(made)


def _waiting(job: NewJob) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(row_of(job))
    del row["enqueued_at"]
    return row


def _awaiting(value: Any) -> Any:
    return AWAITED if isinstance(value, str) and value in _VALUES else value
