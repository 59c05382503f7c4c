"""Hostile messages: none ends the worker's main process, none is dropped, none goes round in circles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import suite_jobs
from click.testing import CliRunner
from fleet import Fleet, Process
from hostile_messages import KNOWN, QUARANTINED, ROWLESS, Hostile, hostile, message, raw
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack
from jobplatform.journal.entry import RAW_LIMIT
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.store import new_jobs

ORDINARY = 5


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [suite_jobs.__name__]) as made:
        made.start_controller()
        yield made


def by_hand(fleet: Fleet, raw: bytes) -> None:
    """Publish as somebody does who knows nothing but the name of the list."""
    fleet.redis.lpush("celery", raw)


def is_settled(fleet: Fleet, ordinary: int) -> bool:
    done = fleet.rows("select count(*) as jobs from @jobs where job_type = 'suite_jobs.add' and status = 'COMPLETED'")
    waiting = fleet.rows("select count(*) as jobs from @jobs where status in ('PENDING', 'PROCESSING')")
    return (
        done[0]["jobs"] == ordinary and not waiting[0]["jobs"] and not fleet.redis.llen("celery") and fleet.is_quiet()
    )


def fates(fleet: Fleet, messages: list[Hostile]) -> dict[str, Any]:
    """Tell what became of each message, by name; nothing else may be in quarantine."""
    kept = fleet.rows("select kind, entry, size, queue, reason from @journal_quarantine where kind = 'message'")
    states = {str(row["job_id"]): row["status"] for row in fleet.rows("select job_id, status from @jobs")}
    rowless = [row["reason"] for row in fleet.rows("select reason from @journal_quarantine where kind = 'entry'")]
    raws = [bytes(row["entry"]) for row in kept]
    assert all(row["reason"] and row["queue"] == "celery" for row in kept)
    found: dict[str, Any] = {}
    for item in messages:
        copies = raws.count(item.raw[:RAW_LIMIT])
        assert copies <= 1, f"{item.name} is in quarantine {copies} times"
        if copies:
            assert next(row["size"] for row in kept if bytes(row["entry"]) == item.raw[:RAW_LIMIT]) == len(item.raw)
        state = states.get(item.job_id)
        nowhere = ROWLESS if any(item.job_id in reason for reason in rowless) else None
        found[item.name] = QUARANTINED if copies and not state else state or nowhere
    found["others in quarantine"] = len(kept) - list(found.values()).count(QUARANTINED)
    return found


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_every_hostile_message_is_survived_and_kept(fleet: Fleet, tmp_path: Path, pool: str) -> None:
    worker = fleet.start_worker("-c", "2", "-P", pool)
    messages = hostile(tmp_path / "canary")
    assert len(messages) >= 25
    for item in messages:
        by_hand(fleet, item.raw)
    add = fleet.client.tasks["suite_jobs.add"]
    for number in range(ORDINARY):
        add.delay(number, 1)
    eventually(lambda: not worker.running or is_settled(fleet, ORDINARY), 90, fleet.describe)
    assert_alive(worker)
    expected = {item.name: item.fate for item in messages} | {"others in quarantine": 0}
    assert fates(fleet, messages) == expected
    assert not (tmp_path / "canary").exists()
    assert worker.log.read_text().count(" ready.") == 1


def assert_alive(worker: Process) -> None:
    assert worker.running, worker.tail()


def test_a_message_that_names_a_row_is_kept_and_the_row_says_what_happened(fleet: Fleet) -> None:
    worker = fleet.start_worker("-c", "1")
    broken: list[tuple[Any, dict[str, Any]]] = [("hello", {}), (None, {"timelimit": ["a", "b"]}), (None, {"task": 5})]
    for body, headers in broken:
        job_id = new_job_id()
        row = row_of(NewJob(job_id, KNOWN, '{"args":[1],"kwargs":{}}', "celery"))
        fleet.database.once(lambda session, row=row: new_jobs.insert(session, [row]))
        by_hand(fleet, raw(message("named", body, headers={**headers, "id": job_id, "jp_attempt": 1})))
    assert fleet.wait_final(len(broken), 30) == {"FAILED": len(broken)}
    rows = fleet.rows(
        """
        select j.error_type, q.kind, d.reason from @jobs j join @journal_quarantine q on q.job_id = j.job_id
        join @dead_letter_jobs d on d.job_id = j.job_id
        """
    )
    assert [(row["error_type"], row["kind"]) for row in rows] == [("InvalidMessage", "message")] * len(broken)
    assert_alive(worker)


def test_broadcasts_that_cannot_be_read_end_no_worker(fleet: Fleet) -> None:
    worker = fleet.start_worker("-c", "1")
    # Redis may hear of the subscriptions, to commands and to events, after the worker has called itself ready.
    eventually(lambda: fleet.redis.pubsub_numpat() == 2, 30, lambda: str(fleet.redis.pubsub_numpat()))
    for content in (b"", b"hello", b"[]", b"7", b"\xff", b"[" * 200_000, b'{"properties":[]}', b'{"body":1}'):
        assert fleet.redis.publish("/0.celery.pidbox", content) == 1
    for name in ("no body", "body is a text", "body no JSON", "pickle", "headers is a list"):
        broken = next(item for item in hostile(Path("never")) if item.name == name)
        assert fleet.redis.publish("/0.celeryev/worker.heartbeat", broken.raw) == 1
    assert eventually(lambda: not worker.running or fleet.client.control.ping(timeout=1.0), 20)
    assert_alive(worker)
    assert worker.log.read_text().count("a broadcast cannot be read and is dropped") == 10


def test_a_repaired_message_is_replayed_from_quarantine(fleet: Fleet) -> None:
    fleet.start_worker("-c", "1")
    bad = next(item for item in hostile(Path("never")) if item.name == "no JSON")
    good = next(item for item in hostile(Path("never")) if item.name == "priority a text")
    by_hand(fleet, bad.raw)
    eventually(lambda: fleet.rows("select * from @journal_quarantine"), 15, fleet.describe)
    fleet.database.once(lambda session: session.connection.exec_driver_sql(
        f"update {fleet.settings.schema}.journal_quarantine set entry = %(raw)s, size = length(%(raw)s)",
        {"raw": good.raw},
    ))  # fmt: skip
    done = CliRunner().invoke(main, ["quarantine", "replay", "--kind", "message"], env=fleet.environment)
    assert done.exit_code == 0, done.output
    assert fleet.wait_final(1, 15) == {"COMPLETED": 1}
