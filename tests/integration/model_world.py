"""The platform of the model: real stores, workers and clients, and the controller's services, all run by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import redis
from model_story import Hold, Job, Story
from model_worker import Worker
from queues import QUEUE
from sqlalchemy import event

from jobplatform.jobs.retry import decide
from jobplatform.jobs.submission import message_of, submit
from jobplatform.journal.mirror import EARLY, JOURNAL, Mirror
from jobplatform.journal.writer import connect
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.maintenance.early_news import EarlyNews
from jobplatform.maintenance.orphans import OrphanFinder
from jobplatform.maintenance.releaser import Releaser
from jobplatform.maintenance.roster import Roster
from jobplatform.records import NewJob
from jobplatform.settings import Settings
from jobplatform.store import jobs as job_rows
from jobplatform.store import migrate, new_jobs
from jobplatform.store.database import Database
from jobplatform.transport import keys, scripts
from jobplatform.transport.keeper import Keeper
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import MaybePushed, Publisher
from jobplatform.transport.rescue import rescue

#: A step takes so long for those who measure time; Redis loses the writes of less than 2.5 s.
STEP_SECONDS = 0.1
LOSABLE_STEPS = 20
_GRACE = 10.0
_STALE = 30.0
_LONG_SECONDS = 3_600.0
_RULE = {"base": 20.0, "jitter": False}
_SCRIPTS = (scripts.ACQUIRE, scripts.BEAT, scripts.COMMIT, scripts.PUSH, scripts.RESCUE)


class Died(Exception):
    """A process ended where a test wanted it to."""


class Pusher:
    """The dispatcher's publisher, whose ``fate`` is to be heard, to be unheard, away or to die at some point."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.fate = "heard"

    def ping(self) -> None:
        self.publisher.ping()

    def fence(self, attempts: Mapping[str, int]) -> None:
        self.publisher.fence(attempts)
        if self.fate == "dies in its transaction":
            raise Died

    def push_many(self, messages: Iterable[Message], *, first: bool = False) -> int:
        if self.fate == "dies before it pushes":
            raise Died
        if self.fate == "away":
            raise redis.ConnectionError("Redis is away")
        count = self.publisher.push_many(messages, first=first)
        if self.fate == "unheard" and count:
            raise MaybePushed("the reply got lost")
        return count


class World:
    """Everything that one example plays with; the stores outlive it.

    :param url: of a Redis that nobody else uses.
    """

    def __init__(self, settings: Settings) -> None:
        self.client = connect(settings.redis_url)
        self.database = Database(settings)
        event.listen(self.database.engine, "connect", _hurry)
        migrate.upgrade(self.database)
        self.publisher = Publisher(settings.redis_url, 5.0)
        self.pusher = Pusher(self.publisher)
        self.in_worker_publisher = Publisher(settings.redis_url, 5.0)
        self.mirror = Mirror(self.client, self.database, decide, lambda seconds: None, 100, block_seconds=0.001)
        self.dispatcher = Dispatcher(self.database, self.pusher, 100, 0.1)
        self.early = EarlyNews(self.database, self.client, wait_seconds=_LONG_SECONDS)
        self.releaser = Releaser(self.database, ask_workers=False)
        self.roster = Roster(self.database, self.client, _STALE)
        self.raw = self.database.engine.raw_connection()
        self.raw.driver_connection.autocommit = True
        self.begin()

    def begin(self) -> None:
        """Empty the stores, and begin a new example."""
        self.client.flushall()
        for script in _SCRIPTS:
            self.client.script_load(script.text)
        for table in ("jobs", "dead_letter_jobs", "workers", "journal_quarantine"):
            self.sql(f"delete from {self._table(table)}")
        self.client.set(keys.CANARY, "seen")
        self.story = Story()
        self.offset = timedelta()
        self.lives = 0
        self.retired: list[Worker] = []
        self.workers = {name: self._new_worker(name) for name in "ABC"}
        self.finder = OrphanFinder(self.database, self.client, _GRACE)
        self.keeper = Keeper(self.in_worker_publisher._ask, self.clock, watch=False)
        self.in_worker_publisher._keeper = self.keeper
        self.late: dict[str, Message] = {}
        self.snapshot: tuple[int, dict[bytes, bytes]] | None = None
        self.seen: dict[bytes, int] = {}

    def close(self) -> None:
        self.raw.close()
        self.publisher.close()
        self.in_worker_publisher.close()
        self.client.close()
        self.database.close()

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with self.raw.driver_connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []

    def clock(self) -> float:
        """Monotonic seconds."""
        return self.story.step * STEP_SECONDS

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def _new_worker(self, name: str) -> Worker:
        self.lives += 1
        worker = Worker(f"{name}{self.lives}", self.client, self.clock)
        worker.beat(self.story.step)
        self.roster.run_once(self.now)
        worker.known = True
        return worker

    # Clients

    def new_job(self, job: Job) -> NewJob:
        return NewJob(
            job.job_id, "t.job", '{"args":[],"kwargs":{}}', QUEUE, job.priority, max_retries=2,
            enqueued_at=self.now.timestamp(), retry_rule=_RULE,
        )  # fmt: skip

    def submit(self, job: Job, how: str) -> None:
        new = self.new_job(job)
        if how == "dies before the push":
            with self.database.transaction() as transaction:
                new_jobs.insert_one(transaction, new)
            self.late[job.job_id] = message_of(new)
            job.astray = True
            return
        in_worker = how == "through the journal"
        publisher = self.in_worker_publisher if in_worker else self.publisher

        def publish(new: NewJob, entry: str) -> None:
            if how == "away":
                raise redis.ConnectionError("Redis is away")
            publisher.push(message_of(new), entry)
            if how == "unheard":
                raise MaybePushed("the reply got lost")

        platform: Any = SimpleNamespace(in_worker=in_worker, database=self.database, publisher=publisher)
        submit(platform, new, publish)
        job.doubted = how == "unheard"

    def push_late(self, job: Job) -> None:
        self.publisher.push(self.late.pop(job.job_id))
        job.doubted = job.doubted or job.shown[0] > 1

    def cancel(self, job: Job) -> bool:
        with self.database.transaction() as transaction:
            done = bool(job_rows.cancel(transaction, [job.job_id], "not wanted"))
        if done:
            self.story.release(job)
        return done

    def replay(self, job: Job) -> bool:
        with self.database.transaction() as transaction:
            done = bool(job_rows.replay(transaction, [job.job_id]))
        if done:
            self.story.release(job)
            job.doubted, job.void_since = True, None
        return done

    # Workers

    def acquire(self, worker: Worker, count: int) -> list[Hold]:
        return [self.story.give(*found, worker.node, worker.known) for found in worker.acquire(count)]

    def acquire_unheard(self, worker: Worker, count: int) -> None:
        """Let a worker take messages and not hear of it; nobody renews such leases."""
        before = self._lease_tags()
        worker.line.fate = "unheard"
        with suppress(ConnectionError):
            worker.acquire(count)
        worker.line.fate = "heard"
        for tag in self._lease_tags() - before:
            self.client.zadd(keys.LEASE_TIMES, {tag: 1.0}, xx=True)

    def begin_run(self, worker: Worker, hold: Hold) -> bool:
        if not worker.may_begin(hold.tag, self.story.step):
            return False
        run = self.story.begin(hold, worker.beaten)
        worker.start(hold, run, self.now.timestamp())
        return True

    def silence(self, worker: Worker, dies: bool) -> None:
        """Let a worker say nothing for so long that its leases and its heartbeat are stale."""
        self.story.silence(worker.node, dies)
        worker.slept += _LONG_SECONDS
        worker.known = False
        prefix = f"{worker.node}:".encode()
        for tag in self.client.zrange(keys.LEASE_TIMES, 0, -1):
            if tag.startswith(prefix):
                self.client.zadd(keys.LEASE_TIMES, {tag: 1.0}, xx=True)
        said = self.client.hget(keys.WORKERS, worker.node)
        if said is not None:
            _, known, report = said.split(b" ", 2)
            self.client.hset(keys.WORKERS, worker.node, b"1.0 %b %b" % (min(known, b"1.0", key=float), report))
        seen = f"update {self._table('workers')} set last_seen_at = 'epoch' where worker_id = '{worker.node}'"
        self.sql(seen)
        self._keep_all()

    def replace(self, name: str) -> None:
        """Let a worker die, and another start in its place."""
        worker = self.workers[name]
        self.silence(worker, dies=True)
        self.retired.append(worker)
        self.workers[name] = self._new_worker(name)

    def end(self, name: str) -> None:
        """Let a worker end in order; what runs there is ended with it."""
        self.workers[name].end()
        for hold in self.story.holds.values():
            hold.ended = hold.ended or hold.node == self.workers[name].node
        self.replace(name)

    def delayed(self) -> list[Worker]:
        return [worker for worker in (*self.workers.values(), *self.retired) if worker.line.delayed]

    def settle(self, worker: Worker, hold: Hold, how: str) -> None:
        hold.job.failures += how in ("fails", "dies")
        hold.job.deaths += how == "dies"
        worker.settle(hold, how, self.now.timestamp())
        hold.ended = True

    def copy_roster(self) -> None:
        self.roster.run_once(self.now)
        alive = {node for (node,) in self.sql(f"select worker_id from {self._table('workers')} where status = 'alive'")}
        for worker in self.workers.values():
            worker.known = worker.node in alive

    def _table(self, name: str) -> str:
        return f'"{self.database.schema}".{name}'

    # The controller

    def rescue(self, limit: int = 100) -> None:
        before = self._lease_tags()
        rescue(self.client, _STALE, limit, watched=0)
        self.story.take(before - self._lease_tags())

    def _lease_tags(self) -> set[str]:
        return {tag.decode() for tag in self.client.hkeys(keys.LEASES)}

    def read_journal(self, batch: int = 100, dies: bool = False) -> bool:
        """Mirror once; one that dies does so between its commit and the deletion from the journal."""
        if not self.client.xlen(JOURNAL):
            return False
        self.mirror.batch = batch
        self.mirror.client = _Undeleting(self.client) if dies else self.client
        with suppress(Died):
            self.mirror.run_once(self.now)
        return True

    def read_whole_journal(self) -> None:
        while self.early.run_once(self.now)["journalled"] or self.read_journal():
            pass

    def dispatch(self, fate: str = "heard") -> bool:
        """Publish what is due; returns whether anything was."""
        now = self.now
        due = {self.story.jobs[job_id]: status for job_id, status, due in self.rows() if due and due <= now}
        self.pusher.fate = fate
        try:
            self.dispatcher.run_once(now)
        except (Died, redis.RedisError):
            for job, status in due.items():
                job.doubted = job.doubted or (fate == "unheard" and status != "CANCELLED")
                job.astray = job.astray or fate == "dies before it pushes"
        finally:
            self.pusher.fate = "heard"
        for job, status in due.items():
            if status == "CANCELLED" and job.void_since is None:
                job.void_since = self.story.step
        return bool(due)

    def rows(self) -> list[tuple[str, str, datetime | None]]:
        return self.sql(f"select job_id::text, status, due_at from {self._table('jobs')}")

    def look(self) -> None:
        self.finder.run_once(self.now)

    def release(self) -> None:
        self.releaser.run_once(self.now)

    def pass_time(self) -> None:
        """Let so much time pass that whatever waits for a time is due."""
        self.offset += timedelta(seconds=_LONG_SECONDS)
        self._keep_all()

    # Redis

    def note_journal(self, ids: Iterable[bytes]) -> None:
        """Remember since when each entry waits to be mirrored."""
        self.seen = {stream_id: self.seen.get(stream_id, self.story.step) for stream_id in ids}

    def _keep_all(self) -> None:
        """What was written up to here Redis does not lose; only what it holds when it is emptied."""
        self.snapshot = None
        self.seen = dict.fromkeys(self.seen, -LOSABLE_STEPS)

    def empty(self) -> None:
        """Let Redis forget everything; the mirror has kept up but for the last seconds."""
        if self.client.exists(EARLY) or any(self.story.step - seen >= LOSABLE_STEPS for seen in self.seen.values()):
            self.keeper.look()
            self.read_whole_journal()
        self.client.flushall()
        self.snapshot = None
        self.story.forget(rolled_back=False)

    def remember(self) -> None:
        """Take note of all that Redis holds, as its file does."""
        names = self.client.keys("*")
        with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.dump(name)
            self.snapshot = self.story.step, dict(zip(names, pipe.execute(), strict=True))

    def may_roll_back(self) -> bool:
        return self.snapshot is not None and self.story.step - self.snapshot[0] < LOSABLE_STEPS

    def roll_back(self) -> None:
        """Let Redis come back without its last writes."""
        assert self.snapshot is not None
        with self.client.pipeline(transaction=True) as pipe:
            pipe.flushall()
            for name, value in self.snapshot[1].items():
                pipe.restore(name, 0, value)
            pipe.execute()
        self.snapshot = None
        self.story.forget(rolled_back=True)

    def expire_marks(self) -> None:
        """Let a day pass: nobody remembers what was taken, nor which messages do not count; none of those is left."""
        self.pass_time()
        self.late.clear()
        for worker in (*self.workers.values(), *self.retired):
            worker.line.delayed.clear()
        for worker in self.workers.values():
            self._tell_all(worker)
            for hold in self._given_up(worker):
                hold.ended = True
                worker.ledger.settle(hold.tag)
            worker.commit()
        taken = self.client.keys(f"{keys.TAKEN}*")
        if taken:
            self.client.delete(*taken)
        for hold in self.story.holds.values():
            hold.taken = False

    def _given_up(self, worker: Worker) -> list[Hold]:
        held = [self.story.holds[tag] for tag in worker.ledger.held]
        return [hold for hold in held if not self.client.hexists(keys.LEASES, hold.tag)]

    def _tell_all(self, worker: Worker) -> None:
        for _ in range(2):
            worker.commit()
            worker.beat(self.story.step)

    # The end

    def tend(self) -> None:
        """Let every part that lives do its work once."""
        self.keeper.look()
        for worker in self.workers.values():
            self._tell_all(worker)
        self.copy_roster()
        self._rescue_what_nobody_holds()
        self.read_whole_journal()
        self.pass_time()
        self.release()
        self.look()
        while self.dispatch():
            pass
        self.story.step += 1

    def _rescue_what_nobody_holds(self) -> None:
        held = {tag for worker in self.workers.values() for tag in worker.ledger.held}
        silent = dict.fromkeys(self._lease_tags() - held, 1.0)
        if silent:
            self.client.zadd(keys.LEASE_TIMES, silent, xx=True)
            self.rescue()

    def stop_all(self) -> None:
        """Let what is on its way arrive, what runs complete, and what only waits in workers go back."""
        self.late.clear()
        for worker in self.delayed():
            while worker.line.delayed:
                worker.line.arrive()
        for worker in self.workers.values():
            for tag in list(worker.ledger.held):
                if self.story.holds[tag].runs:
                    self.settle(worker, self.story.holds[tag], "completes")
            worker.ledger.recall(list(worker.ledger.held))

    def work_off(self) -> None:
        """Let a worker run what waits."""
        worker = self.workers["A"]
        for hold in self.acquire(worker, 100):
            if self.begin_run(worker, hold):
                self.settle(worker, hold, "completes")


class _Undeleting:
    """A client of the journal whose user dies before it deletes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def xdel(self, *_: Any) -> None:
        raise Died


def _hurry(connection: Any, _: Any) -> None:
    """Let commits not wait for the disk: nothing here outlives the server."""
    with connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
    connection.commit()
