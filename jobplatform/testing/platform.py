"""The platform of an application while a test has it: the same code above, rows and queues in memory below."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from celery import states as celery_states
from celery._state import _get_current_app, _set_current_app
from celery.backends.base import Backend, SyncBackendMixin

from jobplatform.jobs.attach import attach
from jobplatform.jobs.backend import JobBackend
from jobplatform.jobs.control import JobControl
from jobplatform.jobs.platform import Platform, platform_of
from jobplatform.journal.recording import Recording
from jobplatform.records import job_id_of
from jobplatform.settings import Settings, load_settings
from jobplatform.store import revoked
from jobplatform.store.results import read_result
from jobplatform.testing import caller
from jobplatform.testing.tables import MemoryDatabase
from jobplatform.testing.wire import InlineAMQP, Wire

#: Nobody answers there: whatever is not in memory fails at once.
_NOWHERE = "redis://jobplatform.invalid/0"


class InlinePlatform(Platform):
    """A platform whose stores are in memory.

    :param clock: seconds since the epoch.
    :param touched: called whenever the platform asks a store of something.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float], database: MemoryDatabase, wire: Wire,
        touched: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(replace(settings, database_url="", redis_url=_NOWHERE, broker_url=""))
        self.clock = clock  # type: ignore[assignment]
        self._memory, self._wire, self._touched = database, wire, touched

    @property
    def database(self) -> Any:
        """The tables of the test."""
        self._touched()
        return self._memory

    @property
    def publisher(self) -> Any:
        """The queues and the journal of the test."""
        self._touched()
        return self._wire

    def transaction_on(self, handle: Any) -> Any:
        """Write rows that a rollback of the caller takes back."""
        return caller.writing_on(handle, self._memory.tables, self._memory.committed)

    def savepoint_on(self, handle: Any) -> Any:
        """Write rows that a rollback of the caller takes back, also one to the savepoint."""
        return caller.savepoint_on(handle, self._memory.tables, self._memory.committed)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class InlineBackend(SyncBackendMixin, Backend):  # type: ignore[misc]
    """Results from the rows of the test; whoever waits for one lets jobs run.

    :param wait: runs jobs until one has ended, and says why if it does not.
    """

    def __init__(self, app: Any, database: MemoryDatabase, wait: Callable[[str], None]) -> None:
        super().__init__(app, url="memory")
        self._database, self._wait = database, wait

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Leave results to the mirror."""
        return result

    def mark_as_failure(self, task_id: str, exc: Any, traceback: Any = None, request: Any = None, *args: Any,
                        **kwargs: Any) -> None:  # fmt: skip
        """Tell links and chords of a failure, unless another attempt follows."""
        if not JobBackend._another_attempt(self, exc, request):
            super().mark_as_failure(task_id, exc, traceback, request, *args, **kwargs)

    def get_task_meta(self, task_id: str, cache: bool = True) -> Any:
        """Read a job's state and result from its row."""
        meta: dict[str, Any] = {"status": celery_states.PENDING, "result": None, "task_id": task_id}
        row = self._database.once(lambda session: read_result(session, job_id_of(task_id)))
        return meta if row is None else JobBackend._meta_of(self, row, meta)

    def wait_for(self, task_id: str, **options: Any) -> Any:
        """Run jobs until one has ended."""
        self._wait(job_id_of(task_id))
        return self.get_task_meta(task_id)


class InlineControl(JobControl):
    """Celery's remote control where there is no worker to tell."""

    def broadcast(self, command: str, *args: Any, **options: Any) -> list[Any]:
        """Tell nobody, and hear nobody."""
        return []

    def _cancel_rows(self, task_ids: list[str], running: bool) -> None:
        with platform_of(self.app).database.transaction() as writing:
            revoked.revoke(writing, list(map(job_id_of, task_ids)), running)


@contextmanager
def taken_over(app: Any, platform: InlinePlatform, backend: InlineBackend) -> Iterator[None]:
    """Let an application use the stores of a test in the block, and then what it used before."""
    if getattr(app, "jobplatform", None) is None:
        attach(app, platform.settings)
    app.finalize()
    before, was_current = app.jobplatform, _get_current_app()
    amqp_class, recording, eager = app.amqp_cls, Recording.clock, app.conf.task_always_eager
    known, direct, control_class = app._backend_cache, Recording.direct, app.control_cls
    app.jobplatform, app.amqp_cls, app._backend_cache = platform, InlineAMQP, backend
    app.conf.task_always_eager, app.control_cls = False, InlineControl
    Recording.clock = staticmethod(platform.clock)
    _renew(app)
    _set_current_app(app)
    try:
        yield
    finally:
        app.jobplatform, app.amqp_cls, app._backend_cache = before, amqp_class, known
        app.conf.task_always_eager, app.control_cls = eager, control_class
        Recording.clock, Recording.direct = staticmethod(recording), direct
        _renew(app)
        _set_current_app(was_current)


def _renew(app: Any) -> None:
    """Let the application make anew what holds on to its stores."""
    app.__dict__.pop("amqp", None)
    app.__dict__.pop("control", None)
    for task in app.tasks.values():
        task.__trace__ = None


def settings_of(app: Any) -> Settings:
    """Give the settings that an application has, or else those of the environment."""
    platform = getattr(app, "jobplatform", None)
    return load_settings(os.environ) if platform is None else platform.settings
