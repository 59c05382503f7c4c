"""The platform of the model: clients, workers and a controller over real stores, all run by hand."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import redis
from model_controller import Controller
from model_stores import LONG, Stores
from model_story import Hold, Job, Story
from model_worker import Worker
from queues import QUEUE

from jobplatform.jobs.submission import message_of, submit
from jobplatform.journal import entry
from jobplatform.records import NewJob
from jobplatform.settings import Settings
from jobplatform.store import jobs as job_rows
from jobplatform.store import new_jobs
from jobplatform.transport import keys
from jobplatform.transport.keeper import Keeper
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import MaybePushed, Publisher

_RULE = {"base": 20.0, "jitter": False}


class World:
    """Everything that one example plays with; the stores outlive it."""

    def __init__(self, settings: Settings) -> None:
        self.stores = Stores(settings)
        self.publisher = Publisher(settings.redis_url, 5.0)
        #: That of jobs that submit others, through the journal.
        self.inner_publisher = Publisher(settings.redis_url, 5.0)

    def close(self) -> None:
        self.publisher.close()
        self.inner_publisher.close()
        self.stores.close()

    def begin(self) -> None:
        """Begin a new example."""
        self.stores.begin()
        self.story = Story()
        self.controller = Controller(self.stores, self.publisher, self.story)
        self.keeper = Keeper(self.inner_publisher._ask, self.stores.clock, watch=False)
        self.inner_publisher._keeper = self.keeper
        self.late: dict[str, Message] = {}
        self._lives = 0
        self._dead: list[Worker] = []
        self.workers = {name: self._new_worker(name) for name in "ABC"}

    # Clients

    def submit(self, job: Job, how: str) -> None:
        """Submit a job; its client may die before the push, or find Redis away, or hear no answer."""
        new = NewJob(
            job.job_id, "t.job", '{"args":[],"kwargs":{}}', QUEUE, job.priority, max_retries=2,
            enqueued_at=self.stores.now.timestamp(), retry_rule=_RULE,
        )  # fmt: skip
        if how == "dies before the push":
            with self.stores.database.transaction() as transaction:
                new_jobs.insert_one(transaction, new)
            self.late[job.job_id] = message_of(new)
            job.astray = True
            return
        in_worker = how == "through the journal"
        publisher = self.inner_publisher if in_worker else self.publisher

        def publish(new: NewJob, submitted: str) -> None:
            if how == "away":
                raise redis.ConnectionError("Redis is away")
            publisher.push(message_of(new), submitted)
            if how == "unheard":
                raise MaybePushed("the reply got lost")

        platform: Any = SimpleNamespace(in_worker=in_worker, database=self.stores.database, publisher=publisher)
        submit(platform, new, publish)

    def push_late(self, job: Job) -> None:
        self.publisher.push(self.late.pop(job.job_id))
        job.doubted = job.doubted or (job.shown[0] > 1 and job.due)

    def cancel(self, job: Job) -> bool:
        with self.stores.database.transaction() as transaction:
            done = bool(job_rows.cancel(transaction, [job.job_id], "not wanted"))
        if done:
            self.story.release(job)
        return done

    def replay(self, job: Job) -> bool:
        with self.stores.database.transaction() as transaction:
            done = bool(job_rows.replay(transaction, [job.job_id]))
        if done:
            self.story.release(job)
            job.doubted, job.void_since, job.ended = True, None, None
        return done

    # Workers

    def _new_worker(self, name: str) -> Worker:
        self._lives += 1
        worker = Worker(f"{name}{self._lives}", self.stores.client, self.stores.clock)
        worker.beat(self.stores.step)
        self.controller.copy_roster()
        worker.known = True
        return worker

    def acquire(self, worker: Worker, count: int) -> list[Hold]:
        return [self.story.give(*found, worker.node, worker.known) for found in worker.acquire(count)]

    def acquire_unheard(self, worker: Worker, count: int) -> None:
        """Let a worker take messages and not hear of it; nobody renews such leases."""
        before = self.stores.leases()
        worker.line.fate = "unheard"
        with suppress(ConnectionError):
            worker.acquire(count)
        worker.line.fate = "heard"
        self.stores.silence(self.stores.leases() - before)

    def begin_run(self, worker: Worker, hold: Hold) -> bool:
        if not worker.may_begin(hold.tag, self.stores.step):
            return False
        run = self.story.begin(hold, worker.beaten)
        worker.start(hold, run, self.stores.now.timestamp())
        return True

    def settle(self, worker: Worker, hold: Hold, how: str) -> None:
        hold.job.failures += how in ("fails", "dies")
        hold.job.deaths += how == "dies"
        worker.settle(hold, how, self.stores.now.timestamp())
        hold.ended, hold.completed = True, how == "completes"

    def tell_progress(self, worker: Worker) -> None:
        """Let a worker have some news, and commit it."""
        job = self.story.jobs[min(self.story.jobs)]
        worker.ledger.note(entry.progress(job.job_id, 1, self.stores.now.timestamp(), {}))
        worker.commit()

    def silence(self, worker: Worker) -> None:
        """Let a worker say nothing for so long that its leases and its heartbeat are stale."""
        self.story.silence(worker.node)
        self.stores.pass_time()
        worker.slept += LONG.total_seconds()
        worker.known, worker.silent = False, self.stores.step
        self.stores.silence(tag for tag in self.stores.leases() if tag.startswith(f"{worker.node}:"))
        client = self.stores.client
        said = client.hget(keys.WORKERS, worker.node)
        if said is not None:
            client.hset(keys.WORKERS, worker.node, b"1.0 1.0 " + said.split(b" ", 2)[2])
        self.stores.sql(f"update @workers set last_seen_at = 'epoch' where worker_id = '{worker.node}'")

    def kill(self, name: str) -> None:
        """Let a worker die, and another start in its place."""
        worker = self.workers[name]
        self.silence(worker)
        self.story.bury(worker.node, set())
        self._dead.append(worker)
        self.workers[name] = self._new_worker(name)

    def end(self, name: str) -> None:
        """Let a worker end in order; what runs there is ended with it and goes back."""
        known = self.stores.leases()
        self.workers[name].end()
        self.story.bury(self.workers[name].node, known)
        self.kill(name)

    def delayed(self) -> list[Worker]:
        """Give the workers whose commits are still on their way."""
        return [worker for worker in (*self.workers.values(), *self._dead) if worker.line.delayed]

    def copy_roster(self) -> None:
        alive = self.controller.copy_roster()
        for worker in self.workers.values():
            worker.known = worker.node in alive

    def rescue(self, limit: int = 100) -> None:
        awake = {worker.node for worker in self.workers.values() if worker.beaten > worker.silent}
        self.story.take(self.controller.rescue(limit), awake)

    def rescue_what_nobody_holds(self) -> None:
        held = {tag for worker in self.workers.values() for tag in worker.ledger.held}
        self.stores.silence(self.stores.leases() - held)
        self.rescue()

    def look_twice(self, fate: str) -> None:
        """Look for orphans twice, publish what is found, and let workers beat in between.

        :param fate: of what they tell again.
        """
        self.stores.pass_time()
        self.controller.look_for_orphans()
        for worker in self.workers.values():
            worker.beat(self.stores.step, fate)
        self.controller.read_whole_journal()
        self.controller.look_for_orphans()
        self.controller.dispatch()

    # Redis

    def empty(self) -> None:
        """Let Redis forget everything; the mirror has kept up but for the last seconds."""
        if self.controller.has_early_news() or self.stores.waits_for_long():
            self.keeper.look()
            self.controller.read_whole_journal()
        self.stores.empty()
        self._drop_delayed()
        self.story.forget(rolled_back=False)

    def roll_back(self) -> None:
        self.stores.roll_back()
        self._drop_delayed()
        for worker in self.workers.values():
            # The times of its leases may be old ones.
            worker.silent = self.stores.step
        self.story.forget(rolled_back=True)

    def _drop_delayed(self) -> None:
        """Let the connections break that a Redis had which has forgotten."""
        for worker in self.delayed():
            worker.line.delayed.clear()

    def expire_marks(self) -> None:
        """Let a day pass: nobody remembers which leases were taken, nor has one of them any more."""
        self.stores.pass_time()
        self.late.clear()
        self._drop_delayed()
        self.tell_all()
        for worker in self.workers.values():
            for tag in worker.ledger.held.keys() - self.stores.leases():
                self.story.holds[tag].ended = True
                worker.ledger.settle(tag)
            worker.commit()
        for mark in self.stores.client.keys(f"{keys.TAKEN}*"):
            self.stores.client.delete(mark)
        for hold in self.story.holds.values():
            hold.taken = False

    def tell_all(self) -> None:
        """Let every worker tell all that it holds and did."""
        for worker in (*self.workers.values(), *self.workers.values()):
            worker.commit()
            worker.beat(self.stores.step)

    # The end

    def tend(self) -> None:
        """Let every part that lives do its work once."""
        self.keeper.look()
        self.tell_all()
        self.copy_roster()
        self.rescue_what_nobody_holds()
        self.controller.read_whole_journal()
        self.stores.pass_time()
        self.controller.release_parked()
        self.controller.look_for_orphans()
        while self.controller.dispatch():
            pass

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
