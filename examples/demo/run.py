"""Run the demo: start everything, submit, watch, check, stop everything."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from examples.demo import queries, sources, summary
from examples.demo.analysis import error_of
from examples.demo.progress import Display, snapshot
from examples.demo.summary import DeadLetter, Plan, Row, Summary
from jobplatform import batch
from jobplatform.devstack.stack import DevStack, read_running
from jobplatform.devstack.supervisor import Supervisor, stop_on_signals
from jobplatform.devstack.up import process_specs
from jobplatform.jobs.batch import Batch
from jobplatform.settings import load_settings
from jobplatform.store import search
from jobplatform.store.database import Database
from jobplatform.store.listing import JobFilter
from jobplatform.store.migrate import upgrade
from jobplatform.tally import Progress

FLAKY_JOBS = 12
_POLL_SECONDS = 0.25
_RESULT_SECONDS = 10.0
_NEEDED = ("worker", "controller")
_STOP_SECONDS = 10.0
_LAG_SECONDS = 2.0
_WHOLE_RUN = 86_400.0


class DemoError(Exception):
    """The demo could not come to its end."""


class DemoStoppedError(DemoError):
    """Somebody wants the demo to stop."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    :param limit: the files to read besides the broken ones; None is all of them.
    :param seconds: the longest that the whole run may take.
    """

    directory: Path
    limit: int | None
    concurrency: int
    seconds: float


class Watch:
    """Look at the rows until they say what is waited for."""

    def __init__(self, database: Database, display: Display, stop: threading.Event, deadline: float) -> None:
        self.database = database
        self._display = display
        self._stop = stop
        self._deadline = deadline

    def until_all_final(self, what: str, batch: Batch, also: Callable[[], bool]) -> None:
        """Show how far the jobs are until every row is in a final state.

        :param also: asked whether all jobs are there.
        :raises DemoError: when that takes too long; DemoStoppedError when the demo is to stop.
        """
        while True:
            all_there = also()
            with self.database.session() as session:
                now = snapshot(queries.states(session), queries.lag(session, _LAG_SECONDS), batch.progress())
            self._display.show(now)
            if all_there and now.finished == now.jobs:
                return
            if time.monotonic() > self._deadline:
                raise DemoError(f"{what}: {now.jobs - now.finished} of {now.jobs} jobs are not final in time")
            if self._stop.wait(_POLL_SECONDS):
                raise DemoStoppedError("interrupted")


def run(options: Options, display: Display) -> Summary:
    """Run the demo and return its summary; nothing that it started is left, whatever happens.

    :raises DemoError: when it cannot come to its end.
    """
    started = time.monotonic()
    display.say("starting PostgreSQL, Redis, a worker and a controller")
    options.directory.mkdir(parents=True, exist_ok=True)
    with stop_on_signals() as stop:
        with display, _fresh_stack(options.directory / "stack") as stack:
            result, family = _run_on(stack, options, display, stop, started + options.seconds)
        result.processes_left = len(psutil.wait_procs(family, timeout=_STOP_SECONDS)[1])
    result.seconds = round(time.monotonic() - started, 1)
    return result


@contextmanager
def _fresh_stack(directory: Path) -> Iterator[DevStack]:
    """Give an empty stack of our own, whatever the environment names, and erase it at the end."""
    if running := read_running(directory):
        raise DemoError(f"a demo already runs in {directory} (process {running.pid}); wait for it, or give --dir")
    stack = DevStack(directory)
    stack.erase()
    try:
        stack.start()
        yield stack
    finally:
        stack.erase()


def _run_on(
    stack: DevStack, options: Options, display: Display, stop: threading.Event, deadline: float
) -> tuple[Summary, list[psutil.Process]]:
    _point_to(stack.environment())
    database = Database(load_settings(os.environ), pool_size=2)
    try:
        upgrade(database)
        with _processes(options):
            watch = Watch(database, display, stop, deadline)
            plan, progress = _work(watch, options, display)
            display.say("all jobs are final: checking the rows, then stopping what was started")
            return _check(database, plan, progress, options), psutil.Process().children(recursive=True)
    finally:
        database.close()


def _point_to(stack: Mapping[str, str]) -> None:
    """Make this process and those that it starts use the stack, and no setting of the user's own platform."""
    for name in [name for name in os.environ if name.startswith("JOBPLATFORM_")]:
        del os.environ[name]
    os.environ.update(stack, JOBPLATFORM_IMPORTS="examples.demo.jobs")


@contextmanager
def _processes(options: Options) -> Iterator[None]:
    """Keep a worker and a controller running, their logs in a file."""
    specs = [spec for spec in process_specs(os.environ, concurrency=options.concurrency) if spec.name in _NEEDED]
    done = threading.Event()
    with (options.directory / "processes.log").open("w", encoding="utf-8") as log:
        supervisor = Supervisor(specs, log, _STOP_SECONDS)
        thread = threading.Thread(target=supervisor.run, args=(done,), name="supervisor")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _work(watch: Watch, options: Options, display: Display) -> tuple[Plan, Progress]:
    """Submit the jobs, wait for them, and return what was submitted, and what its batch has counted."""
    # Imported here, since the application reads the environment when it is imported.
    from examples.demo import jobs
    from jobplatform.celery import app

    app.set_current()
    place = str(options.directory)
    display.say(f"a job finds the files and adds one for each to its batch; {FLAKY_JOBS} others fail at first")
    flaky = {jobs.flaky.submit(failures).id: failures for failures in _failures()}
    with batch("the standard library", on_complete=jobs.conclude.s("{batch}", place)) as files:
        discover = files.add(jobs.discover, place, options.limit)
    # The batch calls conclude, which submits a workflow, the last job of which is the report.
    watch.until_all_final("files and report", files, lambda: _job_of_type(watch.database, "demo.report") is not None)
    parse = _returned(discover, "demo.discover")
    conclude = app.AsyncResult(_job_of_type(watch.database, "demo.conclude"))
    workflow = _returned(conclude, "demo.conclude")
    _returned(app.AsyncResult(workflow["demo.report"]), "demo.report")
    return Plan(discover.id, conclude.id, workflow, flaky, frozenset(parse)), files.progress()


def _job_of_type(database: Database, job_type: str) -> str | None:
    with database.session() as session:
        found = search.find(session, JobFilter(job_type=job_type), limit=1).rows
    return found[0]["job_id"] if found else None


def _returned(result: Any, name: str) -> Any:
    """Give what a job returned, as any client of Celery reads it."""
    value = result.get(timeout=_RESULT_SECONDS, propagate=False)
    if not result.successful():
        raise DemoError(f"{name} did not succeed: {value!r}")
    return value


def _failures() -> Iterator[int]:
    return (1 + number % 2 for number in range(FLAKY_JOBS))


def _check(database: Database, plan: Plan, counts: Progress, options: Options) -> Summary:
    """Compare the rows with what was submitted and with the files themselves."""
    with database.session() as session:
        rows, letters = queries.outcomes(session), queries.dead_letters(session)
        lag = queries.lag(session, _WHOLE_RUN)
    lost = summary.lost(plan, rows)
    wrong = summary.problems(plan, rows, letters, _real_errors(letters))
    found = len(sources.find(options.directory, options.limit))
    if found != len(plan.parse):
        wrong.append(f"{found} files were found and {len(plan.parse)} jobs submitted")
    # The job that found the files is of the batch as well.
    wrong += summary.wrong_batch(counts, rows, len(plan.parse) + 1)
    return Summary(
        jobs=len(rows),
        attempts=sum(row["executions"] for row in rows),
        retries=sum(row["retry_count"] for row in rows),
        dead_letters=len(letters),
        lost=len(lost),
        jobs_per_s=summary.jobs_per_s(rows),
        lag_p50_ms=round(lag["p50_ms"], 1),
        lag_p99_ms=round(lag["p99_ms"], 1),
        batch=summary.tell_batch(counts),
        workflow=summary.tell_workflow(plan),
        seconds=0.0,
        report=str(options.directory / "report.html"),
        csv=str(options.directory / "files.csv"),
        letters=[_letter(row) for row in letters],
        problems=[*(f"lost: {job_id}" for job_id in lost), *wrong],
    )


def _real_errors(letters: Sequence[Row]) -> dict[str, str]:
    """Parse the files that were given up once more, here, and return their errors by path."""
    paths = {row["path"] for row in letters if row["path"]}
    errors = {path: error_of(Path(path).read_bytes(), path) for path in paths}
    return {path: error for path, error in errors.items() if error}


def _letter(row: Row) -> DeadLetter:
    file = sources.name_of(row["path"]) if row["path"] else row["job_id"]
    return DeadLetter(file, row["error_type"], row["error_message"], row["reason"])
