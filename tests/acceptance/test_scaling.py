"""The controller with its scaler and its workers: what a schedule announces finds as many workers as it takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import surge_jobs
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.store import new_jobs

LEAST, MOST = 2, 5
#: Jobs that come at once: two workers would let them wait for twice as long as they may.
SURGE = 16
WAIT_SLO = 6.0
AHEAD_SECONDS = 12
SETTINGS = {
    "JOBPLATFORM_FLEET": "local",
    "JOBPLATFORM_FLEET_MIN": f"{LEAST}",
    "JOBPLATFORM_FLEET_MAX": f"{MOST}",
    "JOBPLATFORM_FLEET_OPTIONS": "-c 1 -l INFO --without-mingle --without-gossip",
    "JOBPLATFORM_FLEET_AT_EXIT": "drain",
    "JOBPLATFORM_DRAIN_SECONDS": "1",
    "JOBPLATFORM_SCALER": "auto",
    "JOBPLATFORM_SCALE_SECONDS": "1",
    "JOBPLATFORM_SCALE_HORIZON_SECONDS": "0",
    "JOBPLATFORM_SCALE_COOLDOWN_SECONDS": "5",
    "JOBPLATFORM_SAMPLE_SECONDS": "0.5",
    "JOBPLATFORM_WORKER_START_SECONDS": "2",
    "JOBPLATFORM_WAIT_SLO_SECONDS": f"{WAIT_SLO}",
    "JOBPLATFORM_HEARTBEAT_SECONDS": "0.5",
    "JOBPLATFORM_LEASE_SECONDS": "60",
}


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [surge_jobs.__name__], **SETTINGS) as made, nothing_left(made):
        made.start_controller()
        made.python("-m", "celery", "-A", "jobplatform", "beat", "-l", "INFO", name="beat")
        yield made


@contextmanager
def nothing_left(fleet: Fleet) -> Iterator[None]:
    """Let the controller end its workers, and kill what is left of them."""
    try:
        yield
    finally:
        found = [psutil.Process(row["pid"]) for row in workers(fleet) if psutil.pid_exists(row["pid"])]
        for process in fleet.processes:
            process.stop()
        for each in psutil.wait_procs(found, 10)[1]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


@contextmanager
def steady_load(fleet: Fleet) -> Iterator[None]:
    """Submit half a second of work a second while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.5):
            fleet.client.tasks["surge_jobs.steady"].submit(0.25)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def workers(fleet: Fleet) -> list[dict[str, Any]]:
    return fleet.rows("select name, pid, status, started_at, last_seen_at from @workers order by started_at")


def alive(fleet: Fleet) -> int:
    return sum(row["status"] == "alive" for row in workers(fleet))


def add_schedule(fleet: Fleet) -> datetime:
    """Add a schedule that fires soon, at a multiple of its long interval since the epoch; returns when."""
    (row,) = fleet.rows("select ceil(extract(epoch from now()))::bigint as now")
    at = row["now"] + AHEAD_SECONDS
    template = json.dumps({"args": [SURGE], "kwargs": {}})
    (row,) = fleet.rows(
        """insert into @job_schedules (name, job_type, cron_expression, payload_template)
        values ('surge', 'surge_jobs.surge', %(every)s, %(template)s) returning schedule_id""",
        every=f"@every {at}s",
        template=template,
    )
    add_fire(fleet, row["schedule_id"])
    return datetime.fromtimestamp(at, UTC)


def add_fire(fleet: Fleet, schedule_id: int) -> None:
    """Write down what it brought yesterday."""
    fire = new_job_id()
    rows = [row_of(NewJob(fire, "surge_jobs.surge", "{}", "celery"))]
    rows += [row_of(NewJob(new_job_id(), "surge_jobs.steady", "{}", "celery", root_id=fire)) for _ in range(SURGE)]
    with fleet.database.transaction() as transaction:
        new_jobs.insert(transaction, rows)
        transaction.connection.exec_driver_sql(
            f"""update {fleet.settings.schema}.jobs set created_at = now() - interval '1 day', status = 'COMPLETED',
                started_at = now() - interval '1 day', completed_at = now() - interval '1 day' + %(run)s,
                schedule_id = case when job_id = %(fire)s then %(schedule)s::bigint end,
                fire_at = case when job_id = %(fire)s then now() - interval '1 day' end
            where job_id = %(fire)s or root_id = %(fire)s""",
            {"fire": fire, "schedule": schedule_id, "run": f"{surge_jobs.SURGE_SECONDS} seconds"},
        )


def surge_waits(fleet: Fleet) -> list[float]:
    """List how long the jobs have waited that the schedule brought today, in seconds."""
    found = fleet.rows(
        """select (e.metrics->>'wait')::float8 as wait from @jobs j join @job_executions e using (job_id)
        where j.root_id <> j.job_id and e.completed_at is not null"""
    )
    return [row["wait"] for row in found]


@pytest.mark.long
def test_a_surge_that_a_schedule_announces_finds_workers_and_none_ends_busy(fleet: Fleet) -> None:
    with steady_load(fleet):
        eventually(lambda: alive(fleet) == LEAST, 60, fleet.describe)
        fire_at = add_schedule(fleet)
        eventually(lambda: len(surge_waits(fleet)) == SURGE, 60, fleet.describe)
        assert sum(row["started_at"] < fire_at <= row["last_seen_at"] for row in workers(fleet)) == MOST
        assert max(surge_waits(fleet)) / WAIT_SLO < 1.0
        eventually(lambda: alive(fleet) == LEAST, 60, lambda: f"{workers(fleet)}")
    jobs = fleet.rows("select count(*) as jobs from @jobs")[0]["jobs"]
    assert fleet.wait_final(jobs, 60) == {"COMPLETED": jobs}
    grown = fleet.rows(
        "select decided_at, had, wanted, reason from @scale_decisions where wanted > had order by decided_at"
    )
    announced = [row for row in grown if row["decided_at"] < fire_at and "schedule surge fires" in row["reason"]]
    assert announced[-1]["wanted"] == MOST, grown
    # Each worker that was one too many has said goodbye, and no job knows of it.
    assert {row["status"] for row in workers(fleet)} == {"alive", "gone"}
    assert fleet.rows("select retry_count, deaths from @jobs group by 1, 2") == [{"retry_count": 0, "deaths": 0}]
    assert fleet.rows("select attempt_number, status from @job_executions group by 1, 2") == [
        {"attempt_number": 1, "status": "COMPLETED"}
    ]
