"""Workers that are replaced while there is work: nothing is lost, nothing begins twice, no attempt is used up."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import rescue_jobs
from fleet import Fleet, Process
from processes import eventually

from jobplatform.devstack.stack import DevStack

WORKERS = 3
#: Seconds that the jobs of a batch take, by turns.
LASTING = (0.0, 0.02, 0.1, 0.4)
BATCH = 20


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__]) as made:
        yield made


class Load:
    """Batches of jobs, submitted while a few are left to do.

    :param lasting: the seconds that they take, by turns.
    """

    def __init__(self, fleet: Fleet, marks: Path, lasting: Sequence[float] = LASTING) -> None:
        self.fleet = fleet
        self.marks = marks
        self.lasting = lasting
        self.submitted = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        task = self.fleet.client.tasks["rescue_jobs.steady"]
        while not self.stop.is_set():
            seconds = itertools.islice(itertools.cycle(self.lasting), BATCH)
            task.submit_many([(str(self.marks), f"{self.submitted + n}", each) for n, each in enumerate(seconds)])
            self.submitted += BATCH
            eventually(lambda: self.begun() > self.submitted - 2 * BATCH or self.stop.is_set(), 60)

    def begun(self) -> int:
        return sum(1 for _ in self.marks.iterdir())

    def __enter__(self) -> Load:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_rolling_restart_loses_nothing_and_uses_up_no_attempt(fleet: Fleet, marks: Path, pool: str) -> None:
    fleet.start_controller()
    names = (f"w{number}" for number in itertools.count())

    def start() -> Process:
        return fleet.start_worker("-c", "2", "-P", pool, name=next(names))

    workers = [start() for _ in range(WORKERS)]
    with Load(fleet, marks) as load:
        for leaving in workers:
            start()
            seen = load.begun()
            eventually(lambda seen=seen: load.begun() > seen + BATCH, 60, fleet.describe)
            assert leaving.stop(signal.SIGTERM, 60) == 0
    assert fleet.wait_final(load.submitted, 60) == {"COMPLETED": load.submitted}
    assert {mark.name: mark.read_text() for mark in marks.iterdir()} == {
        f"{number}": "1\n" for number in range(load.submitted)
    }
    attempts = fleet.rows("select attempt, retry_count, deaths, count(*) as jobs from @jobs group by 1, 2, 3")
    assert attempts == [{"attempt": 1, "retry_count": 0, "deaths": 0, "jobs": load.submitted}]
    assert fleet.rows("select count(*) as runs from @job_executions") == [{"runs": load.submitted}]
