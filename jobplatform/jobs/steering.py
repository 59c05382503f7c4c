"""Jobs, queues and job types steered from code, as the command line does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery import current_app

from jobplatform.errors import JobPlatformError
from jobplatform.jobs.options import check_priority
from jobplatform.jobs.platform import Platform, platform_of
from jobplatform.records import job_id_of
from jobplatform.states import State

if TYPE_CHECKING:
    from jobplatform.store.pauses import Hold


def cancel(
    *task_ids: str, reason: str = "cancelled by code", cascade: bool = False, app: Any = None
) -> dict[str, State]:
    """Cancel jobs that have not ended: those that wait never start, those that run are told to stop.

    :param cascade: also what the jobs have submitted, and what that has.
    :param app: the attached Celery application; the current one if not given.
    :returns: what was cancelled and what it was before, by job id.
    """
    from jobplatform.store import holds, jobs

    with _platform(app).database.transaction() as transaction:
        ids = _ids(task_ids)
        return jobs.cancel(transaction, holds.descendants(transaction, ids) if cascade else ids, reason)


def pause(
    *task_ids: str, reason: str = "", by: str = "code", until: datetime | None = None, app: Any = None
) -> dict[str, State]:
    """Pause jobs: those that wait do not start, those that run stop at their next checkpoint.

    :param until: when they go on by themselves.
    :returns: what is paused, or was asked to pause, and what it was before, by job id.
    """
    from jobplatform.store import holds

    with _platform(app).database.transaction() as transaction:
        return holds.pause(transaction, _ids(task_ids), _hold(reason, by, until))


def resume(*task_ids: str, app: Any = None) -> dict[str, State]:
    """Let paused jobs go on.

    :returns: what was resumed and what it was before, by job id.
    """
    from jobplatform.store import holds

    with _platform(app).database.transaction() as transaction:
        return holds.resume(transaction, _ids(task_ids))


def move(*task_ids: str, queue: str | None = None, priority: int | None = None, app: Any = None) -> dict[str, State]:
    """Change the queue or the priority of jobs that have not begun.

    :param priority: 1 to 5, 5 the most urgent.
    :returns: what was moved and what it was before, by job id.
    :raises UnknownQueue: when the queue is not declared.
    :raises JobOptionError: when the priority is none.
    """
    from jobplatform.store import holds

    platform = _platform(app)
    if queue is not None:
        platform.check_queue(app or current_app._get_current_object(), queue)
    rank = None if priority is None else check_priority(priority)
    with platform.database.transaction() as transaction:
        return holds.move(transaction, _ids(task_ids), queue, rank)


def pause_queue(
    name: str, *, reason: str = "", by: str = "code", until: datetime | None = None, app: Any = None
) -> None:
    """Hand out nothing more of a queue; what runs goes on.

    :param until: when it goes on by itself.
    """
    _pause("queue", name, _hold(reason, by, until), app)


def pause_type(
    name: str, *, reason: str = "", by: str = "code", until: datetime | None = None, app: Any = None
) -> None:
    """Start no more jobs of a type; what runs goes on.

    :param until: when it goes on by itself.
    """
    _pause("type", name, _hold(reason, by, until), app)


def resume_queue(name: str, *, app: Any = None) -> bool:
    """Hand out a queue again; returns whether it was paused."""
    return _resume("queue", name, app)


def resume_type(name: str, *, app: Any = None) -> bool:
    """Start jobs of a type again; returns whether it was paused."""
    return _resume("type", name, app)


def _pause(scope: str, name: str, hold: Hold, app: Any) -> None:
    from jobplatform.store import pauses

    platform = _platform(app)
    if not platform.leases:
        raise JobPlatformError(
            f"{scope} {name!r}: only the Redis transport of the platform can pause it; set REDIS_URL"
        )
    with platform.database.transaction() as transaction:
        pauses.pause(transaction, pauses.Scope(scope), name, hold)


def _resume(scope: str, name: str, app: Any) -> bool:
    from jobplatform.store import pauses

    with _platform(app).database.transaction() as transaction:
        return bool(pauses.resume(transaction, pauses.Scope(scope), [name]))


def _hold(reason: str, by: str, until: datetime | None) -> Hold:
    from jobplatform.store.pauses import Hold

    return Hold(reason, by, until)


def _platform(app: Any) -> Platform:
    return platform_of(app or current_app._get_current_object())


def _ids(task_ids: Sequence[str]) -> list[str]:
    return [job_id_of(str(task_id)) for task_id in task_ids]
