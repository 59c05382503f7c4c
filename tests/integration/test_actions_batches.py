"""Batches and workflows by actions: seen and steered by who may see all of their jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from command_line import CliEnvironment

from jobplatform.actions import batches, jobs, workers, workflows
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.errors import BatchNotFound, WorkflowNotFound
from jobplatform.records import new_job_id
from jobplatform.settings import Settings
from jobplatform.store import audit, dependencies
from jobplatform.store import batches as batch_rows
from jobplatform.store import workers as worker_rows

ROOT = at_terminal("root")


@pytest.fixture
def desk(settings: Settings, cli_environment: CliEnvironment) -> Desk:
    return Desk(settings, cli_environment.database, lambda: None, lambda: None)


def operator(**scope: frozenset[str]) -> Actor:
    return Actor("ann", Via.PAGE, ROLES["operator"], Scope(**scope), "192.0.2.1")


def opened(desk: Desk, callbacks: dict[str, Any] | None = None) -> str:
    batch_id = new_job_id()
    with desk.database.transaction() as transaction:
        batch_rows.insert(transaction, batch_id, "import", callbacks or {})
    return batch_id


def linked(place: CliEnvironment, *edges: tuple[str, str]) -> None:
    rows = [{"job_id": job_id, "after": [[before, "success", "cancel"]]} for job_id, before in edges]
    with place.database.transaction() as transaction:
        dependencies.insert(transaction, json.dumps(rows))


def test_a_batch_is_there_for_who_may_see_all_of_its_jobs(desk: Desk, cli_environment: CliEnvironment) -> None:
    own, shared, empty = opened(desk), opened(desk), opened(desk)
    failed = cli_environment.fail(batch_id=own, queue="mail", tenant="a")
    cli_environment.add(batch_id=own, queue="mail", tenant="a")
    for queue in ("mail", "celery"):
        cli_environment.add(batch_id=shared, queue=queue, tenant="a" if queue == "mail" else None)
    everywhere = [row["batch_id"] for row in batches.list_batches(desk, ROOT, False, 10).rows]
    assert everywhere == [empty, shared, own]
    for who in (operator(queues=frozenset({"mail"})), operator(tenants=frozenset({"a"}))):
        assert [row["batch_id"] for row in batches.list_batches(desk, who, True, 1).rows] == [own]
        assert batches.show_batch(desk, who, own).batch["total"] == 2
        verbs: list[Callable[[str], Any]] = [
            lambda batch_id, who=who: batches.show_batch(desk, who, batch_id),  # type: ignore[misc]
            lambda batch_id, who=who: batches.eta(desk, who, batch_id),  # type: ignore[misc]
            lambda batch_id, who=who: batches.close(desk, who, batch_id),  # type: ignore[misc]
            lambda batch_id, who=who: batches.cancel(desk, who, batch_id, "no"),  # type: ignore[misc]
            lambda batch_id, who=who: batches.retry_failed(desk, who, batch_id),  # type: ignore[misc]
        ]
        for verb in verbs:
            for batch_id in (shared, empty):
                with pytest.raises(BatchNotFound):
                    verb(batch_id)
    assert batches.retry_failed(desk, who, own) == 1
    assert cli_environment.json("dlq", "show", "1")["resolved_by"] == "ann"
    assert batches.show_batch(desk, ROOT, shared).batch["state"] == "open"
    assert cli_environment.status(failed) == "PENDING"
    with desk.look() as session:
        rows = audit.listed(session, 10)
    assert [row["outcome"] for row in rows] == [{"replayed": 1}, {"asked": True}]


def test_workflows_are_listed_by_root_with_their_jobs(desk: Desk, cli_environment: CliEnvironment) -> None:
    add, roots = cli_environment.add, [new_job_id(1_700_000_000.0 + number) for number in range(4)]
    first = [cli_environment.fail(root_id=roots[0], queue="mail"), add("BLOCKED", root_id=roots[0], queue="mail")]
    second = [add(root_id=roots[1], queue=queue) for queue in ("mail", "celery", "mail")]
    for _ in range(2):
        add(root_id=roots[2])  # jobs of one root that do not wait for each other
    add(root_id=roots[3])
    linked(cli_environment, (first[1], first[0]), (second[1], second[0]), (second[2], second[1]))
    found = workflows.list_workflows(desk, ROOT, 10)
    assert [(row["root_id"], row["jobs"], row["states"]) for row in found.rows] == [
        (roots[1], 3, {"PENDING": 3}), (roots[0], 2, {"FAILED": 1, "BLOCKED": 1}),
    ]  # fmt: skip
    page = workflows.list_workflows(desk, ROOT, 1)
    assert ([row["root_id"] for row in page.rows], page.next) == ([roots[1]], roots[1])
    rest = workflows.list_workflows(desk, ROOT, 1, page.next)
    assert ([row["root_id"] for row in rest.rows], rest.next) == ([roots[0]], None)
    assert [row["root_id"] for row in cli_environment.json("workflows", "list")["workflows"]] == [roots[1], roots[0]]

    shown = cli_environment.json("workflows", "show", second[2])
    assert (shown["root_id"], shown["complete"]) == (roots[1], True)
    assert [(row["job_id"], row["level"], row["after"]) for row in shown["jobs"]] == [
        (second[0], 0, []), (second[1], 1, [second[0]]), (second[2], 2, [second[1]]),
    ]  # fmt: skip
    assert not workflows.show_workflow(desk, ROOT, roots[1], 2).complete
    assert cli_environment.run("workflows", "show", new_job_id()).exit_code == 3

    mail = operator(queues=frozenset({"mail"}))
    assert [row["root_id"] for row in workflows.list_workflows(desk, mail, 10).rows] == [roots[0]]
    seen = workflows.show_workflow(desk, mail, roots[1], 10)
    assert {row["job_id"]: row["after"] for row in seen.jobs} == {second[0]: [], second[2]: []}
    assert {row["job_id"] for row in jobs.graph(desk, mail, second[0], 10)} == {second[0], second[2]}
    assert not jobs.show_job(desk, mail, second[2]).edges
    assert len(jobs.show_job(desk, ROOT, second[1]).edges) == 2
    assert jobs.states(desk, mail, second) == {second[0]: "PENDING", second[2]: "PENDING"}
    for unseen in (roots[2], second[1]):
        with pytest.raises(WorkflowNotFound):
            workflows.show_workflow(desk, mail, unseen, 10)


def test_what_a_worker_runs_is_told_within_the_scope(desk: Desk, cli_environment: CliEnvironment) -> None:
    own, other = cli_environment.add(queue="mail"), cli_environment.add(queue="celery")
    report = {"active": 2, "running": [{"job_id": job_id, "type": "shop.charge"} for job_id in (own, other)]}
    said = {"pid": 1, "status": "alive", "started_at": time.time(), "last_seen_at": time.time(), "report": report}
    with desk.database.transaction() as transaction:
        worker_rows.record(
            transaction, [{"worker_id": "w", "name": "w@here", **said}], datetime(2026, 1, 1, tzinfo=UTC)
        )
    for who, ids in ((ROOT, [own, other]), (operator(queues=frozenset({"mail"})), [own])):
        shown = workers.show_worker(desk, who, "w@here")
        (listed,) = workers.list_workers(desk, who, False, 10)
        assert [job["job_id"] for job in shown["report"]["running"]] == ids
        assert listed["report"] == shown["report"]
