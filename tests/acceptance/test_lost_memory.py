"""A Redis that loses what it holds: emptied under load, and evicting under a mistaken policy."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import rescue_jobs
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.transport.keys import queue_list

SETTINGS = {"JOBPLATFORM_HEARTBEAT_SECONDS": "1", "JOBPLATFORM_QUEUES": "celery,elsewhere"}
WAITING = 2_000
#: Priorities of jobs that wait; the least urgent are submitted first.
MIXED = (1, 3, 5)
MANY = 1_300
#: Bytes of Redis memory, and of each value that pushes others out.
MEMORY, FILLER = 20 * 1024 * 1024, 100_000


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__], **SETTINGS) as made:
        yield made


def empty(stack: DevStack) -> None:
    """Make Redis forget everything, as somebody's mistake does."""
    with redis.Redis.from_url(stack.redis_url) as client:
        client.flushall()


def replace(stack: DevStack) -> None:
    """Kill Redis, and start it without its file."""
    stack.redis.kill(signal.SIGKILL)
    for path in stack.redis.data.iterdir():
        if path.name != "redis.conf":
            path.unlink()
    stack.redis.start()


@pytest.mark.parametrize(
    ("pool", "forget"), [("prefork", empty), ("threads", empty), ("solo", empty), ("prefork", replace)]
)
def test_an_emptied_redis_is_filled_again_and_what_runs_is_not_run_twice(
    stack: DevStack, fleet: Fleet, marks: Path, pool: str, forget: Callable[[DevStack], None]
) -> None:
    long, brief = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.brief"]
    fleet.start_controller()
    fleet.start_worker("-c", "2", "-P", pool)
    slots = 1 if pool == "solo" else 2
    long.using(priority=5).submit_many([(str(marks), f"long{number}") for number in range(slots)])
    eventually(lambda: fleet.states()["PROCESSING"] == slots, 30, fleet.describe)
    brief.submit_many([(str(marks), f"brief{number}") for number in range(WAITING)])
    brief.using(priority=5).submit_many([(str(marks), f"urgent{number}") for number in range(20)])
    forget(stack)
    eventually(lambda: fleet.redis.llen("celery") > WAITING / 2, 60, fleet.describe)
    assert fleet.redis.llen("celery\x06\x165") > 0
    (marks / "release").touch()
    jobs = WAITING + slots + 20
    assert fleet.wait_final(jobs, 120) == {"COMPLETED": jobs}
    assert {mark.name: len(mark.read_text().split()) for mark in marks.iterdir() if mark.name != "release"} == {
        **{f"long{number}": 1 for number in range(slots)},
        **{f"brief{number}": 1 for number in range(WAITING)},
        **{f"urgent{number}": 1 for number in range(20)},
    }


def test_what_waits_is_queued_again_the_most_urgent_first(fleet: Fleet, marks: Path) -> None:
    """Nothing takes the jobs that wait, so that each is there because it was found."""
    long, brief = fleet.client.tasks["rescue_jobs.wait_for"], fleet.client.tasks["rescue_jobs.brief"]
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    long.submit_many([(str(marks), "long0"), (str(marks), "long1")])
    eventually(lambda: fleet.states()["PROCESSING"] == 2, 30, fleet.describe)
    for priority in MIXED:
        brief.submit_many([(str(marks), "never")] * MANY, queue="elsewhere", priority=priority)
    fleet.redis.flushall()
    lists = [queue_list("elsewhere", priority) for priority in MIXED]
    eventually(lambda: [fleet.redis.llen(name) for name in lists] == [MANY] * len(MIXED), 60, fleet.describe)
    queued = fleet.rows(
        "select priority, min(enqueued_at) as first, max(enqueued_at) as last, count(*) as jobs from @jobs "
        "where queue = 'elsewhere' group by 1 order by 1 desc"
    )
    assert [row["priority"] for row in queued] == sorted(MIXED, reverse=True)
    assert all(more["last"] <= less["first"] for more, less in itertools.pairwise(queued))
    (marks / "release").touch()
    eventually(lambda: fleet.states()["COMPLETED"] == 2, 30, fleet.describe)
    assert {mark.name: mark.read_text() for mark in marks.iterdir() if mark.name != "release"} == {
        "long0": "1\n",
        "long1": "1\n",
    }


@contextmanager
def evicting(fleet: Fleet) -> Iterator[None]:
    """Let Redis throw away what was not used for longest."""
    before = fleet.redis.config_get("maxmemory*")
    fleet.redis.config_set("maxmemory", MEMORY)
    fleet.redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        yield
    finally:
        for name in ("maxmemory", "maxmemory-policy"):
            fleet.redis.config_set(name, before[name])


def test_jobs_whose_queue_was_evicted_complete(fleet: Fleet, marks: Path) -> None:
    brief = fleet.client.tasks["rescue_jobs.brief"]
    controller = fleet.start_controller()
    with evicting(fleet):
        brief.submit_many([(str(marks), f"brief{number}") for number in range(WAITING)])
        # It looks at the queue all the time, which would never be what was not used for longest.
        controller.popen.send_signal(signal.SIGSTOP)
        numbers = itertools.count()

        def press() -> bool:
            fleet.redis.set(f"filler{next(numbers)}", bytes(FILLER))
            return not fleet.redis.exists("celery")

        # Redis tells ages apart by whole seconds.
        eventually(press, 60, lambda: "the queue is evicted")
        for name in range(next(numbers)):
            fleet.redis.delete(f"filler{name}")
    controller.popen.send_signal(signal.SIGCONT)
    fleet.start_worker("-c", "2")
    assert fleet.wait_final(WAITING, 120) == {"COMPLETED": WAITING}
    assert {len(mark.read_text().split()) for mark in marks.iterdir()} == {1}


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_what_jobs_submit_outlives_an_emptied_redis(fleet: Fleet, marks: Path, pool: str) -> None:
    """Nothing is mirrored when Redis is emptied: what a job and a chain submitted is in Redis alone."""
    fleet.start_worker("-c", "2", "-P", pool)
    parent, brief = fleet.client.tasks["rescue_jobs.parent"], fleet.client.tasks["rescue_jobs.brief"]
    parent.submit(str(marks), "parent")
    chained = brief.si(str(marks), "first") | brief.si(str(marks), "second").set(queue="elsewhere")
    chained()
    names = {"parent", "child", "first"}
    eventually(lambda: {mark.name for mark in marks.iterdir()} == names, 30, fleet.describe)
    eventually(lambda: fleet.redis.llen("elsewhere") == 1, 30, fleet.describe)
    fleet.redis.flushall()
    eventually(lambda: fleet.redis.xlen("jp:journal") >= 3, 30, fleet.describe)
    fleet.start_controller()
    fleet.start_worker("-c", "1", "-Q", "elsewhere", name="w2")
    assert fleet.wait_final(4, 60) == {"COMPLETED": 4}
    assert {mark.name: len(mark.read_text().split()) for mark in marks.iterdir()} == dict.fromkeys(
        (*names, "second"), 1
    )
