"""PostgreSQL and Redis go away under a steady load: nothing is lost, nothing is submitted twice, nobody hangs."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import HERE, Fleet, Process
from outage_jobs import FAILS_EVERY
from outcome_jobs import LEDGER
from processes import eventually

from jobplatform.devstack.stack import DevStack

POSTGRES_SECONDS = 20.0
REDIS_SECONDS = 10.0
BOTH_SECONDS = 5.0
#: No call of a client takes longer, whatever is down.
CALL_SECONDS = 15.0
#: Calls before the outage and after it.
CALLS = 40
KILLS = 3
PAUSE = "0.08"


class Load:
    """A client that submits steadily, and what it has written down.

    :param first: its first counter.
    :param pause: seconds between its calls.
    """

    def __init__(self, fleet: Fleet, first: int, pause: str = PAUSE) -> None:
        self.fleet = fleet
        self.path = fleet.directory / f"calls{first}"
        self.path.touch()
        script = str(HERE / "steady_client.py")
        self.process: Process = fleet.python(script, str(self.path), str(first), pause, name=f"client{first}")

    def calls(self) -> list[dict[str, Any]]:
        """List the calls that have returned."""
        return [json.loads(line) for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def wait_for_successes(self, more: int, seconds: float) -> None:
        """Return when so many more calls have succeeded."""
        goal = self._successes() + more
        eventually(lambda: self._successes() >= goal, seconds, lambda: f"{goal} calls succeed\n{self.process.tail()}")

    def _successes(self) -> int:
        return sum(call["id"] is not None for call in self.calls())

    def finish(self) -> list[dict[str, Any]]:
        """Let the client end in its own time and return its calls."""
        # A call may last for so long, and the program ends after it.
        assert self.process.stop(seconds=4 * CALL_SECONDS) == 0, self.process.tail()
        return self.calls()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file to which each attempt appends its counter."""
    made = tmp_path_factory.mktemp("ledger") / "ledger"
    made.touch()
    return made


@pytest.fixture(scope="module")
def fleet(stack: DevStack, ledger: Path) -> Iterator[Fleet]:
    """A controller and a worker, which see all the outages of this module."""
    # What a crash of Redis takes from its file leaves leases behind, which then end soon.
    variables = {LEDGER: str(ledger), "JOBPLATFORM_LEASE_SECONDS": "10", "JOBPLATFORM_HEARTBEAT_SECONDS": "1"}
    with Fleet(stack, ledger.parent, ["outage_jobs"], **variables) as made:
        made.start_controller()
        made.start_worker("-c", "2")
        yield made


@pytest.fixture
def load(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Load]:
    """A steady client, with a range of counters of the test's own."""
    tests = request.node.session.items
    made = Load(fleet, 1_000_000 * (1 + tests.index(request.node)))
    yield made
    made.process.stop()


def outlive(load: Load, down: Callable[[], None], up: Callable[[], None], seconds: float) -> list[dict[str, Any]]:
    """Take a store away for some seconds under load, and return the client's calls.

    All processes but the store must live on, and no call may hang.
    """
    processes = [process for process in load.fleet.processes if process.running]
    load.wait_for_successes(CALLS, 30)
    down()
    try:
        threading.Event().wait(seconds)
    finally:
        up()
    load.wait_for_successes(CALLS, 30)
    assert all(process.running for process in processes)
    calls = load.finish()
    assert max(call["seconds"] for call in calls) < CALL_SECONDS
    return calls


def settled(fleet: Fleet, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Wait until the rows of the client's jobs are final and return them, with the states of their executions."""
    fleet.wait_final(sum(call["id"] is not None for call in calls), 60)
    return fleet.rows(
        """
        select j.job_id::text as id, (j.payload->'args'->>0)::int as counter, j.status, j.retry_count,
            array(select status::text from @job_executions e where e.job_id = j.job_id order by attempt_number) as runs,
            array(select attempt_number from @job_executions e where e.job_id = j.job_id order by 1) as attempts,
            array(select error_message from @job_executions e where e.job_id = j.job_id order by 1) as errors
        from @jobs j where (j.payload->'args'->>0)::int between %(first)s and %(last)s
        """,
        first=calls[0]["counter"],
        last=calls[-1]["counter"],
    )


def check_rows(calls: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """Check that each job has one row, in the right state, with one completed execution."""
    assert max(Counter(row["counter"] for row in rows).values()) == 1
    by_id = {row["id"]: row for row in rows}
    for call in calls:
        if call["id"] is not None:
            assert by_id[call["id"]]["counter"] == call["counter"]
    for row in rows:
        retries = int(row["counter"] % FAILS_EVERY == 0)
        assert (row["status"], row["retry_count"]) == ("COMPLETED", retries), row
        assert row["runs"] == ["FAILED"] * retries + ["COMPLETED"], str(row)


def runs_of(calls: list[dict[str, Any]], ledger: Path) -> Counter[tuple[int, int]]:
    """Count how often each (counter, attempt) of the calls was begun."""
    lines = (line.split(":") for line in ledger.read_text().split())
    counters = {call["counter"] for call in calls}
    return Counter((int(counter), int(attempt)) for counter, attempt in lines if int(counter) in counters)


def duplicates(calls: list[dict[str, Any]], rows: list[dict[str, Any]], ledger: Path) -> list[tuple[int, int]]:
    """List the attempts that were begun more than once; every attempt of a row must have begun."""
    runs = runs_of(calls, ledger)
    missing = [row for row in rows for attempt in row["attempts"] if not runs[row["counter"], attempt]]
    assert missing == []
    return [attempt for attempt, count in runs.items() if count > 1]


def test_postgresql_is_away(stack: DevStack, fleet: Fleet, load: Load, ledger: Path) -> None:
    """PostgreSQL is stopped: jobs are submitted and run on, and the tables catch up."""
    calls = outlive(load, stack.postgres.stop, stack.postgres.start, POSTGRES_SECONDS)
    assert [call for call in calls if call["error"]] == []
    rows = settled(fleet, calls)
    check_rows(calls, rows)
    assert duplicates(calls, rows, ledger) == []


def test_redis_is_away(stack: DevStack, fleet: Fleet, load: Load, ledger: Path) -> None:
    """Redis is stopped and comes back with its data: jobs are submitted, and run when it is back."""
    calls = outlive(load, stack.redis.stop, stack.redis.start, REDIS_SECONDS)
    rows = settled(fleet, calls)
    check_rows(calls, rows)
    report(calls, duplicates(calls, rows, ledger))


def test_redis_is_killed(stack: DevStack, fleet: Fleet, load: Load, ledger: Path) -> None:
    """Redis gets SIGKILL, again and again, and comes back with what its append-only file holds."""
    for _ in range(KILLS - 1):
        load.wait_for_successes(CALLS, 30)
        stack.redis.kill(signal.SIGKILL)
        stack.redis.start()
    calls = outlive(load, lambda: stack.redis.kill(signal.SIGKILL), stack.redis.start, 1.0)
    rows = settled(fleet, calls)
    check_rows(calls, rows)
    report(calls, duplicates(calls, rows, ledger))


def test_redis_hangs(stack: DevStack, fleet: Fleet, load: Load, ledger: Path) -> None:
    """Redis is stopped in its tracks for longer than workers may be silent, and goes on with all that it was sent."""
    calls = outlive(
        load, lambda: stack.redis.kill(signal.SIGSTOP), lambda: stack.redis.kill(signal.SIGCONT), REDIS_SECONDS
    )
    assert [call for call in calls if call["error"]] == []
    rows = settled(fleet, calls)
    check_rows(calls, rows)
    assert duplicates(calls, rows, ledger) == []


@pytest.mark.parametrize("first", ["redis", "postgres"])
def test_both_stores_are_away_and_come_back_one_by_one(
    stack: DevStack, fleet: Fleet, load: Load, ledger: Path, first: str
) -> None:
    """Nothing can be submitted; what was before is done, whichever store is back first."""
    stores = [stack.redis, stack.postgres]
    back = stores if first == "redis" else stores[::-1]

    def down() -> None:
        for store in stores:
            store.stop()

    def up() -> None:
        back[0].start()
        load.wait_for_successes(CALLS, 30)
        back[1].start()

    calls = outlive(load, down, up, BOTH_SECONDS)
    assert {call["error"].partition(":")[0] for call in calls if call["error"]} == {"StoreUnavailable"}
    rows = settled(fleet, calls)
    check_rows(calls, rows)
    report(calls, duplicates(calls, rows, ledger))


def report(calls: list[dict[str, Any]], begun_twice: list[tuple[int, int]]) -> None:
    """Say what the outage cost; attempts that were begun twice have still settled once, as the rows have shown."""
    refused = [call["error"] for call in calls if call["error"]]
    print(f"{len(calls)} calls, {len(refused)} refused with {set(refused)}, attempts begun twice: {begun_twice}")
