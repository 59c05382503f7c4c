"""Submitting by name, for clients that have the code of no job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from celery import current_app

from jobplatform.errors import UnknownJobType
from jobplatform.jobs.hiding import NOTHING, Hiding
from jobplatform.jobs.payload import encode_payload
from jobplatform.jobs.platform import platform_of
from jobplatform.jobs.wishes import carrying, wishes_of


def submit(
    name: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    app: Any = None,
    check_known: bool = False,
    hiding: Hiding = NOTHING,
    **options: Any,
) -> Any:
    """Submit a job by the name of its type and return its ``AsyncResult``.

    Where this process knows the type, the arguments are checked against it.

    :param app: the attached Celery application; the current one if not given.
    :param check_known: refuse a type that this process does not know.
    :param hiding: what is to be hidden of the job, if its code is not here to say so.
    :param options: as for ``apply_async``: ``queue``, ``priority``, ``countdown``, ``eta``, ``tags``, ``session`` ...
    :raises UnknownJobType: when the type must be known and is not.
    """
    app = app or current_app._get_current_object()
    platform = platform_of(app)
    task = app.tasks.get(name)
    if getattr(task, "job", None) is not None:
        return task.apply_async(list(args), dict(kwargs or {}), **options)
    if check_known and task is None:
        raise UnknownJobType(
            f"job type: {name!r} is defined by no imported module; add its module to JOBPLATFORM_IMPORTS"
        )
    encode_payload(args, kwargs or {}, platform.settings.payload_limit)
    wishes = replace(wishes_of(options, platform.clock()), hiding=hiding)
    if wishes.queue is not None:
        platform.check_queue(app, wishes.queue)
    with carrying(wishes) as standing:
        # Celery's own tasks know none of our options.
        send = partial(app.send_task, name) if task is None else task.apply_async
        result = send(list(args), dict(kwargs or {}), **wishes.for_celery())
    return app.AsyncResult(standing[0]) if standing else result
