"""A broker that is not our Redis transport: outcomes are journalled, then acknowledged; and pools that are refused."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import file_broker_app
import outcome_jobs
import pytest
from celery import concurrency
from fleet import Fleet
from hostile_messages import message
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.errors import PoolRefused
from jobplatform.jobs.attach import refuse_pool
from jobplatform.journal.recording import Recording
from jobplatform.transport.channel import Channel

JOBS = 40
PATIENCE = 30


@pytest.fixture(params=["prefork", "solo"], scope="module")
def fleet(stack: DevStack, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """A controller and a worker that take their messages from files."""
    home = tmp_path_factory.mktemp("fleet")
    folder = home / "broker"
    for name in ("queues", "control"):
        (folder / name).mkdir(parents=True)
    variables = {
        "JOBPLATFORM_BROKER_URL": "filesystem://",
        file_broker_app.FOLDER: str(folder),
        outcome_jobs.LEDGER: str(home / "ledger"),
    }
    if request.param == "solo":
        # Celery's own publishing signs as the platform's does.
        variables["JOBPLATFORM_SIGNING_KEYS"] = f"k:{base64.b64encode(bytes(32)).decode()}"
    options = file_broker_app.broker_options(str(folder))
    before = Channel.ring, Recording.ring
    with Fleet(stack, home, [], options, **variables) as made:
        made.start_controller(app="file_broker_app")
        made.start_worker("-c", "2", "-P", request.param, app="file_broker_app")
        yield made
    Channel.ring, Recording.ring = before


def test_jobs_run_and_are_recorded(fleet: Fleet) -> None:
    """Jobs and plain tasks complete or fail, once each, and the rows say so."""
    tasks = fleet.client.tasks
    results = [tasks["outcome_jobs.succeed"].submit(number) for number in range(JOBS)]
    results += [tasks["suite_jobs.add"].delay(number, 1) for number in range(JOBS)]
    failing = tasks["outcome_jobs.fail_hopelessly"].submit(7)
    plainly = tasks["outcome_jobs.fail_plainly"].delay(8)
    ignored = tasks["outcome_jobs.ignore"].submit(9)
    fleet.wait_final(2 * JOBS + 3, PATIENCE)

    expected = [number * 2 for number in range(JOBS)] + [number + 1 for number in range(JOBS)]
    assert [result.get(timeout=PATIENCE) for result in results] == expected
    with pytest.raises(KeyError):
        plainly.get(timeout=PATIENCE)
    rows = {str(row["job_id"]): row for row in fleet.rows("select * from @jobs")}
    assert [rows[result.id]["status"] for result in results] == ["COMPLETED"] * 2 * JOBS
    assert (rows[failing.id]["status"], rows[failing.id]["error_type"]) == ("FAILED", "outcome_jobs.Special")
    assert (rows[plainly.id]["status"], rows[plainly.id]["error_type"]) == ("FAILED", "KeyError")
    assert rows[ignored.id]["status"] == "COMPLETED"
    executions = fleet.rows("select job_id, attempt_number, worker_id, started_at from @job_executions")
    assert {str(row["job_id"]) for row in executions} == rows.keys()
    assert {row["attempt_number"] for row in executions} == {1}
    assert all(row["worker_id"] and row["started_at"] for row in executions)
    assert len(fleet.rows("select * from @dead_letter_jobs")) == 2
    assert len((fleet.directory / "ledger").read_text().split()) == JOBS + 3


def test_chain_is_recorded(fleet: Fleet) -> None:
    """What a job publishes from inside the worker gets its row through the journal."""
    add = fleet.client.tasks["suite_jobs.add"]
    result = (add.s(1, 1) | add.s(2))()
    assert result.get(timeout=PATIENCE) == 4
    fleet.wait_final(2, PATIENCE)
    (child,) = fleet.rows(
        "select parent_id::text as parent, root_id::text as root from @jobs where job_id::text = %(id)s", id=result.id
    )
    assert (child["parent"], child["root"]) == (result.parent.id, result.parent.id)


def test_what_no_job_can_be_made_of_is_kept_or_parked(fleet: Fleet) -> None:
    """A message with bad headers is in quarantine, one of an unknown type is parked and published again on trial."""
    good = message("under another broker", headers={"timelimit": ["a", "b"]})
    with fleet.client.connection_for_write() as connection, connection.Producer() as producer:
        producer.publish([[1], {}, {}], routing_key="celery", headers=good["headers"], serializer="json")
    (kept,) = eventually(lambda: fleet.rows("select * from @journal_quarantine"), PATIENCE, fleet.describe)
    assert (kept["kind"], kept["queue"]) == ("message", "celery")
    assert b'"timelimit": ["a", "b"]' in bytes(kept["entry"])
    job_id = fleet.client.send_task("nowhere.at_all").id
    query = "select attempt, retry_count from @jobs where job_id::text = %(id)s and status = 'PAUSED' and attempt > 1"
    (row,) = eventually(lambda: fleet.rows(query, id=job_id), PATIENCE, fleet.describe)
    assert row["retry_count"] == 0


@pytest.mark.parametrize("name", ["prefork", "solo", "threads"])
def test_pools_that_are_taken(name: str) -> None:
    """The pools that run with Celery's event loop are taken."""
    refuse_pool(concurrency.get_implementation(name))


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_pools_that_are_refused(name: str) -> None:
    """A pool without the event loop is refused with the ones to use instead; it need not be installed for that."""
    pool = type("TaskPool", (), {"__module__": f"celery.concurrency.{name}"})
    with pytest.raises(PoolRefused, match=rf"--pool {name}: .*; use prefork, solo or threads"):
        refuse_pool(pool)
