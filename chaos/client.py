"""A program that submits jobs in every way there is, until it gets SIGTERM: ``python -m chaos.client NAME SEED RATE``.

It behaves as a client of its own would: it notes what it is about to do, does it, notes what came of it, and when both
stores are away it tries again with a new job.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import redis
import sqlalchemy
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from chaos import jobs, together
from chaos.evidence import PART
from chaos.ledger import DIRECTORY, Pen
from jobplatform.celery import app
from jobplatform.errors import JobPlatformError, StoreUnavailable
from jobplatform.settings import load_settings
from jobplatform.transport.keys import queue_list

#: The table of the client's own that it writes in the same transaction as a job.
ORDERS = "shop.orders"
#: How many messages may wait before clients submit no more.
BACKLOG = 1_000
#: What else a client may meet where a store is away: from its own session, or from Celery.
_TROUBLES = (JobPlatformError, OperationalError, SQLAlchemyError, redis.RedisError, OSError)
_STEPS_A_SECOND = 12.0
_MANY = (100, 500)
#: How often each kind is submitted; what is missing to the rate is submitted together.
_WEIGHTS = {"single": 50, "medium": 4, "long": 0.6, "flaky": 8, "doomed": 5, "scheduled": 8, "parent": 4, "chain": 8,
            "transactional": 15}  # fmt: skip
_TOGETHER = {together.workflow: 3, together.in_batch: 1, together.unique: 3, together.keyed: 4, together.limited: 3}


class Client:
    """One client.

    :param rate: jobs a second that it wants to submit.
    """

    def __init__(self, pen: Pen, luck: random.Random, rate: float, database_url: str, redis_url: str) -> None:
        self.pen = pen
        self.luck = luck
        self.rate = rate
        self.engine = sqlalchemy.create_engine(database_url, connect_args={"connect_timeout": 3})
        self.redis: Any = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        self.submitted = 0

    def run(self, stop: threading.Event) -> None:
        """Submit until told to stop."""
        ways = {
            **{partial(self._try, kind, getattr(self, f"_submit_{kind}")): odds for kind, odds in _WEIGHTS.items()},
            **{partial(self._try, way.__name__, partial(self._together, way)): odds for way, odds in _TOGETHER.items()},
        }
        began = time.monotonic()
        while not stop.wait(1 / _STEPS_A_SECOND):
            if self._backlog() > BACKLOG:
                continue
            self.luck.choices(list(ways), list(ways.values()))[0]()
            behind = self.rate * (time.monotonic() - began) - self.submitted
            if behind > _MANY[0]:
                self._try("many", partial(self._submit_many, min(int(behind), _MANY[1])))

    def _backlog(self) -> int:
        try:
            with self.redis.pipeline(transaction=False) as pipe:
                for priority in range(1, 6):
                    pipe.llen(queue_list("celery", priority))
                return sum(pipe.execute())
        except (redis.RedisError, OSError):
            return 0

    def _try(self, kind: str, submit: Callable[[], Any]) -> None:
        """Submit; what a client must expect is that neither store took it."""
        try:
            submit()
        except StoreUnavailable:
            self.pen.write(k="refused")
        except _TROUBLES as error:
            self.pen.write(k="trouble", what=f"{kind}: {type(error).__name__}", error=str(error))

    def _promise(self, token: str, job_ids: list[str], **more: Any) -> None:
        self.pen.promise(token, job_ids, **more)
        self.submitted += len(job_ids)

    def _work(self, kind: str, seconds: float, **options: Any) -> None:
        token = self.pen.intend(kind)
        self._promise(token, [jobs.work.using(**options).submit(token=f"{token}{PART}0", seconds=seconds).id])

    def _submit_single(self) -> None:
        self._work("single", 0.0, priority=self.luck.randint(1, 5))

    def _submit_medium(self) -> None:
        self._work("medium", self.luck.uniform(0.2, 2.0), priority=3)

    def _submit_long(self) -> None:
        self._work("long", self.luck.uniform(5.0, 10.0), priority=3)

    def _submit_flaky(self) -> None:
        token = self.pen.intend("flaky")
        self._promise(token, [jobs.flaky.submit(token=f"{token}{PART}0", fails=self.luck.randint(1, 3)).id])

    def _submit_doomed(self) -> None:
        token = self.pen.intend("doomed", "FAILED")
        self._promise(token, [jobs.doomed.submit(token=f"{token}{PART}0").id])

    def _submit_scheduled(self) -> None:
        token, after = self.pen.intend("scheduled"), self.luck.uniform(1.0, 20.0)
        due = time.time() + after
        made = jobs.work.using(countdown=after).submit(token=f"{token}{PART}0")
        self._promise(token, [made.id], not_before=due)

    def _submit_parent(self) -> None:
        token = self.pen.intend("parent")
        self._promise(token, [jobs.parent.submit(token=f"{token}{PART}0", children=self.luck.randint(1, 4)).id])

    def _submit_chain(self) -> None:
        token = self.pen.intend("chain")
        chain = jobs.work.s(token=f"{token}{PART}0") | jobs.follow.s(token=f"{token}{PART}1")
        last = chain.apply_async()
        self._promise(token, [last.parent.id, last.id], chain=True)

    def _submit_transactional(self) -> None:
        token = self.pen.intend("transactional")
        name = f"{token}{PART}0"
        with Session(self.engine) as session:
            session.execute(sqlalchemy.text(f"insert into {ORDERS} (token) values (:token)"), {"token": name})
            made = jobs.work.using(session=session).submit(token=name)
            if self.luck.random() < 0.1:
                session.rollback()
                return
            session.commit()
        self._promise(token, [made.id])

    def _submit_many(self, count: int) -> None:
        token = self.pen.intend("many")
        items = [{"token": f"{token}{PART}{number}"} for number in range(count)]
        self._promise(token, jobs.work.submit_many(items))

    def _together(self, way: Callable[[Pen, random.Random], int]) -> None:
        self.submitted += way(self.pen, self.luck)


def main(name: str, seed: str, rate: float) -> None:
    """Submit until told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    app.loader.import_default_modules()
    settings = load_settings(os.environ)
    pen = Pen(Path(os.environ[DIRECTORY]), name)
    Client(pen, random.Random(f"{seed}:{pen.stem}"), rate, settings.sqlalchemy_url, settings.redis_url).run(stop)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
