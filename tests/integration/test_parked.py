"""Jobs of types that a worker does not know wait for one that does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import CliEnvironment
from journals import journal_of

from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.retry import decide_all
from jobplatform.journal.mirror import JOURNAL, Mirror
from jobplatform.journal.writer import connect
from jobplatform.maintenance.releaser import Releaser
from jobplatform.store import jobs, workers
from jobplatform.store.database import Database

NOW = datetime.now(UTC)
_beats = itertools.count(1)


@pytest.fixture
def mirror(stack: DevStack, database: Database) -> Iterator[Mirror]:
    client = connect(stack.redis_url)
    client.flushdb()
    yield Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    client.close()


def park(mirror: Mirror, job_id: str, attempt: int = 1) -> None:
    reason = {"message": "unroutable: no worker knows the job type 'shop.charge'"}
    value = {"v": 1, "k": "parked", "j": job_id, "a": attempt, "t": 5.0, "e": reason}
    mirror.client.xadd(JOURNAL, {"e1": json.dumps(value)})
    mirror.run_once(datetime.now(UTC))


def shown(cli: CliEnvironment, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = cli.json("jobs", "show", job_id)
    return found


def report(database: Database, status: str = "alive", **values: Any) -> None:
    row = {"worker_id": "w1", "name": "w1", "pid": 1, "status": status, "report": values, "last_seen_at": next(_beats)}
    with database.transaction() as transaction:
        workers.record(transaction, [row], datetime.now(UTC))


def released(database: Database, seconds: float = 3.0, ask_workers: bool = True) -> int:
    return Releaser(database, ask_workers).run_once(datetime.now(UTC) + timedelta(seconds=seconds))["released"]


def test_a_parked_job_is_held_with_a_reason_and_is_due_when_its_type_is_known(
    mirror: Mirror, cli_environment: CliEnvironment
) -> None:
    database, job_id = mirror.database, cli_environment.add(retry_count=2, attempt=3)
    park(mirror, job_id, 3)
    held = shown(cli_environment, job_id)
    assert (held["status"], held["hold_by"], held["attempt"], held["retry_count"]) == ("PAUSED", "platform", 3, 2)
    assert held["hold_reason"] == "unroutable: no worker knows the job type 'shop.charge'"
    assert (held["due_at"], held["completed_at"], held["executions"]) == (None, None, [])
    report(database, types=["shop.mail"], queues=["celery"])
    assert released(database) == 0
    report(database, types=["shop.charge"], queues=["ml"])
    assert released(database) == 0
    report(database, "stale", types=["shop.charge"], queues=["celery"])
    assert released(database) == 0
    report(database, types=["shop.charge"], queues=["celery"])
    assert released(database, -60) == 0
    assert released(database) == 1
    free = shown(cli_environment, job_id)
    assert (free["status"], free["hold_by"], free["attempt"], free["retry_count"]) == ("PENDING", None, 4, 2)
    assert free["due_at"]


def test_a_job_that_is_parked_again_waits_longer(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    database, job_id = mirror.database, cli_environment.add()
    report(database, types=["shop.charge"], queues=["celery"])
    for attempt, wait in ((1, 2), (2, 4), (3, 8)):
        park(mirror, job_id, attempt)
        assert released(database, wait - 1) == 0
        assert released(database, wait + 1) == 1


@pytest.mark.parametrize("knowledge", [{"types": None, "queues": None}, {}])
def test_a_worker_that_knows_too_much_to_say_gets_a_trial(
    mirror: Mirror, cli_environment: CliEnvironment, knowledge: dict[str, Any]
) -> None:
    park(mirror, cli_environment.add())
    assert released(mirror.database) == 0
    report(mirror.database, **knowledge)
    assert released(mirror.database) == 1


def test_jobs_are_released_on_trial_where_no_worker_reports(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    park(mirror, cli_environment.add())
    assert released(mirror.database, ask_workers=False) == 1


def test_a_parked_job_whose_time_has_not_come_waits_for_it(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.add(scheduled_at=(NOW + timedelta(hours=1)).timestamp())
    park(mirror, job_id)
    report(mirror.database, types=["shop.charge"], queues=["celery"])
    assert released(mirror.database) == 1
    row = shown(cli_environment, job_id)
    assert (row["status"], row["due_at"]) == ("SCHEDULED", row["scheduled_at"])


def test_a_job_that_runs_elsewhere_is_not_parked(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.add()
    for line in journal_of(job_id, ["running"]):
        mirror.client.xadd(JOURNAL, {"e1": line})
    park(mirror, job_id)
    assert shown(cli_environment, job_id)["status"] == "PROCESSING"


def test_a_cancelled_job_is_held_no_longer(mirror: Mirror, cli_environment: CliEnvironment) -> None:
    job_id = cli_environment.add()
    park(mirror, job_id)
    with mirror.database.transaction() as transaction:
        jobs.cancel(transaction, [job_id], "not wanted")
    assert shown(cli_environment, job_id)["hold_by"] is None
    report(mirror.database, types=["shop.charge"], queues=["celery"])
    assert released(mirror.database) == 0
