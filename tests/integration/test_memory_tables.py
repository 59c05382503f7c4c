"""The tables in memory that users' tests run on, beside those in PostgreSQL: the same calls give the same answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.errors import BatchClosed, IdempotencyConflict, KeyTaken, Superseded
from jobplatform.maintenance.tallier import Tallier
from jobplatform.records import Edge, Idempotency, NewJob, row_of
from jobplatform.states import RANK, State
from jobplatform.store import (
    batches,
    checkpoints,
    dead_letters,
    dependencies,
    effects,
    executions,
    idempotency,
    jobs,
    new_jobs,
    results,
    retry_decisions,
    revoked,
    uniqueness,
)
from jobplatform.store.database import Database
from jobplatform.testing import batch_rows, edge_rows, job_rows, run_rows
from jobplatform.testing.tables import MemoryDatabase, Tables

assert all((batch_rows, edge_rows, job_rows, run_rows))

LATER = 4e9
COLUMNS = (
    "job_id", "status", "attempt", "retry_count", "error_type", "deaths", "hold_by", "unique_scope", "priority",
)  # fmt: skip


def uid(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012d}"


def new(number: int, **values: Any) -> NewJob:
    return NewJob(uid(number), "t", '{"args": [], "kwargs": {}}', "celery", **values)


def blocked(number: int, *edges: Edge) -> NewJob:
    return new(number, status="BLOCKED", due_at=1.0, after=edges)


def sole(number: int, mode: str, **values: Any) -> NewJob:
    return new(number, unique_key="k", unique_scope="unfinished", unique_mode=mode, **values)


def once(number: int, fingerprint: str) -> NewJob:
    return new(number, idempotency=Idempotency("once", fingerprint, time.time(), LATER))


def news(number: int, state: State, attempt: int = 1, **values: Any) -> dict[str, Any]:
    return {"job_id": uid(number), "status": state, "attempt": attempt, "rank": RANK[state], **values}


def ran(number: int, state: State, attempt: int = 1) -> dict[str, Any]:
    names = ("worker_id", "started_at", "completed_at", "error_type", "error_message", "traceback")
    return {"job_id": uid(number), "attempt": attempt, "status": state, "metrics": {}, **dict.fromkeys(names)}


def decided(number: int) -> dict[str, Any]:
    names = (
        "delay", "completed_at", "fingerprint", "dependency", "gate", "features", "candidates", "propensity", "chance",
        "eventual", "shadow",
    )  # fmt: skip
    said = {"attempt": 1, "job_type": "t", "reason": "over", "decided_by": "static", "free": False}
    return {"job_id": uid(number), **dict.fromkeys(names), **said, "completed_at": 1.0}


def steps(tx: Any) -> list[Callable[[], Any]]:
    """List calls of the platform's own functions, in an order in which each finds what it needs."""
    now, again = datetime.now(UTC), timedelta(seconds=6)

    def apply(*rows: Mapping[str, Any]) -> Any:
        # How long a job waited follows from the clocks of the two.
        moved = jobs.apply_transitions(tx, rows)
        return sorted(str((each.job_type, each.queue, each.status, each.jobs, each.run)) for each in moved)

    def claim(at: datetime) -> Any:
        return sorted(
            (job.job_id, job.step, job.attempt, job.again, job.first) for job in jobs.claim_due(tx, at, 100, again)
        )

    return [
        lambda: new_jobs.insert_one(tx, new(1, priority=3)),
        lambda: new_jobs.insert_one(tx, new(1)),
        lambda: new_jobs.insert(
            tx, [row_of(new(2)), row_of(new(3, status="SCHEDULED", due_at=LATER, scheduled_at=LATER))]
        ),
        lambda: new_jobs.insert_alike(tx, new(0), [(uid(4), "{}"), (uid(5), "{}")]),
        # What waits, with each policy.
        lambda: new_jobs.insert_one(tx, blocked(10, Edge(uid(1)))),
        lambda: new_jobs.insert_one(tx, blocked(11, Edge(uid(2)), Edge(uid(1), "finished"))),
        lambda: new_jobs.insert_one(tx, blocked(12, Edge(uid(2), "failure"))),
        lambda: new_jobs.insert_one(tx, blocked(13, Edge(uid(2), "success", "hold"))),
        lambda: new_jobs.insert_one(tx, blocked(14, Edge(uid(2), "success", "continue"))),
        lambda: new_jobs.insert_one(tx, blocked(15, Edge(uid(11)))),
        lambda: dependencies.insert(tx, f'[{{"job_id": "{uid(4)}", "before": "{uid(1)}"}}]'),
        # Keys.
        lambda: uniqueness.submit(tx, sole(20, "existing")),
        lambda: uniqueness.submit(tx, sole(21, "existing")),
        lambda: uniqueness.submit(tx, sole(22, "replace", priority=5)),
        lambda: uniqueness.submit(tx, sole(23, "reject")),
        lambda: idempotency.submit(tx, once(24, "a")),
        lambda: idempotency.submit(tx, once(25, "a")),
        lambda: idempotency.submit(tx, once(26, "b")),
        lambda: jobs.missing(tx, [uid(1), uid(99)]),
        # Runs.
        lambda: apply(news(1, State.PROCESSING, worker_id="w"), news(2, State.PROCESSING)),
        lambda: executions.record(tx, [ran(1, State.PROCESSING), ran(2, State.FAILED)]),
        lambda: effects.claim(tx, uid(1), "e", 1, ours=True),
        lambda: effects.claim(tx, uid(1), "e", 1, ours=True),
        lambda: checkpoints.save(tx, uid(1), 1, '{"at": 3}'),
        lambda: checkpoints.read(tx, uid(1)),
        lambda: checkpoints.save(tx, uid(98), 1, "{}"),
        lambda: asdict(jobs.retry_facts(tx, [uid(2)])[uid(2)]),
        lambda: apply(news(1, State.COMPLETED, result=5), news(2, State.FAILED, error_type="E", completed_at=2.0)),
        lambda: apply(news(1, State.PROCESSING)),
        lambda: len(retry_decisions.record(tx, [decided(2)])),
        lambda: dead_letters.bury(tx, [{**news(2, State.FAILED), "completed_at": 1.0, "reason": "over"}]),
        lambda: results.results_of(tx, [uid(1), uid(2)]),
        lambda: dependencies.settle(tx, [uid(1), uid(2)]),
        lambda: [(row["job_id"], row["status"]) for row in dependencies.upstream(tx, uid(11))],
        lambda: new_jobs.insert_one(tx, blocked(16, Edge(uid(1)))),
        lambda: dependencies.examine(tx, 100, timedelta(seconds=1), timedelta(hours=1)),
        # Retries, a death, times.
        lambda: apply(news(5, State.PROCESSING), news(20, State.RETRYING, due_at=1.0, error_type="E")),
        lambda: apply(news(5, State.PENDING, 2, due_at=1.0, deaths=1, error_type="WorkerLost")),
        lambda: effects.claim(tx, uid(5), "e", 1, ours=True),
        lambda: claim(now),
        lambda: claim(datetime.fromtimestamp(LATER + 1, UTC)),
        # Orders.
        lambda: {job_id: str(was) for job_id, was in jobs.cancel(tx, [uid(4), uid(1)], "no").items()},
        lambda: sorted(dead_letters.replay(tx, [uid(2), uid(1)])),
        lambda: jobs.hasten(tx, [uid(20)]),
        # A batch.
        lambda: batches.insert(
            tx, uid(50), "b", {"complete": {"job_id": uid(60), "job_type": "t", "payload": {}, "queue": "q"}}
        ),
        lambda: new_jobs.insert_one(tx, new(51, batch_id=uid(50))),
        lambda: new_jobs.insert_one(tx, new(52, batch_id=uid(50))),
        lambda: batches.close(tx, uid(50)),
        lambda: batches.join(tx, uid(50)),
        lambda: apply(news(51, State.COMPLETED), news(52, State.FAILED)),
        lambda: {name: value for name, value in asdict(batches.show(tx, uid(50))[1]).items() if name != "eta"},
        lambda: dict(Tallier(_Within(tx)).run_once(now)),  # type: ignore[arg-type]
        lambda: dict(Tallier(_Within(tx)).run_once(now)),  # type: ignore[arg-type]
        lambda: batches.cancel(tx, uid(50), "no"),
        lambda: new_jobs.insert_alike(tx, new(0), [(uid(70), "{}"), (uid(71), "{}")]),
        lambda: apply(news(71, State.PROCESSING)),
        lambda: revoked.revoke(tx, [uid(70), uid(71), uid(1)], running=False),
        lambda: revoked.revoke(tx, [uid(70), uid(71)], running=True),
    ]


class _Within:
    """A database whose transactions are all the same one."""

    def __init__(self, tx: Any) -> None:
        self.tx = tx

    def transaction(self) -> _Within:
        return self

    session = transaction

    def once(self, work: Callable[[Any], Any]) -> Any:
        return work(self.tx)

    def __enter__(self) -> Any:
        return self.tx

    def __exit__(self, *of: object) -> None:
        pass


def answers(tx: Any) -> list[str]:
    found = []
    for number, step in enumerate(steps(tx)):
        try:
            answer = step()
        except (BatchClosed, IdempotencyConflict, KeyTaken, Superseded) as error:
            answer = type(error).__name__
        found.append(f"{number}: {json.dumps(answer, default=repr, sort_keys=True)}")
    return found


def test_statements_in_memory_answer_as_postgresql_does(database: Database) -> None:
    tables = Tables(time.time)
    with MemoryDatabase(tables).transaction() as writing, database.transaction() as transaction:
        said, expected = answers(writing), answers(transaction)
        assert said == expected
        sql = f'select {", ".join(COLUMNS)} from "{database.schema}".jobs order by job_id'
        rows = transaction.connection.exec_driver_sql(sql).mappings().all()
    ours = [
        {name: row[name] for name in COLUMNS} for row in sorted(tables.of("jobs"), key=lambda row: str(row["job_id"]))
    ]
    assert ours == [{**row, "job_id": str(row["job_id"])} for row in rows]
