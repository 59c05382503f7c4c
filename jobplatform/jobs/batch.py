"""Jobs that are counted together, and what is to be done when they have ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from celery import Task, current_app

from jobplatform.errors import JobOptionError, StoreUnavailable
from jobplatform.jobs import callbacks
from jobplatform.jobs.platform import Platform, platform_of
from jobplatform.jobs.task import JobTask, Using
from jobplatform.jobs.wishes import Wishes, carrying
from jobplatform.records import job_id_of, new_job_id
from jobplatform.tally import Event, Progress

if TYPE_CHECKING:
    from jobplatform.store.database import Transaction

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_LONGEST = 200


class Batch:
    """Jobs that are counted together.

    :param batch_id: of a batch that somebody has opened.
    """

    def __init__(self, batch_id: str, platform: Platform) -> None:
        self.id = batch_id
        self.platform = platform

    def add(self, task: Any, *args: Any, **kwargs: Any) -> Any:
        """Submit a job of the batch with these arguments and return its ``AsyncResult``.

        A running job of the batch may add to it though it is closed, as it has not ended before that job has.

        :param task: a job type, also with options (``load.using(priority=5)``), or any Celery task.
        :raises BatchClosed: when it takes no more jobs; nothing is written.
        :raises BatchNotFound: when nobody has opened it; nothing is written.
        :raises StoreUnavailable: when nobody can tell whether it is open, or neither store took the job.
        """
        if isinstance(task, Using):
            return task.task.apply_async(args, kwargs, **{**task.options, "batch": self.id})
        if isinstance(task, JobTask):
            return task.apply_async(args, kwargs, batch=self.id)
        if not isinstance(task, Task):
            raise JobOptionError(f"batch: {task!r} is no task; give a job type or a Celery task")
        with carrying(Wishes(batch_id=self.id)):
            return task.apply_async(args, kwargs)

    def add_many(self, task: Any, items: Iterable[Any]) -> list[str]:
        """Submit a job of the batch for each item, all or none, and return the job ids.

        :param task: a job type, also with options.
        :param items: a mapping gives keyword arguments, a tuple or list positional ones, anything else the only one.
        :raises BatchClosed: as ``add`` does, and the others.
        """
        if isinstance(task, Using):
            return task.task.submit_many(items, **{**task.options, "batch": self.id})
        if not isinstance(task, JobTask):
            raise JobOptionError(f"batch: {task!r} is no job type; add tasks of other kinds one by one")
        return task.submit_many(items, batch=self.id)

    def close(self) -> None:
        """Say that nobody but its own jobs adds more; it is over when all of them have ended.

        :raises BatchNotFound: when nobody has opened it.
        """
        from jobplatform.store import batches

        self._write(lambda transaction: batches.close(transaction, self.id))

    def cancel(self, reason: str = "cancelled by code") -> bool:
        """Close the batch and let the controller cancel all of its jobs that have not ended.

        :returns: whether it had not finished.
        :raises BatchNotFound: when nobody has opened it.
        """
        from jobplatform.store import batches

        return self._write(lambda transaction: batches.cancel(transaction, self.id, reason))

    def retry_failed(self) -> int:
        """Let its failed jobs run once more, with their retries restored; returns how many do.

        :raises BatchNotFound: when nobody has opened it.
        """
        from jobplatform.store import batches

        return self._asking(lambda: batches.retry_failed(self.platform.database, self.id))

    def progress(self) -> Progress:
        """Tell how far it is, as the rows of its jobs say it.

        :raises BatchNotFound: when nobody has opened it.
        :raises StoreUnavailable: when PostgreSQL is away.
        """
        from jobplatform.store import batches

        return self._asking(lambda: self.platform.database.once(lambda session: batches.show(session, self.id)))[1]

    def _write(self, work: Callable[[Transaction], Result]) -> Result:
        def write() -> Result:
            with self.platform.database.transaction() as transaction:
                return work(transaction)

        return self._asking(write)

    def _asking(self, work: Callable[[], Result]) -> Result:
        from jobplatform.store.database import UNREACHABLE

        try:
            return work()
        except UNREACHABLE as error:
            cause = str(error).partition("\n")[0]
            raise StoreUnavailable(f"batch {self.id}: PostgreSQL is away: {cause}; try again") from error


class NewBatch(Batch):
    """A batch that is made here; in a ``with`` block it is opened first and closed at the end.

    A block that raises leaves it open: what was added runs, and it is not over before somebody closes it.
    """

    def __init__(self, name: str, calls: dict[Event, Any], platform: Platform) -> None:
        super().__init__(new_job_id(platform.clock()), platform)
        if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST or not name.isprintable():
            raise JobOptionError(f"batch: name: {name!r} is none; give a text of 1 to {_LONGEST} characters")
        self.name = name
        self._callbacks = callbacks.rows_of(calls)

    def open(self) -> Self:
        """Write the batch, so that jobs can be added.

        :raises StoreUnavailable: when PostgreSQL is away.
        """
        from jobplatform.store import batches

        self._write(lambda transaction: batches.insert(transaction, self.id, self.name, self._callbacks))
        return self

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            logger.warning(
                "batch %s (%s) stays open, as its block raised %r; close() or cancel() it", self.id, self.name, error
            )


def batch(
    name: str,
    *,
    on_failure: Any = None,
    on_success: Any = None,
    on_complete: Any = None,
    on_exhausted: Any = None,
    app: Any = None,
) -> NewBatch:
    """Make a batch, which ``with`` opens and closes, or ``open()`` and ``close()``.

    Each callback is a signature such as ``tell.s("{batch}")``, submitted as a job once. In its arguments the texts
    ``{batch_id}``, ``{name}``, ``{event}``, ``{total}``, ``{completed}``, ``{failed}`` and ``{cancelled}`` stand for
    what they say, and ``{batch}`` for an object of all of it.

    :param name: what people call it; several may share one.
    :param on_failure: at once when the first of its jobs has failed for good.
    :param on_success: when it is closed and all of its jobs have completed.
    :param on_complete: when it is closed and all of its jobs have ended, however.
    :param on_exhausted: when that is so and a job has failed.
    :param app: the attached Celery application; the current one if not given.
    :raises JobOptionError: when the name or a callback cannot be used; nothing is written.
    """
    calls = {
        Event.FAILURE: on_failure,
        Event.SUCCESS: on_success,
        Event.COMPLETE: on_complete,
        Event.EXHAUSTED: on_exhausted,
    }
    return NewBatch(name, calls, platform_of(app or current_app._get_current_object()))


def find_batch(batch_id: str, app: Any = None) -> Batch:
    """Give a batch that is there.

    :param app: the attached Celery application; the current one if not given.
    :raises BatchNotFound: when nobody has opened it.
    :raises StoreUnavailable: when PostgreSQL is away.
    """
    found = Batch(job_id_of(batch_id), platform_of(app or current_app._get_current_object()))
    found.progress()
    return found
