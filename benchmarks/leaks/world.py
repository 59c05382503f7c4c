"""A controller that keeps a fleet of workers, a client that submits, and what they leave in rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis
from celery import Celery

from benchmarks.leaks.jobs import MIB
from benchmarks.leaks.limit import MemoryLimit
from benchmarks.stacks import Bench, BenchmarkError, wait_until
from jobplatform.devstack.spawn import spawn
from jobplatform.jobs.attach import attach
from jobplatform.settings import Settings, load_settings
from jobplatform.store.database import Database
from jobplatform.workers.fleet import Member
from jobplatform.workers.local_fleet import tree_of
from jobplatform.workers.roll import Roll

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 3
#: What a worker with its processes may take; when it has begun it takes a third of that.
LIMIT = 480 * MIB
JOBS = "benchmarks.leaks.jobs"
_START_SECONDS, _STOP_SECONDS, _END_SECONDS = 60.0, 45.0, 120.0
_DATABASES = 14
_COUNTED = ("burned", "deaths", "again")


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the jobs of a run.

    :param lost: those that did not complete.
    :param burned: retries that were used up.
    :param deaths: of processes that ran a job; the third is a job's last.
    :param again: runs beyond the first of each.
    """

    submitted: int
    lost: int
    burned: int
    deaths: int
    again: int


class World:
    """The processes of one run, with tables and a Redis database of their own; use it in a ``with`` block.

    Settings are the default ones, but that there is a fleet, and a limit of memory.

    :param number: of the run, from 0.
    """

    def __init__(self, bench: Bench, number: int) -> None:
        self.schema = f"leaks{number}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBPLATFORM_")}
        self.env = {
            **kept,
            "DATABASE_URL": bench.database_url,
            "REDIS_URL": f"{bench.redis_url.rpartition('/')[0]}/{1 + number % _DATABASES}",
            "JOBPLATFORM_SCHEMA": self.schema,
            "JOBPLATFORM_IMPORTS": JOBS,
            "JOBPLATFORM_FLEET": "local",
            "JOBPLATFORM_FLEET_MIN": str(WORKERS),
            "JOBPLATFORM_FLEET_AT_EXIT": "drain",
            "JOBPLATFORM_WORKER_MEMORY": str(LIMIT),
        }
        self.settings: Settings = load_settings(self.env)
        self.log = bench.logs / f"{self.schema}.log"
        bench.migrate(self.schema)
        self.database = Database(self.settings)
        self.redis: Any = redis.Redis.from_url(self.settings.redis_url)
        self.client = attach(Celery(self.schema, set_as_current=False), self.settings)
        self.roll = Roll(self.database, self.redis, self.settings.stale_seconds)
        self.limit = MemoryLimit(LIMIT, lambda: list(self.seen))
        #: All workers that were ever seen, by main process.
        self.seen: dict[int, Member] = {}
        #: The seconds for which each of them was heard.
        self.heard: dict[str, float] = {}
        self._looked_at = time.monotonic()
        self._controller: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> World:
        self.redis.flushdb()
        argv = [sys.executable, "-m", "celery", "-A", "jobplatform", "controller", "-l", "INFO"]
        with self.log.open("wb") as output:
            self._controller = spawn(argv, signal.SIGTERM, env=self.env, cwd=ROOT, stdout=output)
        self.limit.__enter__()
        self.wait(lambda: self.working() == WORKERS, "the workers take jobs", _START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._controller is not None
        self._controller.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._controller.wait(_STOP_SECONDS)
        self.limit.__exit__()
        for pid in [self._controller.pid, *self.seen]:
            for process in tree_of(pid):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._controller.wait()
        self.client.jobplatform.close()
        self.client.close()
        self.redis.close()
        self.database.close()

    def members(self) -> list[Member]:
        """List the workers that live, and note them."""
        now = time.monotonic()
        found = [member for member in self.roll.members() if tree_of(member.pid)]
        for member in found:
            self.seen[member.pid or 0] = member
            self.heard[member.name] = self.heard.get(member.name, 0.0) + now - self._looked_at
        self._looked_at = now
        return found

    def working(self) -> int:
        """Count the workers that take jobs."""
        return sum(member.takes for member in self.members())

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = _END_SECONDS) -> None:
        """Return once a condition holds; the workers are looked at meanwhile.

        :raises BenchmarkError: when it does not within some seconds.
        """
        wait_until(lambda: bool(self.members()) and condition(), f"{self.schema}: {what}", seconds, 0.2)

    def rows(self, sql: str) -> list[Mapping[str, Any]]:
        """Run a query, in which ``@`` stands before the name of each table of ours."""
        text = sql.replace("@", f"{self.schema}.")
        with self.database.session() as session:
            return [dict(row) for row in session.connection.exec_driver_sql(text).mappings()]

    def replacements(self) -> Sequence[Mapping[str, Any]]:
        """List the replacements, the first one first."""
        return self.rows("select * from @replacements order by replacement_id")

    def accused(self, victim: str) -> int:
        """Count the workers that were replaced, or found failing so surely that they would be in their turn.

        :param victim: who is left out, as that is right.
        """
        sure = "v.verdict = 'failing' and v.confidence > 0.8 and (v.features->>'in_a_row')::int > 1"
        judged = f"select w.name from @verdicts v join @workers w using (worker_id) where {sure}"
        found = self.rows(f"select name from @replacements where asked_by <> '' union {judged}")
        return sum(row["name"] != victim for row in found)

    def wait_for_jobs(self, submitted: int) -> Tally:
        """Return when all jobs have ended, with what became of them; one that never ends is lost."""
        ended = "select count(*) as jobs from @jobs where status in ('COMPLETED', 'FAILED', 'CANCELLED')"
        with suppress(BenchmarkError):
            self.wait(lambda: self.rows(ended)[0]["jobs"] >= submitted, "all jobs have ended")
        (found,) = self.rows(
            "select count(*) filter (where status = 'COMPLETED') as done, "
            "coalesce(sum(retry_count), 0) as burned, coalesce(sum(deaths), 0) as deaths, "
            "coalesce(sum(attempt - 1), 0) as again from @jobs"
        )
        return Tally(submitted, submitted - int(found["done"]), *(int(found[name]) for name in _COUNTED))
