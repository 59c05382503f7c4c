"""What an attached application holds: its settings and, opened on first use, its connections."""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from jobplatform.clock import StoreClock
from jobplatform.errors import JobPlatformError, SettingsError, UnknownQueue
from jobplatform.jobs.estimates import Estimate, Estimates
from jobplatform.jobs.hungry import Hungry
from jobplatform.settings import Settings

if TYPE_CHECKING:
    from jobplatform.store.database import Database, Transaction
    from jobplatform.transport.publisher import Publisher


class Platform:
    """The platform of one Celery application in one process; a forked child opens connections of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.in_worker = False
        self._queues: frozenset[str] = frozenset()
        self._elsewhere: frozenset[str] = frozenset()
        self._unrouted: str | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._database: Database | None = None
        self._publisher: Publisher | None = None
        #: What the time is, for all that is written: the machine's own clock may be wrong.
        self.clock = StoreClock(self._ask_time)
        self.estimates = Estimates(self._ask_estimates)
        self.hungry = Hungry(self._ask_hungry)

    def _ask_time(self) -> float:
        """Ask Redis, which answers sooner, or else PostgreSQL, of which workers know nothing."""
        from jobplatform.transport.publisher import UNREACHABLE

        try:
            return self.publisher.time()
        except (*UNREACHABLE, SettingsError):
            if self.in_worker:
                raise
        from jobplatform.store import leadership

        return self.database.once(leadership.probe).now

    def _ask_estimates(self, job_type: str) -> Mapping[str, Estimate] | None:
        """Read the estimates of a job type, by key; None where nobody can tell, as in a worker."""

        def read(session: Any) -> Sequence[Mapping[str, Any]]:
            from jobplatform.store import durations

            return durations.of_type(session, job_type)

        rows = self._ask(read)
        if rows is None:
            return None
        return {row["key"]: Estimate(row["p10"], row["p50"], row["p90"], row["decided_by"]) for row in rows}

    def _ask_hungry(self) -> set[str] | None:
        """Name the job types that take much memory; None where nobody can tell, as in a worker."""

        def read(session: Any) -> Sequence[Mapping[str, Any]]:
            from jobplatform.store import hungry

            return hungry.known(session)

        rows = self._ask(read)
        return None if rows is None else {row["job_type"] for row in rows}

    def _ask(self, read: Callable[[Any], Sequence[Mapping[str, Any]]]) -> Sequence[Mapping[str, Any]] | None:
        """Read rows; None in a worker, which has no connection to PostgreSQL, and while that cannot be reached."""
        if self.in_worker or not self.settings.database_url:
            return None
        from jobplatform.store.database import UNREACHABLE

        try:
            return self.database.once(read)
        except UNREACHABLE:
            return None

    @property
    def leases(self) -> bool:
        """Tell whether messages travel on our Redis transport."""
        return self.settings.leases

    def unrouted_queue(self, app: Any) -> str | None:
        """Give the queue of jobs that name none, None when ``task_routes`` decide on each.

        It is asked once: a look into Celery's settings costs a submission ten microseconds.
        """
        if self._unrouted is None:
            self._unrouted = "" if app.conf.task_routes else str(app.conf.task_default_queue)
        return self._unrouted or None

    def check_queue(self, app: Any, queue: str) -> None:
        """Refuse a queue that nobody declared.

        :raises UnknownQueue: when it is in none of ``task_queues``, ``JOBPLATFORM_QUEUES`` and the job types.
        """
        if queue in self._queues:
            return
        self._queues = frozenset(self._declared_queues(app))
        if queue not in self._queues:
            close = difflib.get_close_matches(queue, sorted(self._queues), 1)
            hint = f"did you mean {close[0]!r}? Otherwise add" if close else "add"
            raise UnknownQueue(f"queue: {queue!r} is not declared; {hint} it to task_queues or JOBPLATFORM_QUEUES")

    def know_queues(self, queues: Collection[str]) -> None:
        """Take queues as declared that job types name whose code is not here."""
        self._elsewhere |= frozenset(queues)

    def _declared_queues(self, app: Any) -> set[str]:
        jobs = [task.job for task in app.tasks.values() if getattr(task, "job", None)]
        declared = {queue for job in jobs for queue in (job.queue, job.long_queue, job.large_queue)}
        known = {str(app.conf.task_default_queue), *self.settings.queues, *app.amqp.queues, *declared, *self._elsewhere}
        return {queue for queue in known if queue}

    @property
    def database(self) -> Database:
        """The pool of connections to PostgreSQL."""
        if self._database is None or self._pid != os.getpid():
            with self._lock:
                self._renew_after_fork()
                if self._database is None:
                    # Imported here: workers never need it, and it would cost each of their processes 30 MB.
                    from jobplatform.store.database import Database

                    if not self.settings.database_url:
                        raise SettingsError("DATABASE_URL: it is not set; give the URL of the job tables")
                    self._database = Database(self.settings, statement_seconds=10.0)
        return self._database

    def transaction_on(self, handle: Any) -> Transaction:
        """Give the platform's statements a place in the caller's own transaction.

        :param handle: an SQLAlchemy Session or Connection.
        """
        from jobplatform.store.database import Transaction, connection_of

        return Transaction(connection_of(handle), self.settings.schema)

    def savepoint_on(self, handle: Any) -> AbstractContextManager[Transaction]:
        """Open a savepoint in the caller's own transaction; a block that raises takes back what was written in it.

        :param handle: an SQLAlchemy Session, scoped_session or Connection.
        """
        from jobplatform.store.database import savepoint

        return savepoint(handle, self.settings.schema)

    @property
    def publisher(self) -> Publisher:
        """The pusher of messages and journal entries."""
        if self._publisher is None or self._pid != os.getpid():
            with self._lock:
                self._renew_after_fork()
                if self._publisher is None:
                    from jobplatform.transport.publisher import Publisher

                    if not self.settings.journal_url:
                        raise SettingsError("REDIS_URL: it is not set; give the URL of the journal")
                    self._publisher = Publisher(
                        self.settings.journal_url,
                        self.settings.connect_seconds,
                        keep=self.in_worker,
                        ring=self.settings.signing_keys,
                    )
        return self._publisher

    def _renew_after_fork(self) -> None:
        if self._pid != os.getpid():
            self._pid, self._database, self._publisher = os.getpid(), None, None

    def close(self) -> None:
        """Close what was opened."""
        for opened in (self._database, self._publisher):
            if opened is not None:
                opened.close()
        self._database = self._publisher = None


def platform_of(app: Any) -> Platform:
    """Give the platform of an attached application.

    :raises JobPlatformError: when the application is not attached.
    """
    platform: Platform | None = getattr(app, "jobplatform", None)
    if platform is None:
        raise JobPlatformError(f"the Celery app {app.main!r} is not attached; call jobplatform.attach(app) once")
    return platform
