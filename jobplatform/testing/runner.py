"""The job runner of a test: what was submitted, what becomes of it, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from jobplatform.errors import JobNotFound, JobPlatformError
from jobplatform.jobs.retry import decide_all
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.maintenance.tallier import Tallier
from jobplatform.records import earliest, job_id_of
from jobplatform.scheduling.declared import facts_of, rows_of_entries, rows_of_types
from jobplatform.scheduling.ticker import Ticker
from jobplatform.states import FINAL, State
from jobplatform.store import dependencies, schedules
from jobplatform.store import jobs as job_rows
from jobplatform.testing import batch_rows, edge_rows, run_rows, schedule_rows
from jobplatform.testing.faults import Faults
from jobplatform.testing.platform import InlineBackend, InlinePlatform, settings_of, taken_over
from jobplatform.testing.submissions import Job, Wanted, find, job_of
from jobplatform.testing.tables import MemoryDatabase, Tables
from jobplatform.testing.wire import Wire
from jobplatform.testing.worker import Worker

#: These modules say what statements do.
_ANSWERS = (batch_rows, edge_rows, run_rows, schedule_rows)
#: So many runs without an end are taken for jobs that submit each other for ever.
_MOST = 10_000
_BATCH = 1_000
#: Numbers of seconds and moments round differently, by less than this.
_TICK = 1e-6


class NotEnded(AssertionError):
    """A job was waited for that does not end by itself now."""


class JobRunner:
    """Run jobs in this process, by the rules of the platform, when the test says so.

    :param app: the Celery application; it is attached if it is not.
    :param now: what the time is at the beginning; it stands still until the test moves it.
    """

    def __init__(self, app: Any, now: datetime | None = None) -> None:
        self.app = app
        self._seconds = float(int(time.time())) if now is None else now.timestamp()
        self._faults = Faults()
        self._tables = Tables(lambda: self._seconds)
        self._database = MemoryDatabase(self._tables, self._committed)
        self._wire = Wire(self._tables, self._mirror_all)
        self._platform = InlinePlatform(settings_of(app), self._tables.clock, self._database, self._wire, self._touched)
        self._worker = Worker(app, self._platform, self._wire, self._faults)
        self._mirror = Mirror(self._wire, self._database, decide_all, _no_wait, _BATCH)  # type: ignore[arg-type]
        self._services = self._make_services()
        self._unroutable: list[str] = []

    def _make_services(self) -> list[Callable[[datetime], Any]]:
        """Give what the controller and beat do, in the order in which one round does it."""
        database: Any = self._database
        stop_time = timedelta(seconds=self._platform.settings.stop_seconds)
        ticker = Ticker(database, partial(facts_of, self.app), stop_time)
        dispatcher = Dispatcher(database, self._wire, _BATCH, 0.0)
        return [ticker.run_once, self._examine, Tallier(database).run_once, dispatcher.run_once]

    @contextmanager
    def in_charge(self) -> Iterator[JobRunner]:
        """Let the application submit to this runner in the block."""
        backend = InlineBackend(self.app, self._database, self._wait_for)
        with taken_over(self.app, self._platform, backend):
            declared = [*rows_of_types(self.app), *rows_of_entries(self.app)]
            with self._database.transaction() as writing:
                schedules.put(writing, declared, "code")  # type: ignore[arg-type]
            yield self

    @property
    def now(self) -> datetime:
        """What the time is for jobs, schedules and retries."""
        return datetime.fromtimestamp(self._seconds, UTC)

    # What was submitted.

    def submitted(self, job_type: Any = None) -> list[Job]:
        """List the jobs that were submitted, by the test, by jobs, schedules and batches, in this order.

        :param job_type: a job type or its name; all if None.
        """
        wanted = None if job_type is None else _name_of(job_type)
        rows = self._tables.of("jobs")
        return [self._job(row) for row in rows if wanted is None or row["job_type"] == wanted]

    def assert_submitted(
        self,
        job_type: Any,
        /,
        *,
        count: int | None = None,
        queue: str | None = None,
        after: Any = None,
        payload: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> list[Job]:
        """Give the jobs that were submitted with these arguments, among others.

        :param count: how many there are to be; at least one if None.
        :param after: a job that it waits for, or several.
        :param payload: arguments that have the name of a parameter here.
        :raises AssertionError: with the nearest submission and what is otherwise, when there are not so many.
        """
        awaited = [] if after is None else after if isinstance(after, (list, tuple)) else [after]
        ids = tuple(_id_of(each) for each in awaited)
        wanted = Wanted(_name_of(job_type), {**(payload or {}), **arguments}, queue, ids)
        return find(self.submitted(), wanted, count)

    def job(self, job: Any) -> Job:
        """Give a job as it is now.

        :param job: a result, or a job id.
        :raises JobNotFound: when there is none.
        """
        row = self._tables.get("jobs", _id_of(job))
        if row is None:
            raise JobNotFound(f"job {_id_of(job)}: it was not submitted to this runner")
        return self._job(row)

    # What becomes of it.

    def run(self) -> int:
        """Run all that is to run now, and what comes of it; returns how many runs that were.

        :raises NotEnded: when there is no end to them.
        """
        self._refuse_inside()
        runs = 0
        while True:
            self._serve()
            waiting = self._wire.take()
            if waiting is None:
                return runs
            if not self._worker.run(waiting):
                self._unroutable.append(waiting.task_id)
                continue
            runs += 1
            if runs >= _MOST:
                raise NotEnded(f"{runs} runs and no end; the last was of {waiting.envelope['headers']['task']}")

    def advance(self, by: timedelta, working: bool = True) -> int:
        """Let a time pass, in which everything comes at its moment; returns how many runs that were.

        :param working: not so while no worker is there: then all comes late.
        """
        if working:
            return self.travel_to(self.now + by)
        self._seconds += by.total_seconds()
        return 0

    def travel_to(self, moment: datetime) -> int:
        """Let the time pass until a moment, in which everything comes at its own; returns how many runs that were.

        :raises ValueError: when the moment has passed.
        """
        if moment < self.now:
            raise ValueError(f"moment: {moment} has passed, as it is {self.now}; give one that comes")
        runs = self.run()
        while (next_at := self._next_at()) is not None and next_at <= moment.timestamp() + _TICK:
            self._seconds = next_at + _TICK
            runs += self.run()
        self._seconds = max(self._seconds, moment.timestamp())
        return runs + self.run()

    def finish(self) -> int:
        """Let so much time pass that every job has ended that ends by itself; schedules fire no more meanwhile."""
        runs = self.run()
        while (next_at := self._next_at(schedules=False)) is not None:
            self._seconds = next_at + _TICK
            runs += self.run()
        return runs

    def cancel(self, job: Any, reason: str = "cancelled by the test") -> None:
        """Cancel a job that has not ended."""
        with self._database.transaction() as writing:
            job_rows.cancel(writing, [_id_of(job)], reason)  # type: ignore[arg-type]

    def replay(self, job: Any) -> None:
        """Let a job that failed or was cancelled run once more, with its retries restored."""
        with self._database.transaction() as writing:
            job_rows.replay(writing, [_id_of(job)])  # type: ignore[arg-type]

    def hold_schedules(self, *names: str) -> None:
        """Let schedules fire no more; all of them if none is named."""
        with self._database.transaction() as writing:
            for name in names or tuple(self._tables.rows["schedules"]):
                writing.change("schedules", name, enabled=False)

    # What goes wrong.

    def crash(self, job: Any, at: str = "during", times: int = 1) -> None:
        """Let the worker die in the next run of a job; it is given again.

        :param job: a job type, its name, a result, or a job id.
        :param at: ``before`` its code begins; ``during`` it, where it first asks the platform for something; ``after
            effect``, right after one was committed; ``after`` its code, before anybody knows.
        :param times: in how many runs.
        """
        self._faults.plan("crash", job, at, times)

    def deliver_twice(self, job: Any, times: int = 1) -> None:
        """Let the message of a job come twice: its code runs twice in one attempt, and the second run is refused."""
        self._faults.plan("twice", job, "after", times)

    def stale_lease(self, job: Any, at: str = "after", times: int = 1) -> None:
        """Let a job's lease be taken away from its worker: another attempt runs, and what this one says is refused.

        :param at: ``before`` its code begins, so that it runs as a zombie; or ``after`` its code.
        """
        self._faults.plan("stale", job, at, times)

    def faults_left(self) -> list[str]:
        """List the faults that were planned and have not come."""
        return [f"{fault.kind} at {fault.at!r}, {fault.times} times" for fault in self._faults.left()]

    # How it works.

    def _serve(self) -> None:
        for serve in self._services:
            serve(self.now)

    def _examine(self, now: datetime) -> None:
        with self._database.transaction() as writing:
            dependencies.examine(writing, _BATCH, timedelta(seconds=1), timedelta(hours=1))  # type: ignore[arg-type]

    def _mirror_all(self) -> None:
        while self._wire.journal_items:
            self._mirror.run_once(self.now)

    def _touched(self) -> None:
        if self._worker.is_busy:
            self._faults.reach("during")

    def _committed(self, said: Sequence[str]) -> None:
        if "claim_effect" in said:
            self._faults.reach("after effect")

    def _next_at(self, schedules: bool = True) -> float | None:
        """Tell when the next thing comes, None when nothing does."""
        jobs = (row for row in self._tables.of("jobs") if State(row["status"]) not in FINAL)
        times = [row["due_at"] for row in jobs if row["due_at"] is not None and row["due_at"] > self._seconds]
        plans = (row["next_run"] for row in self._tables.of("schedules") if row["enabled"] and schedules)
        return earliest(*times, *(at.timestamp() for at in plans if at is not None))

    def _wait_for(self, job_id: str) -> None:
        self.run()
        job = self.job(job_id)
        if job.ended:
            return
        when = f" until {job.due_at.isoformat()}" if job.due_at else ""
        raise NotEnded(
            f"job {job_id} has not ended: it is {job.status}{when}, and it is {self.now.isoformat()}; let time pass "
            f"by advance() or finish(): {job}{_last_words(job)}"
        )

    def _refuse_inside(self) -> None:
        if self._worker.is_busy:
            raise JobPlatformError("a job cannot run others from inside; let the test do that")

    def _job(self, row: Mapping[str, Any]) -> Job:
        job_id = row["job_id"]
        runs = [run for run in self._tables.of("executions") if run["job_id"] == job_id]
        reasons = [each["reason"] for each in self._tables.of("decisions") if each["job_id"] == job_id]
        after = [edge["of"] for edge in self._tables.of("edges") if edge["job_id"] == job_id]
        dead = row["status"] == State.FAILED and any(key[0] == job_id for key in self._tables.rows["dead_letters"])
        return job_of(row, self._names, runs, reasons, after, dead)

    def _names(self, job_type: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        declared = getattr(self.app.tasks.get(job_type), "job", None)
        return kwargs if declared is None else declared.signature.named(args, kwargs)


def _no_wait(seconds: float) -> None:
    """Wait for nothing: whoever writes news is this process."""


def _name_of(job_type: Any) -> str:
    return job_type if isinstance(job_type, str) else str(job_type.name)


def _id_of(job: Any) -> str:
    return job_id_of(job if isinstance(job, str) else job.id)


def _last_words(job: Job) -> str:
    return f"; its last error is {job.error_type}: {job.error_message}" if job.error_type else ""
