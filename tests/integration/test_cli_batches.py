"""The group ``batches`` of the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from command_line import CliEnvironment

from jobplatform.maintenance.tallier import Tallier
from jobplatform.records import new_job_id
from jobplatform.store import batches


def opened(place: CliEnvironment, name: str = "import") -> str:
    batch_id = new_job_id()
    tell = {"job_id": new_job_id(), "job_type": "b.tell", "payload": {"args": ["{total}"], "kwargs": {}}}
    with place.database.transaction() as transaction:
        batches.insert(transaction, batch_id, name, {"complete": {**tell, "queue": "celery"}})
    return batch_id


def count(place: CliEnvironment) -> None:
    tallier = Tallier(place.database)
    while tallier.run_once(datetime.now(UTC)):
        pass


def test_a_batch_from_its_beginning_to_its_end(cli_environment: CliEnvironment) -> None:
    place = cli_environment
    batch_id = opened(place)
    failed, waiting = place.fail(batch_id=batch_id), place.add(batch_id=batch_id)
    other = place.add()
    shown = place.json("batches", "show", batch_id)
    assert (shown["state"], shown["total"], shown["failed"], shown["percent"]) == ("open", 2, 1, 50.0)
    assert place.json("jobs", "show", waiting)["batch_id"] == batch_id
    assert {job["job_id"] for job in place.json("jobs", "list", "--batch", batch_id)["jobs"]} == {failed, waiting}
    assert place.json("jobs", "pause", "--batch", batch_id, "--reason", "a look") == {"paused": 1}
    assert place.status(other) == "PENDING"

    assert place.json("batches", "retry-failed", batch_id) == [{"batch_id": batch_id, "outcome": "1 replayed"}]
    assert place.status(failed) == "PENDING"
    assert place.json("dlq", "list")["dead_letters"] == []
    assert place.json("batches", "close", batch_id) == [{"batch_id": batch_id, "outcome": "closed"}]
    assert place.json("batches", "cancel", batch_id, "--reason", "enough")[0]["outcome"] == "cancelling"
    count(place)
    shown = place.json("batches", "show", batch_id)
    assert (shown["state"], shown["cancelled"], shown["cancel_reason"]) == ("finished", 2, "enough")
    (call,) = [event for event in shown["events"] if event["job_id"]]
    assert (call["event"], call["job_type"], call["status"]) == ("complete", "b.tell", "PENDING")
    assert place.json("jobs", "show", call["job_id"])["payload"]["args"] == [2]
    assert "complete" in place.run("batches", "show", batch_id).stdout
    assert place.json("batches", "cancel", batch_id)[0]["outcome"] == "had finished"


def test_batches_are_listed_page_by_page(cli_environment: CliEnvironment) -> None:
    place = cli_environment
    ids = [opened(place, f"import {number}") for number in range(3)]
    place.add(batch_id=ids[0])
    place.json("batches", "close", ids[1])
    count(place)
    page = place.json("batches", "list", "--limit", "2")
    assert [row["batch_id"] for row in page["batches"]] == [ids[2], ids[1]]
    (last,) = place.json("batches", "list", "--page", page["next"])["batches"]
    assert (last["batch_id"], last["name"], last["total"], last["state"]) == (ids[0], "import 0", 1, "open")
    unfinished = place.json("batches", "list", "--unfinished")["batches"]
    assert [row["batch_id"] for row in unfinished] == [ids[2], ids[0]]


def test_a_batch_that_is_not_there_is_told(cli_environment: CliEnvironment) -> None:
    for command in ("show", "close", "cancel", "retry-failed"):
        result = cli_environment.run("batches", command, new_job_id())
        assert result.exit_code == 3
        assert "there is none of this id; see: jobplatform batches list" in result.stderr
