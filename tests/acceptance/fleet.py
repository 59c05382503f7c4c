"""Real workers and a controller on the run's own stack, a client of theirs, and the rows that they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import fresh_schemas
import psutil
import redis
from celery import Celery
from kombu import pools
from nursery import nursery
from processes import eventually

from jobplatform.devstack.spawn import spawn
from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.attach import attach
from jobplatform.settings import Settings, load_settings
from jobplatform.states import FINAL
from jobplatform.store import migrate
from jobplatform.store.database import Database
from jobplatform.workers.local_fleet import tree_of
from jobplatform.workers.nursery import Seedling

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TAIL_LINES = 40


class Process:
    """One of our programs as a child process, with its output in a file; it does not outlive us.

    :param grown: whether a module begins as a fork of the nursery instead of a process that imports everything.
    """

    popen: subprocess.Popen[bytes] | Seedling

    def __init__(self, arguments: Sequence[str], log: Path, env: Mapping[str, str], grown: bool) -> None:
        self.log = log
        if grown and arguments[0] == "-m":
            self.popen = nursery().start(arguments[1], arguments[2:], env, ROOT, log)
        else:
            with log.open("ab") as output:
                self.popen = spawn([sys.executable, *arguments], signal.SIGKILL, env=env, cwd=ROOT, stdout=output)

    @property
    def pid(self) -> int:
        """The process id, which the program keeps from start to end."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.popen.poll() is None

    def says(self, text: str) -> bool:
        """Tell whether the process has written a text; one that ended without it never will."""
        found = text in self.log.read_text(errors="replace")
        assert found or self.running, f"{self.log.name}: ended with {self.popen.poll()} before {text!r}\n{self.tail()}"
        return found

    def tail(self) -> str:
        """Give the last lines that the process has written."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Send a signal, wait for the end, and leave none of its children behind; return the exit code."""
        if self.running:
            self.popen.send_signal(number)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill_group()
        self._kill_group()
        return self.popen.wait()

    def kill_tree(self) -> list[psutil.Process]:
        """Kill the process and all below it, as a machine that loses power does; return them."""
        tree = tree_of(self.pid)
        for each in tree:
            # Those of a pool end by themselves when their worker is gone.
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return tree

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class Fleet:
    """Workers, a controller and a client in a fresh schema, on an empty Redis; use it in a ``with`` block.

    :param directory: where the logs are written.
    :param imports: the modules of this directory that define the jobs.
    :param broker_options: of the client's connection to its broker.
    :param grown: whether the processes come from the nursery.
    :param environment: further variables for the processes; the platform's own also count for the client.
    """

    def __init__(
        self,
        stack: DevStack,
        directory: Path,
        imports: Iterable[str],
        broker_options: Mapping[str, Any] | None = None,
        grown: bool = True,
        **environment: str,
    ) -> None:
        self.stack = stack
        self.grown = grown
        self.directory = directory
        self.schema = fresh_schemas.of(stack, False).take()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("JOBPLATFORM_")},
            **stack.environment(),
            "PYTHONPATH": str(HERE),
            "JOBPLATFORM_SCHEMA": self.schema,
            "JOBPLATFORM_IMPORTS": ",".join(imports),
            "JOBPLATFORM_ORPHAN_GRACE_SECONDS": "2",
            # No retry waits for a time that was drawn to learn from.
            "JOBPLATFORM_RETRY_EXPLORE": "0",
            **environment,
        }
        self.settings: Settings = load_settings(self.environment)
        self.processes: list[Process] = []
        self.database = Database(self.settings)
        self.redis = redis.Redis.from_url(stack.redis_url)
        self.client = self._make_client(broker_options or {})

    def _make_client(self, broker_options: Mapping[str, Any]) -> Any:
        app = Celery("client", set_as_current=False)
        app.conf.broker_transport_options = dict(broker_options)
        return attach(app, self.settings)

    def __enter__(self) -> Fleet:
        self.redis.flushdb()
        if self.settings.database_url != self.stack.database_url:
            migrate.upgrade(self.database)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for process in reversed(self.processes):
                process.stop(signal.SIGKILL)
                print(f"--- {process.log.name}\n{process.tail()}")
            if error is not None:
                # Once more where a report that was cut to its end still has it.
                print(f"--- {error!r}")
        finally:
            self._close()

    def _close(self) -> None:
        self.client.jobplatform.close()
        self.client.close()
        # Applications with one broker share its connections, and a test may have ended the Redis behind them.
        pools.reset()
        self.redis.close()
        self.database.close()
        fresh_schemas.of(self.stack, False).give_back(self.schema)

    def python(self, *arguments: str, name: str, ahead: int = 0, **environment: str) -> Process:
        """Start a Python program in the fleet's environment.

        :param name: of its log.
        :param ahead: how many seconds its clock is wrong by.
        :param environment: variables that are its own.
        """
        if ahead:
            arguments = (str(HERE / "skewed.py"), str(ahead), *(part for part in arguments if part != "-m"))
        log = self.directory / f"{name}.log"
        made = Process(arguments, log, {**self.environment, **environment}, self.grown)
        self.processes.append(made)
        return made

    def start_worker(
        self, *options: str, name: str = "w1", app: str = "jobplatform", ahead: int = 0, **environment: str
    ) -> Process:
        """Start a worker and return when it is ready."""
        options = ("-n", f"{name}@%h", "-l", "INFO", *options)
        made = self.python("-m", "celery", "-A", app, "worker", *options, name=name, ahead=ahead, **environment)
        eventually(lambda: made.says(" ready."), 30, made.tail)
        return made

    def start_controller(self, app: str = "jobplatform", ahead: int = 0) -> Process:
        """Start a controller and return when it leads."""
        made = self.python("-m", "celery", "-A", app, "controller", name="controller", ahead=ahead)
        eventually(lambda: made.says("this controller leads"), 30, made.tail)
        return made

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a query, in which ``@`` stands before the name of each table of ours."""
        text = sql.replace("@", f"{self.settings.schema}.")
        found = self.database.once(
            lambda session: session.connection.exec_driver_sql(text, parameters).mappings().all()
        )
        return [dict(row) for row in found]

    def states(self) -> Counter[str]:
        """Count the jobs by state."""
        found = self.rows("select status, count(*) as jobs from @jobs group by status")
        return Counter({row["status"]: row["jobs"] for row in found})

    def wait_final(self, jobs: int, seconds: float) -> Counter[str]:
        """Return when so many jobs are there, all of them ended, and Redis holds nothing of them any more."""
        eventually(lambda: self._all_final(jobs), seconds, self.describe)
        return self.states()

    def _all_final(self, jobs: int) -> bool:
        states = self.states()
        return sum(states.values()) >= jobs and set(states) <= set(FINAL) and self.is_quiet()

    def describe(self) -> str:
        """Say where the jobs are."""
        queues = {name.decode(): self.redis.llen(name) for name in self.redis.scan_iter(_type="list")}
        leases, journal = self.redis.hlen("unacked"), self.redis.xlen("jp:journal")
        return f"{dict(self.states())}, lists {queues}, {leases} leases, {journal} journal entries"

    def is_quiet(self) -> bool:
        """Tell whether no lease is held and the journal is mirrored."""
        return not any((self.redis.hlen("unacked"), self.redis.xlen("jp:journal"), self.redis.xlen("jp:early")))
