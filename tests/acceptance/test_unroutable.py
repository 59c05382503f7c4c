"""Jobs whose type no worker knows are parked, and released by themselves once a worker knows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import suite_jobs
from click.testing import CliRunner
from fleet import Fleet
from hostile_messages import message, raw
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack
from jobplatform.records import new_job_id


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [suite_jobs.__name__], JOBPLATFORM_HEARTBEAT_SECONDS="0.5") as made:
        made.start_controller()
        yield made


def start_ignorant_worker(fleet: Fleet, name: str = "ignorant") -> None:
    """Start a worker of an older version of the application, which has none of the jobs."""
    imports = fleet.environment["JOBPLATFORM_IMPORTS"]
    fleet.environment["JOBPLATFORM_IMPORTS"] = ""
    fleet.start_worker("-c", "1", name=name)
    fleet.environment["JOBPLATFORM_IMPORTS"] = imports


def test_a_job_of_an_unknown_type_waits_for_a_worker_that_knows_it(fleet: Fleet) -> None:
    start_ignorant_worker(fleet)
    ours = fleet.client.tasks["suite_jobs.add"].apply_async((1, 2), link=suite_jobs.remember.s()).id
    foreign = new_job_id()
    links = {"callbacks": [json.loads(json.dumps(suite_jobs.remember.s()))]}
    call = [["\N{GRINNING FACE}"], {}, links]
    fleet.redis.lpush("celery", raw(message("foreign", call, headers={"id": foreign, "task": "suite_jobs.remember"})))
    eventually(lambda: fleet.states()["PAUSED"] == 2, 15, fleet.describe)
    for job_id, name in ((ours, "suite_jobs.add"), (foreign, "suite_jobs.remember")):
        shown = json.loads(CliRunner().invoke(main, ["jobs", "show", job_id, "--json"], env=fleet.environment).stdout)
        assert (shown["status"], shown["hold_by"], shown["attempt"]) == ("PAUSED", "platform", 1)
        assert shown["hold_reason"] == f"unroutable: no worker knows the job type {name!r}"
    assert fleet.is_quiet()
    fleet.processes[-1].stop()
    fleet.start_worker("-c", "1", name="knows")
    assert fleet.wait_final(4, 30) == {"COMPLETED": 4}
    rows = fleet.rows("select job_type, result, retry_count, attempt, hold_reason from @jobs order by created_at")
    assert all((row["retry_count"], row["hold_reason"]) == (0, None) for row in rows)
    assert {(row["job_type"], str(row["result"]), row["attempt"]) for row in rows} == {
        ("suite_jobs.add", "3", 2),
        ("suite_jobs.remember", "\N{GRINNING FACE}", 2),
        ("suite_jobs.remember", "3", 1),
        ("suite_jobs.remember", "\N{GRINNING FACE}", 1),
    }
    assert fleet.rows("select * from @dead_letter_jobs") == []
    assert fleet.rows("select * from @journal_quarantine") == []
    # Who has the code of no job is told of it by the controller, which has.
    (told,) = fleet.rows("select queue, words from @job_types where name = 'suite_jobs.add'")
    assert told == {"queue": "celery", "words": "Add numbers."}


def test_a_type_that_only_some_workers_of_a_queue_know_ends_where_it_is_known(fleet: Fleet) -> None:
    start_ignorant_worker(fleet)
    ignorant = fleet.processes[-1]
    ids = [fleet.client.tasks["suite_jobs.add"].delay(number, 1).id for number in range(20)]
    eventually(lambda: fleet.states()["PAUSED"] == len(ids), 15, fleet.describe)
    assert ignorant.log.read_text().count("its jobs are parked for one that does") == 1
    fleet.start_worker("-c", "1", name="knows")
    eventually(lambda: fleet.rows("select * from @jobs where attempt > 1"), 30, fleet.describe)
    assert ignorant.running
    ignorant.stop()
    assert fleet.wait_final(len(ids), 60) == {"COMPLETED": len(ids)}
    assert fleet.rows("select distinct retry_count from @jobs") == [{"retry_count": 0}]
