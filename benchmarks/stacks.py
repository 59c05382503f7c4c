"""The servers that everything is measured on, what is asked of them, and what empties them between rounds."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis

from benchmarks.apps.scratch import SCRATCH_ENV
from benchmarks.contenders import Contender
from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings
from jobplatform.store import migrate
from jobplatform.store.database import Database
from jobplatform.transport import keys

QUEUE = "celery"
#: A queue that no worker takes.
WAITING = "waiting"
#: Where our tables lie, but for the ones with a history.
SCHEMA = "bench"
NOOP = "benchmarks.apps.work.noop"
_SCRATCH_DATABASE = 15


class BenchmarkError(Exception):
    """A benchmark could not be run, or what it ran went wrong."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0, poll: float = 0.02) -> None:
    """Return once a condition holds.

    :raises BenchmarkError: when it does not within some seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{what}: not within {seconds:g} s")
        time.sleep(poll)


class Bench:
    """One PostgreSQL and one Redis, both durable, for all contenders.

    :param stack: running servers that hold nothing of value.
    """

    def __init__(self, stack: DevStack) -> None:
        self.database_url = stack.database_url
        self.redis_url = stack.redis_url
        self.scratch_url = f"{stack.redis_url.rpartition('/')[0]}/{_SCRATCH_DATABASE}"
        self.servers = {"redis": stack.redis.pid, "postgres": stack.postgres.pid}
        #: More settings of our processes.
        self.settings: dict[str, str] = {}
        self.logs = stack.directory / "logs"
        self.logs.mkdir()
        self.redis: Any = redis.Redis.from_url(self.redis_url)
        self.scratch: Any = redis.Redis.from_url(self.scratch_url)
        self.postgres = psycopg2.connect(self.database_url)
        self.postgres.autocommit = True

    def environment(self, contender: Contender, schema: str = SCHEMA) -> dict[str, str]:
        """Give the whole environment of a contender's processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBPLATFORM_")}
        ours = {
            "JOBPLATFORM_IMPORTS": contender.module,
            "JOBPLATFORM_SCHEMA": schema,
            "JOBPLATFORM_QUEUES": f"{QUEUE},{WAITING}",
        }
        urls = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, SCRATCH_ENV: self.scratch_url}
        return {**kept, **urls, **({**ours, **self.settings} if contender.durable else {})}

    def migrate(self, schema: str) -> None:
        """Make our tables in a schema."""
        database = Database(Settings(database_url=self.database_url, schema=schema))
        migrate.upgrade(database)
        database.close()

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows, if it has any."""
        with self.postgres.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def wipe(self, schema: str = SCHEMA, history: bool = False) -> None:
        """Empty Redis and the tables, and let PostgreSQL do its housekeeping now.

        :param history: keep the rows of jobs that no contender ran.
        """
        self.redis.flushall()
        if history:
            self.query(f"delete from {schema}.jobs where job_type = %s", NOOP)
            for table in ("jobs", "job_executions"):
                self.query(f"vacuum (analyze) {schema}.{table}")
        else:
            # No vacuum here: PostgreSQL would plan for tables that stay empty, as it never does for new ones.
            self.query(f"truncate {schema}.jobs cascade")
        self.query("drop table if exists celery_taskmeta, celery_tasksetmeta")
        self.query("checkpoint")

    def is_drained(self) -> bool:
        """Tell whether no message is queued or held by a worker."""
        pipe = self.redis.pipeline(transaction=False).llen(QUEUE).exists(keys.lanes(QUEUE)).hlen("unacked")
        return not any(pipe.execute())

    def unfinished(self, schema: str = SCHEMA) -> int:
        """Count the rows of jobs that wait or run."""
        return int(self.query(f"select count(*) from {schema}.jobs where status in ('PENDING', 'PROCESSING')")[0][0])

    def count_rows(self, status: str, schema: str = SCHEMA) -> int:
        """Count the rows of jobs in one state."""
        return int(self.query(f"select count(*) from {schema}.jobs where status = %s", status)[0][0])

    def close(self) -> None:
        """Close the connections."""
        self.postgres.close()
        self.redis.close()
        self.scratch.close()


@contextmanager
def open_bench() -> Iterator[Bench]:
    """Start servers of our own in a temporary directory and leave nothing of them behind."""
    # The environment is not asked: its servers may hold what must not be wiped.
    stack = DevStack(Path(tempfile.mkdtemp(prefix="benchmark-")), Settings())
    try:
        stack.start()
        bench = Bench(stack)
        bench.migrate(SCHEMA)
        yield bench
        bench.close()
    finally:
        stack.erase()


def say(text: str) -> None:
    """Tell the user how far the run is."""
    print(text, file=sys.stderr, flush=True)
