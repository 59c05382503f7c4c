"""The controller of the model: the platform's services, run by hand, which die where a test wants them to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import redis
from model_stores import LONG, Stores
from model_story import Story

from jobplatform.jobs.retry import decide_all
from jobplatform.journal.mirror import EARLY, JOURNAL, Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.maintenance.early_news import EarlyNews
from jobplatform.maintenance.orphans import OrphanFinder
from jobplatform.maintenance.releaser import Releaser
from jobplatform.maintenance.roster import Roster
from jobplatform.transport.message import Message
from jobplatform.transport.publisher import MaybePushed, Publisher
from jobplatform.transport.rescue import rescue

_GRACE = 10.0
_STALE = 30.0


class Died(Exception):
    """A process ended where a test wanted it to."""


class Pusher:
    """The dispatcher's publisher, whose ``fate`` is to be heard, to be unheard, to be cut off or to die."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.fate = "heard"

    def has_room(self) -> bool:
        return self.publisher.has_room()

    def fence(self, attempts: Mapping[str, float]) -> None:
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


class Controller:
    """All that keeps queues and rows in step."""

    def __init__(self, stores: Stores, publisher: Publisher, story: Story) -> None:
        self.stores = stores
        self.story = story
        database, client = stores.database, stores.client
        self.pusher = Pusher(publisher)
        self.mirror = Mirror(client, database, decide_all, lambda seconds: None, 100, block_seconds=0.001)
        self.dispatcher = Dispatcher(database, self.pusher, 100, 0.1)
        self.early = EarlyNews(database, client, wait_seconds=LONG.total_seconds())
        self.releaser = Releaser(database, ask_workers=False)
        self.roster = Roster(database, client, _STALE)
        self.finder = OrphanFinder(database, client, _GRACE)

    def rescue(self, limit: int = 100) -> set[str]:
        """Rescue what is stale, and name the leases that were taken."""
        before = self.stores.leases()
        rescue(self.stores.client, _STALE, limit, watched=0)
        return before - self.stores.leases()

    def read_journal(self, batch: int = 100, dies: bool = False) -> bool:
        """Mirror once; one that dies does so between its commit and the deletion from the journal."""
        client = self.stores.client
        if not client.xlen(JOURNAL):
            return False
        self.mirror.batch = batch
        self.mirror.client = _Undeleting(client) if dies else client
        with suppress(Died):
            self.mirror.run_once(self.stores.now)
        return True

    def tell_early_news(self) -> bool:
        return bool(self.early.run_once(self.stores.now)["journalled"])

    def has_early_news(self) -> bool:
        return bool(self.stores.client.exists(EARLY))

    def read_whole_journal(self) -> None:
        while self.tell_early_news() or self.read_journal():
            pass

    def dispatch(self, fate: str = "heard") -> bool:
        """Publish what is due; returns whether anything was."""
        now = self.stores.now
        rows = self.stores.sql("select job_id::text, status, due_at from @jobs where due_at is not null")
        due = {self.story.jobs[job_id]: status for job_id, status, due_at in rows if due_at <= now}
        self.pusher.fate = fate
        try:
            self.dispatcher.run_once(now)
        except (Died, redis.RedisError):
            for job in due:
                job.astray = job.astray or fate == "dies before it pushes"
        finally:
            self.pusher.fate = "heard"
        for job, status in due.items():
            if status == "CANCELLED" and job.void_since is None:
                job.void_since = self.stores.step
        return bool(due)

    def look_for_orphans(self) -> None:
        self.finder.run_once(self.stores.now)

    def release_parked(self) -> None:
        self.releaser.run_once(self.stores.now)

    def copy_roster(self) -> set[str]:
        """Copy the heartbeats, and name the workers that are taken to be alive."""
        self.roster.run_once(self.stores.now)
        return {node for (node,) in self.stores.sql("select worker_id from @workers where status = 'alive'")}


class _Undeleting:
    """A client of the journal whose user dies before it deletes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def xdel(self, *_: Any) -> None:
        raise Died
