"""Edges between jobs: settled once, whoever sees first that a job has ended."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobplatform.records import Edge, NewJob, new_job_id
from jobplatform.store import dependencies, jobs, new_jobs
from jobplatform.store.database import Database, Transaction

QUEUE = "celery"
#: For so long nothing that does not come is given up on.
PATIENCE = timedelta(hours=1)


class Graph:
    """Rows of jobs, and what the mirror and the dispatcher do to them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, *after: str | Edge, **values: Any) -> str:
        """Write a job that waits for others."""
        edges = tuple(edge if isinstance(edge, Edge) else Edge(edge) for edge in after)
        now = time.time()
        status, due = ("BLOCKED", now) if edges else ("PENDING", None)
        job = NewJob(new_job_id(), "t.job", "{}", QUEUE, status=status, due_at=due, after=edges or None, **values)
        with self.database.transaction() as transaction:
            new_jobs.insert_one(transaction, job)
        return job.job_id

    def end(
        self, *job_ids: str, status: str = "COMPLETED", attempt: int = 1, transaction: Transaction | None = None
    ) -> dict[str, int]:
        """End jobs as the mirror does."""
        if transaction is None:
            with self.database.transaction() as made:
                return self.end(*job_ids, status=status, attempt=attempt, transaction=made)
        rows = [{"job_id": job_id, "status": status, "attempt": attempt, "rank": 4} for job_id in job_ids]
        jobs.apply_transitions(transaction, rows)
        return dependencies.settle(transaction, job_ids)

    def dispatch(self) -> list[str]:
        """Do what is due; returns the jobs that are published."""
        published: list[str] = []
        while True:
            with self.database.transaction() as transaction:
                dependencies.examine(transaction, 100, timedelta(), PATIENCE)
            with self.database.transaction() as transaction:
                found = jobs.claim_due(transaction, datetime.now(UTC), 100, timedelta(seconds=6))
            if not found:
                return published
            published += [job.job_id for job in found if job.step == "publish"]

    def rows(self) -> dict[str, Mapping[str, Any]]:
        with self.database.session() as session:
            found = session.connection.exec_driver_sql(
                f'select job_id::text, status, error_type, error_message, hold_by from "{self.database.schema}".jobs'
            )
            return {row["job_id"]: row for row in found.mappings()}

    def states(self, job_ids: Sequence[str]) -> list[str]:
        rows = self.rows()
        return [rows[job_id]["status"] for job_id in job_ids]


@pytest.fixture
def graph(database: Database) -> Graph:
    return Graph(database)


def test_a_job_waits_until_all_that_it_depends_on_has_completed(graph: Graph) -> None:
    first, second = graph.add(), graph.add()
    last = graph.add(first, second)
    assert graph.dispatch() == []
    assert graph.end(first) == {}
    assert graph.dispatch() == []
    assert graph.end(second) == {"release": 1}
    assert graph.dispatch() == [last]
    assert graph.end(first, second) == {}, "a journal that is read twice"


def test_what_has_ended_before_is_not_waited_for(graph: Graph) -> None:
    first = graph.add()
    graph.end(first)
    last = graph.add(first)
    assert graph.dispatch() == [last]


def test_a_job_with_a_time_waits_for_that_as_well(graph: Graph) -> None:
    first = graph.add()
    last = graph.add(first, scheduled_at=time.time() + 3_600)
    graph.end(first)
    assert graph.dispatch() == []
    assert graph.states([last]) == ["SCHEDULED"]


@pytest.mark.parametrize(
    ("policy", "on_failure", "ended", "expected"),
    [
        ("success", "cancel", "COMPLETED", "PENDING"),
        ("success", "cancel", "FAILED", "CANCELLED"),
        ("success", "cancel", "CANCELLED", "CANCELLED"),
        ("success", "continue", "FAILED", "PENDING"),
        ("success", "hold", "FAILED", "PAUSED"),
        ("success", "hold", "COMPLETED", "PENDING"),
        ("finished", "cancel", "COMPLETED", "PENDING"),
        ("finished", "cancel", "FAILED", "PENDING"),
        ("finished", "hold", "CANCELLED", "PENDING"),
        ("failure", "cancel", "FAILED", "PENDING"),
        ("failure", "hold", "COMPLETED", "CANCELLED"),
        ("failure", "continue", "COMPLETED", "PENDING"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_diamond_with_every_edge_policy(
    graph: Graph, policy: str, on_failure: str, ended: str, expected: str, before: bool
) -> None:
    top = graph.add()
    left, right = graph.add(top), graph.add(top)
    graph.end(top)
    graph.dispatch()
    edge = Edge(left, policy, on_failure)
    bottom = graph.add(edge, right) if before else ""
    graph.end(left, status=ended)
    bottom = bottom or graph.add(edge, right)
    graph.dispatch()
    graph.end(right)
    graph.dispatch()
    assert graph.states([bottom]) == [expected]


def test_what_is_cancelled_cancels_what_depends_on_it(graph: Graph) -> None:
    chain = [graph.add()]
    for _ in range(20):
        chain.append(graph.add(chain[-1]))
    graph.dispatch()
    with graph.database.transaction() as transaction:
        jobs.cancel(transaction, chain[:1], "by hand")
    assert set(graph.states(chain)) == {"CANCELLED"}
    assert graph.rows()[chain[-1]]["error_type"] == "DependencyUnmet"


def test_what_was_cancelled_for_a_failure_waits_again_when_that_is_run_once_more(graph: Graph) -> None:
    first = graph.add()
    held, cancelled = graph.add(Edge(first, "success", "hold")), graph.add(first)
    behind, by_hand = graph.add(cancelled), graph.add(first)
    graph.dispatch()
    with graph.database.transaction() as transaction:
        jobs.cancel(transaction, [by_hand], "by hand")
    graph.end(first, status="FAILED")
    assert graph.states([held, cancelled, behind, by_hand]) == ["PAUSED", "CANCELLED", "CANCELLED", "CANCELLED"]
    with graph.database.transaction() as transaction:
        assert jobs.replay(transaction, [first]) == [first]
    assert graph.states([first, held, cancelled, behind, by_hand]) == [
        "PENDING", "BLOCKED", "BLOCKED", "BLOCKED", "CANCELLED",
    ]  # fmt: skip
    assert graph.dispatch() == [first]
    graph.end(first, attempt=2)
    assert set(graph.dispatch()) == {held, cancelled}
    graph.end(held, cancelled)
    assert graph.dispatch() == [behind]


def test_an_expired_job_ends_what_waits_for_it(graph: Graph) -> None:
    first = graph.add()
    expired = graph.add(first, expires_at=time.time() - 1)
    last = graph.add(expired)
    graph.dispatch()
    assert graph.states([expired, last]) == ["CANCELLED", "CANCELLED"]


def test_an_end_that_is_not_committed_yet_is_seen_later(graph: Graph) -> None:
    """The edge is written after the mirror has looked for edges, and looked at before the mirror commits."""
    first = graph.add()
    with graph.database.transaction() as mirror:
        graph.end(first, transaction=mirror)
        last = graph.add(first)
        assert graph.dispatch() == []
    assert graph.dispatch() == [last]


def test_what_is_not_there_yet_is_waited_for(graph: Graph) -> None:
    """Both were submitted in a running job, and their rows come through the journal in any order."""
    first = new_job_id()
    last = graph.add(first)
    assert graph.dispatch() == []
    with graph.database.transaction() as transaction:
        new_jobs.insert_one(transaction, NewJob(first, "t.job", "{}", QUEUE))
    graph.end(first)
    assert graph.dispatch() == [last]


def test_a_join_of_many_fires_once_whoever_settles_its_edges(graph: Graph) -> None:
    leaves = [graph.add() for _ in range(400)]
    join = graph.add(*leaves)
    graph.dispatch()
    released: list[int] = []

    def settle(seed: int) -> None:
        order = random.Random(seed).sample(leaves, len(leaves))
        for start in range(0, len(order), 20):
            chunk = sorted(order[start : start + 20])
            released.append(graph.end(*chunk).get("release", 0))

    threads = [threading.Thread(target=settle, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(released) == 1
    assert graph.dispatch() == [join]


def give_up(graph: Graph, patience: timedelta = timedelta()) -> dict[str, int]:
    with graph.database.transaction() as transaction:
        return dependencies.examine(transaction, 100, timedelta(), patience)


@pytest.mark.parametrize(
    ("policy", "on_failure", "expected"),
    [
        ("success", "cancel", "CANCELLED"),
        ("success", "continue", "PENDING"),
        ("success", "hold", "PAUSED"),
        ("finished", "cancel", "PENDING"),
        ("failure", "cancel", "PENDING"),
    ],
)
def test_a_job_that_never_comes_counts_as_failed(graph: Graph, policy: str, on_failure: str, expected: str) -> None:
    missing = new_job_id()
    last = graph.add(Edge(missing, policy, on_failure))
    behind = graph.add(last)
    assert graph.dispatch() == []
    assert give_up(graph, PATIENCE) == {"examined": 1}
    assert graph.states([last, behind]) == ["BLOCKED", "BLOCKED"]
    given_up = give_up(graph)
    assert given_up["missing"] == 1
    assert graph.states([last, behind]) == [expected, "CANCELLED" if expected == "CANCELLED" else "BLOCKED"]
    with graph.database.session() as session:
        ((reason,),) = session.connection.exec_driver_sql(
            f'select reason from "{graph.database.schema}".job_dependencies where depends_on_job_id = %(id)s::uuid',
            {"id": missing},
        )
    assert reason == f"no row stood for job {missing} within 0 s"
    if expected == "CANCELLED":
        row = graph.rows()[last]
        assert (row["error_type"], row["error_message"]) == ("DependencyUnmet", reason)
    assert "missing" not in give_up(graph), "once"


def test_a_job_that_comes_late_changes_nothing_any_more(graph: Graph) -> None:
    missing = new_job_id()
    last = graph.add(missing)
    give_up(graph)
    with graph.database.transaction() as transaction:
        new_jobs.insert_one(transaction, NewJob(missing, "t.job", "{}", QUEUE))
    graph.end(missing)
    graph.dispatch()
    assert graph.states([last, missing]) == ["CANCELLED", "COMPLETED"]


def test_a_job_that_comes_in_time_is_waited_for_however_long_it_runs(graph: Graph) -> None:
    first = new_job_id()
    last = graph.add(first)
    graph.dispatch()
    with graph.database.transaction() as transaction:
        new_jobs.insert_one(transaction, NewJob(first, "t.job", "{}", QUEUE))
    assert "missing" not in give_up(graph)
    graph.end(first)
    assert graph.dispatch() == [last]


def test_a_row_that_is_held_is_not_taken_for_one_that_never_came(graph: Graph) -> None:
    first = graph.add()
    with graph.database.transaction() as mirror:
        graph.end(first, transaction=mirror)
        last = graph.add(first)
        assert "missing" not in give_up(graph)
    assert graph.dispatch() == [last]
