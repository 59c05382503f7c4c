"""Journals through the mirror: replayed, doubled, shuffled and poisoned, the rows come out the same."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from journals import OUTCOMES, batches, disturbed, expected, journal_of

from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.collapse import collapse
from jobplatform.journal.mirror import JOURNAL, Mirror
from jobplatform.journal.writer import connect
from jobplatform.records import Edge, NewJob, new_job_ids, row_of, rows_like
from jobplatform.settings import Settings
from jobplatform.store import executions, migrate, new_jobs
from jobplatform.store.database import Database
from jobplatform.store.statement import Statement

READ_ALL = Statement(
    "test_read_all",
    """
    select j.status, j.hold_reason, j.attempt, j.deaths, j.retry_count, j.result, j.error_message, j.due_at,
        j.started_at,
        j.completed_at, j.worker_id, j.progress->>'done' as done,
        (select json_agg(json_build_array(attempt_number, status, error_message, completed_at, worker_id, metrics)
            order by attempt_number) from @job_executions e where e.job_id = j.job_id) as executions,
        (select json_agg(json_build_array(attempt, reason) order by attempt) from @dead_letter_jobs d
            where d.job_id = j.job_id) as dead,
        (select json_agg(json_build_array(attempt, action, delay_seconds) order by attempt) from @retry_decisions r
            where r.job_id = j.job_id) as decisions
    from @jobs j where j.job_id = %(job_id)s::uuid
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000"},
)


@pytest.fixture
def mirror(stack: DevStack, database: Database) -> Iterator[Mirror]:
    client = connect(stack.redis_url)
    client.flushdb()
    yield Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    client.close()


def submitted(database: Database, job_id: str, most: int) -> None:
    row = row_of(NewJob(job_id, "t.job", '{"args":[],"kwargs":{}}', "celery", max_retries=most))
    with database.transaction() as transaction:
        new_jobs.insert(transaction, [row])


def row(database: Database, job_id: str) -> Mapping[str, Any]:
    with database.transaction() as transaction:
        return transaction.rows(READ_ALL, job_id=job_id)[0]


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 2**32))
def test_replayed_doubled_and_shuffled_journals_leave_the_same_rows(
    mirror: Mirror, outcomes: list[str], most: int, seed: int
) -> None:
    luck = random.Random(seed)
    straight = str(uuid.uuid4())
    lines = journal_of(straight, outcomes)
    submitted(mirror.database, straight, most)
    with mirror.database.transaction() as transaction:
        mirror._write(transaction, collapse(entry.parse(line) for line in lines))
    once = row(mirror.database, straight)

    for disturb in (disturbed, disturbed):
        with mirror.database.transaction() as transaction:
            transaction.connection.exec_driver_sql(
                f'delete from "{mirror.database.schema}".dead_letter_jobs; delete from "{mirror.database.schema}".jobs'
            )
        submitted(mirror.database, straight, most)
        for batch in batches(disturb(lines, luck), luck):
            with mirror.database.transaction() as transaction:
                mirror._write(transaction, collapse(batch))
        assert row(mirror.database, straight) == once
    model = expected(straight, lines, most)
    assert once["status"] == model["job"]["status"]
    assert once["hold_reason"] == model["job"].get("hold_reason")
    assert len(once["executions"] or []) == len(model["executions"]) == len(outcomes) - outcomes.count("parked")
    assert len(once["dead"] or []) == len(model["dead"])


@pytest.mark.owner
def test_foreign_keys_are_checked_by_index_on_tables_that_were_vacuumed_empty(settings: Settings) -> None:
    made = Database(settings, pool_size=1, only_indexes=True)
    migrate.upgrade(made)
    with made.session() as session:
        session.connection.exec_driver_sql(f'vacuum analyze "{made.schema}".jobs')
    scans = f"select seq_tup_read from pg_stat_user_tables where schemaname = '{made.schema}' and relname = 'jobs'"
    with made.session() as session:
        for _ in range(3):
            ids = new_job_ids(1.0, 300)
            new_jobs.insert(session, rows_like(NewJob(ids[0], "t", "{}", "celery"), [(job_id, "{}") for job_id in ids]))
            executions.record(
                session, [{"job_id": job_id, "attempt": 1, "status": "COMPLETED", "started_at": 1.0} for job_id in ids]
            )
        session.connection.exec_driver_sql("select pg_stat_force_next_flush()")
        read = session.connection.exec_driver_sql(scans).scalar()
    made.close()
    assert read == 0


def test_the_mirror_hurries_after_it_released_a_job_but_not_under_load(mirror: Mirror) -> None:
    first, second, *others = new_job_ids(1.0, 60)
    jobs = [NewJob(job_id, "t.job", '{"args":[],"kwargs":{}}', "celery") for job_id in (first, *others)]
    jobs.append(replace(jobs[0], job_id=second, status="BLOCKED", after=(Edge(first),)))
    with mirror.database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(job) for job in jobs], edges=True)
    waits: list[float] = []
    mirror.wait = waits.append

    def end(*job_ids: str) -> float:
        lines = {f"e{number}": journal_of(job_id, ["completed"])[1] for number, job_id in enumerate(job_ids)}
        mirror.client.xadd(JOURNAL, lines)
        mirror.run_once(datetime.now(UTC))
        return waits[-1] / mirror.pace_seconds

    assert end(others.pop()) == 1.0
    assert end(first) < 0.2
    assert end(others.pop()) < 0.2
    assert end(*(others.pop() for _ in range(30))) == 1.0
    assert [end(others.pop()) for _ in range(15)][-1] == 1.0


def test_a_mirror_that_dies_after_its_commit_changes_nothing_twice(mirror: Mirror) -> None:
    job_id = str(uuid.uuid4())
    submitted(mirror.database, job_id, 0)
    for line in journal_of(job_id, ["failed"]):
        mirror.client.xadd(JOURNAL, {"e1": line})
    deleted = mirror.client.xdel
    mirror.client.xdel = lambda *ids: (_ for _ in ()).throw(ConnectionError("died"))
    with pytest.raises(ConnectionError):
        mirror.run_once(datetime.now(UTC))
    once = row(mirror.database, job_id)
    mirror.client.xdel = deleted
    mirror.run_once(datetime.now(UTC))
    assert row(mirror.database, job_id) == once
    assert mirror.client.xlen(JOURNAL) == 0


def test_entries_that_cannot_be_applied_are_quarantined_and_stop_nothing(mirror: Mirror) -> None:
    good = str(uuid.uuid4())
    submitted(mirror.database, good, 0)
    poison = [b"nonsense", b'{"v":9}', b'{"v":1,"k":"started","j":"no uuid","t":1}',
              b'{"v":1,"k":"completed","j":"' + str(uuid.uuid4()).encode() + b'","a":"many","t":1}']  # fmt: skip
    for line in [*poison[:2], *journal_of(good, ["completed"]), *poison[2:]]:
        mirror.client.xadd(JOURNAL, {"e1": line})
    counts = mirror.run_once(datetime.now(UTC))
    assert counts["quarantined"] == len(poison)
    assert row(mirror.database, good)["status"] == "COMPLETED"
    with mirror.database.transaction() as transaction:
        rows = transaction.connection.exec_driver_sql(
            f'select entry, reason from "{mirror.database.schema}".journal_quarantine order by 1'
        ).all()
    assert sorted(bytes(entry) for entry, _ in rows) == sorted(poison)
    assert all(reason for _, reason in rows)
    assert mirror.client.xlen(JOURNAL) == 0


def test_a_job_submitted_through_the_journal_has_its_row_before_its_outcome(mirror: Mirror) -> None:
    job_id = str(uuid.uuid4())
    text = row_of(NewJob(job_id, "t.job", '{"args":[1],"kwargs":{}}', "celery", max_retries=0))
    lines = [entry.submitted(job_id, 1.0, text).encode(), *journal_of(job_id, ["failed"])]
    mirror.client.xadd(JOURNAL, {f"e{number}": line for number, line in enumerate(lines)})
    mirror.run_once(datetime.now(UTC))
    found = row(mirror.database, job_id)
    assert (found["status"], found["dead"][0][0]) == ("FAILED", 1)


def test_outcomes_whose_lease_was_lost_are_counted_and_not_applied(mirror: Mirror) -> None:
    job_id = str(uuid.uuid4())
    submitted(mirror.database, job_id, 0)
    lines = journal_of(job_id, ["completed"])
    mirror.client.xadd(JOURNAL, {"e1": lines[0], "x2": lines[1]})
    counts = mirror.run_once(datetime.now(UTC))
    assert counts["stale"] == 1
    assert row(mirror.database, job_id)["status"] == "PROCESSING"


def lost(start: bytes) -> bytes:
    """Write what the rescue script writes of an attempt that had started."""
    return b'{"v":1,"k":"lost","t":1700000200.0,"silent":15.2,"of":' + start + b"}"


def test_a_lost_attempt_begins_again_and_its_late_outcome_is_shown(mirror: Mirror) -> None:
    job_id = str(uuid.uuid4())
    submitted(mirror.database, job_id, 0)
    started, completed, *_ = journal_of(job_id, ["completed"])
    for _ in range(2):
        mirror.client.xadd(JOURNAL, {"e1": started, "e2": lost(started), "x3": completed})
        mirror.run_once(datetime.now(UTC))
        found = row(mirror.database, job_id)
        assert (found["status"], found["attempt"], found["deaths"], found["retry_count"]) == ("PENDING", 2, 1, 0)
        assert found["due_at"] is not None
        ((attempt, status, message, *_, metrics),) = found["executions"]
        assert (attempt, status, metrics["stale"]["kind"]) == (1, "FAILED", "completed")
        assert "silent for 15 s" in message
        assert found["dead"] is None


def test_an_attempt_that_had_ended_is_not_lost(mirror: Mirror) -> None:
    job_id = str(uuid.uuid4())
    submitted(mirror.database, job_id, 0)
    started, completed, *_ = journal_of(job_id, ["completed"])
    mirror.client.xadd(JOURNAL, {"e1": started, "e2": completed})
    mirror.run_once(datetime.now(UTC))
    once = row(mirror.database, job_id)
    mirror.client.xadd(JOURNAL, {"e1": lost(started)})
    mirror.run_once(datetime.now(UTC))
    assert row(mirror.database, job_id) == once


def test_three_deaths_end_in_the_dead_letters(mirror: Mirror) -> None:
    job_id = str(uuid.uuid4())
    submitted(mirror.database, job_id, 9)
    for started in journal_of(job_id, ["running"] * 3)[::2]:
        mirror.client.xadd(JOURNAL, {"e1": started, "e2": lost(started)})
        mirror.run_once(datetime.now(UTC))
    found = row(mirror.database, job_id)
    assert (found["status"], found["attempt"], found["deaths"]) == ("FAILED", 3, 3)
    ((attempt, reason),) = found["dead"]
    assert attempt == 3
    assert reason.startswith("poisoned: its process died 3 times")


@pytest.mark.parametrize("broken", [b'{"v":1,"k":"lost"}', b'{"v":1,"k":"lost","of":7}', b'{"v":1,"k":"lost","of":{}}'])
def test_a_lost_attempt_without_its_start_is_quarantined(mirror: Mirror, broken: bytes) -> None:
    mirror.client.xadd(JOURNAL, {"e1": broken})
    assert mirror.run_once(datetime.now(UTC))["quarantined"] == 1
