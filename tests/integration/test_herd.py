"""Ten thousand jobs fail in the same moment: their retries are spread, queued in batches, and all complete."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from queues import QUEUE, acquire

from jobplatform.jobs.retry import DEFAULT, decide_all
from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.records import NewJob, new_job_ids, rows_like
from jobplatform.store import new_jobs
from jobplatform.store.database import Database
from jobplatform.transport import keys
from jobplatform.transport.ledger import Ledger
from jobplatform.transport.publisher import Publisher

JOBS = 10_000
BATCH = 500
#: When all of them fail, in seconds since the epoch.
MOMENT = 1_800_000_000.0


@pytest.fixture
def mirror(database: Database, client: Any) -> Mirror:
    return Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)


def mirror_all(mirror: Mirror) -> None:
    while mirror.run_once(datetime.now(UTC)):
        pass


def submit(database: Database) -> list[str]:
    """Write the rows of all jobs, as if their messages were pushed."""
    ids = new_job_ids(MOMENT - 1, JOBS)
    like = NewJob("", "t.job", "", QUEUE, enqueued_at=MOMENT - 1)
    with database.transaction() as transaction:
        new_jobs.insert(transaction, rows_like(like, ((job_id, '{"args":[],"kwargs":{}}') for job_id in ids)))
    return ids


def fail_all(client: Any, ids: list[str]) -> None:
    """Journal that the first attempt of each has failed, in commits of a hundred."""
    error = {"type": "ConnectionError", "message": "the dependency is down", "classes": ["ConnectionError"]}
    for start in range(0, len(ids), 100):
        heads = [entry.attempt_head(job_id, 1, "w@host", 1, MOMENT - 1, "") for job_id in ids[start : start + 100]]
        texts = [entry.ended(Kind.FAILED, head, MOMENT - 0.1, MOMENT, error) for head in heads]
        client.xadd(keys.JOURNAL, {f"e{number}": text for number, text in enumerate(texts)})


def complete_all(client: Any, taken: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Run what was taken, as a worker does."""
    ledger = Ledger()
    for tag, queue, body in taken:
        headers = body["headers"]
        head = entry.attempt_head(headers["id"], headers["jp_attempt"], "w@host", 1, headers["jp_at"], "")
        ledger.hold(tag, queue, b"{}")
        ledger.outcome(tag, entry.completed(head, MOMENT, MOMENT, "null"))
        ledger.settle(tag)
    assert ledger.commit(client, 30)


def states(database: Database) -> dict[tuple[str, int], int]:
    with database.session() as session:
        sql = f'select status, retry_count, count(*) from "{database.schema}".jobs group by 1, 2'
        return {(status, retries): count for status, retries, count in session.connection.exec_driver_sql(sql)}


def test_ten_thousand_retries_are_spread_queued_in_batches_and_all_complete(
    database: Database, client: Any, publisher: Publisher, mirror: Mirror
) -> None:
    fail_all(client, submit(database))
    mirror_all(mirror)
    assert states(database) == {("RETRYING", 0): JOBS}
    dispatcher = Dispatcher(database, publisher, BATCH, 0.25)
    a_second: Counter[int] = Counter()
    for second in range(1, int(DEFAULT.base) + 1):
        now = datetime.fromtimestamp(MOMENT + second, UTC)
        while published := dispatcher.run_once(now)["published"]:
            assert published <= BATCH
            a_second[second] += published
        assert client.llen(QUEUE) == a_second[second]
        while taken := acquire(client, 100, f"w:{second}:{client.hlen(keys.LEASES)}:{client.xlen(keys.JOURNAL)}:"):
            complete_all(client, taken)
    assert sum(a_second.values()) == JOBS
    assert max(a_second.values()) <= 3 * JOBS / DEFAULT.base
    assert dispatcher.run_once(now + timedelta(hours=1)) == {}
    mirror_all(mirror)
    assert states(database) == {("COMPLETED", 1): JOBS}
