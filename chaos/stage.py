"""One run: servers, processes and faults, until all is quiet; what it leaves is evidence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg2
import redis

from chaos import ledger
from chaos.crowd import TENANT_LIMIT
from chaos.evidence import Evidence
from chaos.faults import Faults
from chaos.fleet import ROOT, Fleet
from chaos.ledger import Pen
from chaos.plan import BEATS, CLIENTS, CONTROLLER, PARTIES, WORKERS, Fault, links
from chaos.rows import Stores, Watch
from chaos.timetable import Timetable
from jobplatform.devstack.spawn import spawn
from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings
from jobplatform.store import migrate
from jobplatform.store.database import Database

#: How long all may take to come to rest after the last fault, in seconds.
QUIET_SECONDS = 180.0
#: How long a fault may hold up the plan, before it is left out, in seconds.
HELD_SECONDS = 120.0
_TICK_SECONDS = 0.05
_TICKS_A_LOOK = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run was and left.

    :param quiet_seconds: from the end of load and faults until nothing was left to do; None when that never came.
    :param deaths: processes that ended though nobody had killed them, by name.
    :param troubles: errors that clients met other than that neither store took a job, with their counts.
    """

    evidence: Evidence
    quiet_seconds: float | None
    deaths: dict[str, int]
    troubles: dict[str, int]


class Stage:
    """The servers, the proxy and the fleet of one run.

    :param directory: where everything is kept.
    :param rate: jobs a second of all clients together.
    """

    def __init__(self, directory: Path, seed: int, rate: float) -> None:
        self.directory = directory
        self.ledger = directory / "ledger"
        self.logs = directory / "logs"
        # PostgreSQL may run as another user, and its data shall lie here too.
        directory.chmod(0o711)
        for made in (self.ledger, self.logs):
            made.mkdir()
        # The environment is not asked: its servers may hold what must not be harmed.
        self.stack = DevStack(directory / "stack", Settings())
        self.seed = seed
        self.rate = rate

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start everything but the load; leave no process behind."""
        self.stack.start()
        try:
            self.stores = Stores(self.stack.database_url, self.stack.redis_url)
            self._migrate()
            self.proxy = self._start_proxy()
            self.fleet = Fleet(self._environments(), self.logs, self.seed, self.rate)
            self.faults = Faults(self.fleet, self.stack, self.proxy)
            try:
                yield
            finally:
                self.fleet.kill()
                self.proxy.kill()
                self.proxy.wait()
        finally:
            self.stack.stop()

    def _migrate(self) -> None:
        database = Database(Settings(database_url=self.stack.database_url))
        migrate.upgrade(database)
        database.close()
        self.stores.query("create schema shop; create table shop.orders (token text primary key)")
        self.stores.query("insert into limits (name, slots) values ('key:tenant:*', %s)", (TENANT_LIMIT,))

    def _start_proxy(self) -> subprocess.Popen[bytes]:
        ports = {"redis": self.stack.redis.port, "postgres": self.stack.postgres.port}
        wanted = [f"{link}={ports[link.partition('.')[2]]}" for link in links()]
        argv = [sys.executable, "-m", "chaos.proxy", *wanted]
        return spawn(argv, signal.SIGKILL, cwd=ROOT, stdin=subprocess.PIPE)

    def _environments(self) -> dict[str, dict[str, str]]:
        """Give the environment of each party, whose URLs lead through its own links."""
        assert self.proxy.stdout is not None
        ports = json.loads(self.proxy.stdout.readline())
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBPLATFORM_")}
        shared = {"JOBPLATFORM_IMPORTS": "chaos.jobs", ledger.DIRECTORY: str(self.ledger), "PYTHONUNBUFFERED": "1"}
        redis_port, postgres_port = f":{self.stack.redis.port}/", f":{self.stack.postgres.port}/"
        return {
            party: {
                **kept,
                **shared,
                "REDIS_URL": self.stack.redis_url.replace(redis_port, f":{ports[f'{party}.redis']}/"),
                "DATABASE_URL": self.stack.database_url.replace(postgres_port, f":{ports[f'{party}.postgres']}/"),
            }
            for party in PARTIES
        }

    def play(self, faults: Sequence[Fault], seconds: float) -> Outcome:
        """Run the load and the faults for some seconds, and wait until all is quiet."""
        self.fleet.start([CONTROLLER, *WORKERS, *BEATS])
        timetable = Timetable(self.stores, Pen(self.ledger, "timetable"))
        timetable.begin()
        self._settle(self.stores.has_limits)
        with Watch(self.stores) as watch:
            self.fleet.start(CLIENTS)
            self._drive(faults, seconds)
            self.fleet.stop(CLIENTS)
            quiet = self._settle(lambda: timetable.end() and self._is_quiet())
        deaths = {name: program.deaths for name, program in self.fleet.programs.items() if program.deaths}
        remains = self.stores.remains()
        self.fleet.stop([*WORKERS, CONTROLLER, *BEATS])
        self._note_events()
        noted = ledger.read(self.ledger)
        evidence = Evidence(
            noted.promises, noted.intents, noted.runs, self.fleet.lives(), self.faults.strikes, self.stores.jobs(),
            self.stores.completed_twice(), self.stores.orders(), watch.samples, remains, timetable.schedules,
            self.stores.batches(), frozenset(noted.closed),
        )  # fmt: skip
        return Outcome(evidence, quiet, deaths, dict(noted.troubles))

    def _note_events(self) -> None:
        """Write what happened to the processes beside the ledger, for whoever looks at a run that went wrong."""
        strikes, lives = map(asdict, self.faults.strikes), map(asdict, self.fleet.lives())
        events = {"strikes": list(strikes), "lives": list(lives)}
        (self.directory / "events.json").write_text(json.dumps(events, indent=1))

    def _drive(self, faults: Sequence[Fault], seconds: float) -> None:
        waiting, began, held = deque(faults), time.monotonic(), 0.0
        while (elapsed := time.monotonic() - began) < seconds:
            while waiting and waiting[0].at <= elapsed and (held > HELD_SECONDS or self.faults.begin(waiting[0])):
                waiting.popleft()
                held = 0.0
            if waiting and waiting[0].at < elapsed:
                # What finds nothing to hit yet holds up the plan, whose gaps stay as they are.
                held += elapsed - waiting[0].at
                began += elapsed - waiting[0].at
            self._tend()
        while self.faults.tend(hurry=True):
            self._tend()

    def _tend(self) -> None:
        self.faults.tend()
        self.fleet.tend()
        time.sleep(_TICK_SECONDS)

    def _settle(self, is_over: Callable[[], bool]) -> float | None:
        """Wait until something is over; return how long that took, in seconds."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < QUIET_SECONDS:
            with suppress(psycopg2.Error, redis.RedisError, OSError):
                if is_over():
                    return elapsed
            for _ in range(_TICKS_A_LOOK):
                self._tend()
        return None

    def _is_quiet(self) -> bool:
        """Tell whether no job is open and the stores are clean, but for what was quarantined."""
        return not self.stores.remains().keys() - {"quarantined entries"}
