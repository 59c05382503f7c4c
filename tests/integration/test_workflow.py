"""Jobs that are submitted after others, one by one and as graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from sqlalchemy.orm import Session

import jobplatform
from jobplatform import Workflow, after, job
from jobplatform.errors import CyclicWorkflow, JobNotFound, JobOptionError
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.retry import decide_all
from jobplatform.journal.mirror import Mirror
from jobplatform.records import new_job_id
from jobplatform.settings import Settings
from jobplatform.store.database import Database

DEAD_DATABASE = "postgresql://postgres@127.0.0.1:1/nothing"


@job(name="w.step", priority=2)
def step(name: str = "") -> None: ...


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("workflow", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


def rows(database: Database) -> dict[str, Mapping[str, Any]]:
    with database.session() as session:
        found = session.connection.exec_driver_sql(
            f'select job_id::text as id, * from "{database.schema}".jobs order by created_at, job_id'
        )
        return {row["id"]: row for row in found.mappings()}


def edges(database: Database) -> set[tuple[str, str, str, str, bool]]:
    with database.session() as session:
        found = session.connection.exec_driver_sql(
            "select job_id::text, depends_on_job_id::text, dependency_type, on_failure, watched "
            f'from "{database.schema}".job_dependencies'
        )
        return {tuple(row) for row in found}


def test_a_job_is_submitted_after_others(app: Celery, database: Database, client: Any) -> None:
    first, second = step.submit("first"), step.submit("second")
    last = step.using(after=[first, after(second.id, "finished", "hold")], priority=5).submit("last")
    row = rows(database)[last.id]
    assert (row["status"], row["priority"], row["enqueued_at"]) == ("BLOCKED", 5, None)
    assert row["due_at"] is not None
    assert edges(database) == {
        (last.id, first.id, "success", "cancel", False),
        (last.id, second.id, "finished", "hold", False),
    }
    assert client.llen("celery\x06\x165") == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "after: 7 is no job"),
        ([""], "after: '' is no job"),
    ],
)
def test_what_is_no_job_is_refused(app: Celery, database: Database, value: Any, said: str) -> None:
    with pytest.raises(JobOptionError, match=said):
        step.using(after=value).submit()
    with pytest.raises(JobOptionError, match="policy: 'soon' is not known"):
        after("x", policy="soon")
    assert rows(database) == {}


def test_a_job_that_nobody_knows_is_not_waited_for(app: Celery, database: Database) -> None:
    with pytest.raises(JobNotFound, match="no row stands for it"):
        step.using(after=new_job_id()).submit()
    with pytest.raises(JobNotFound):
        step.submit_many([("a",), ("b",)], after=new_job_id())
    with Session(app.jobplatform.database.engine) as session, pytest.raises(JobNotFound):
        step.using(after=new_job_id(), session=session).submit()
    assert rows(database) == {}


def test_many_jobs_wait_for_one(app: Celery, database: Database) -> None:
    first = step.submit("first")
    ids = step.submit_many([(str(number),) for number in range(3)], after=first)
    assert {row["status"] for key, row in rows(database).items() if key in ids} == {"BLOCKED"}
    assert {(edge[0], edge[1]) for edge in edges(database)} == {(job_id, first.id) for job_id in ids}


def diamond() -> Workflow:
    flow = Workflow()
    top = flow.add(step.s("top"), name="top")
    left, right = (flow.add(step.s(name).set(priority=4), after=top, name=name) for name in ("left", "right"))
    flow.add(step.s("bottom"), after=[left, after(right, "finished")], name="bottom")
    return flow


def test_a_graph_is_submitted_whole(app: Celery, database: Database, client: Any) -> None:
    flow = diamond()
    assert flow.levels() == {"top": 0, "left": 1, "right": 1, "bottom": 2}
    ids = {name: result.id for name, result in flow.submit().items()}
    found = rows(database)
    assert {name: found[job_id]["status"] for name, job_id in ids.items()} == {
        "top": "PENDING", "left": "BLOCKED", "right": "BLOCKED", "bottom": "BLOCKED",
    }  # fmt: skip
    assert {found[job_id]["due_at"] for job_id in ids.values()} == {None}
    assert found[ids["left"]]["priority"] == 4
    assert found[ids["bottom"]]["payload"] == {"args": ["bottom"], "kwargs": {}}
    assert len({row["root_id"] for row in found.values()}) == 1
    assert edges(database) == {
        (ids["left"], ids["top"], "success", "cancel", True),
        (ids["right"], ids["top"], "success", "cancel", True),
        (ids["bottom"], ids["left"], "success", "cancel", True),
        (ids["bottom"], ids["right"], "finished", "cancel", True),
    }
    assert client.llen("celery\x06\x162") == 1


def test_a_graph_may_hold_tasks_that_are_no_job_types(app: Celery, database: Database) -> None:
    @app.task(name="w.plain")
    def plain(x: int) -> None: ...

    flow = Workflow(app)
    first = flow.add(plain.s(1), name="first")
    flow.add(plain.s(x=2), after=first, name="second")
    ids = flow.submit()
    found = rows(database)
    assert [found[ids[name].id]["status"] for name in ("first", "second")] == ["PENDING", "BLOCKED"]
    assert found[ids["second"].id]["payload"] == {"args": [], "kwargs": {"x": 2}}
    assert {(edge[0], edge[1]) for edge in edges(database)} == {(ids["second"].id, ids["first"].id)}


def test_a_graph_may_hold_job_types_whose_code_is_elsewhere(app: Celery, database: Database) -> None:
    flow = Workflow()
    first = flow.add(app.signature("elsewhere.task", args=(1,)))
    flow.add(app.signature("elsewhere.other"), after=first)
    flow.submit()
    assert {row["job_type"]: row["status"] for row in rows(database).values()} == {
        "elsewhere.task": "PENDING",
        "elsewhere.other": "BLOCKED",
    }


def test_a_cycle_is_refused_and_nothing_is_written(app: Celery, database: Database, client: Any) -> None:
    flow = diamond()
    flow.link(flow.nodes["top"], after=flow.nodes["bottom"])
    with pytest.raises(CyclicWorkflow, match=r"(top|left|right|bottom) -> .* -> \1; remove one of these edges"):
        flow.submit()
    with pytest.raises(CyclicWorkflow):
        flow.levels()
    assert rows(database) == {}
    assert client.keys("celery*") == []


def test_a_graph_in_a_transaction_is_there_when_that_commits(app: Celery, database: Database) -> None:
    with Session(app.jobplatform.database.engine) as session:
        diamond().submit(session=session)
        session.rollback()
        assert rows(database) == {}
        ids = diamond().submit(session=session)
        session.commit()
    found = rows(database)
    assert len(found) == 4
    assert found[ids["top"].id]["due_at"] is not None, "the dispatcher publishes it"


def test_a_graph_goes_through_the_journal_without_postgresql(app: Celery, database: Database, client: Any) -> None:
    settings = app.jobplatform.settings
    app.jobplatform = Platform(replace(settings, database_url=DEAD_DATABASE, connect_seconds=1.0))
    ids = diamond().submit()
    assert rows(database) == {}
    mirror = Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)
    while mirror.run_once(None):  # type: ignore[arg-type]
        pass
    found = rows(database)
    assert {found[ids[name].id]["status"] for name in ("left", "right", "bottom")} == {"BLOCKED"}
    assert len(edges(database)) == 4
    assert {edge[4] for edge in edges(database)} == {True}


def test_a_name_is_given_once(app: Celery) -> None:
    flow = Workflow()
    flow.add(step.s(), name="one")
    with pytest.raises(JobOptionError, match="'one' is taken"):
        flow.add(step.s(), name="one")
    with pytest.raises(JobOptionError, match="is no signature"):
        flow.add(step)
    with pytest.raises(JobOptionError, match="is no signature"):
        flow.add(step.si() | step.si())


@job(name="w.total")
def total(values: list[int], bonus: int = 0) -> int:
    return sum(values) + bonus


@job(name="w.add")
def add(x: int, y: int = 0) -> int:
    return x + y


def shape(flow: Workflow, database: Database) -> dict[str, tuple[list[Any], set[str], Any]]:
    """Submit a workflow, and give what each node is called with, what it waits for and what it takes."""
    ids = {result.id: name for name, result in flow.submit().items()}
    found = rows(database)
    befores: dict[str, set[str]] = {job_id: set() for job_id in ids}
    for edge in edges(database):
        befores[edge[0]].add(ids[edge[1]])
    shown = {}
    for job_id, name in ids.items():
        inputs = (found[job_id]["message"] or {}).get("inputs")
        takes = inputs and ([ids[other] for other in inputs["of"]], inputs["each"])
        shown[name] = (found[job_id]["payload"]["args"], befores[job_id], takes)
    return shown


def test_a_chain_passes_each_result_on(app: Celery, database: Database) -> None:
    flow = Workflow.from_canvas(add.s(1, 2) | add.s(3) | add.si(4, 5) | add.s())
    assert shape(flow, database) == {
        "w.add#1": ([1, 2], set(), None),
        "w.add#2": ([None, 3], {"w.add#1"}, (["w.add#1"], True)),
        "w.add#3": ([4, 5], {"w.add#2"}, None),
        "w.add#4": ([None], {"w.add#3"}, (["w.add#3"], True)),
    }


def test_a_chord_passes_all_results_on(app: Celery, database: Database) -> None:
    flow = Workflow.from_canvas(chord([add.s(1), add.s(2) | add.s(3)], total.s(bonus=4)))
    assert shape(flow, database) == {
        "w.add#1": ([1], set(), None),
        "w.add#2": ([2], set(), None),
        "w.add#3": ([None, 3], {"w.add#2"}, (["w.add#2"], True)),
        "w.total#4": ([None], {"w.add#1", "w.add#3"}, (["w.add#1", "w.add#3"], False)),
    }


def test_a_group_between_two_tasks_is_a_diamond(app: Celery, database: Database) -> None:
    flow = Workflow.from_canvas(chain(add.s(1), group(add.s(2), add.s(3)), total.s()))
    assert flow.levels() == {"w.add#1": 0, "w.add#2": 1, "w.add#3": 1, "w.total#4": 2}
    assert shape(flow, database)["w.total#4"] == ([None], {"w.add#2", "w.add#3"}, (["w.add#2", "w.add#3"], False))


@pytest.mark.parametrize(
    ("canvas", "said"),
    [
        (lambda: add.map([1, 2]), "celery.map"),
        (lambda: add.s(1).on_error(add.si(2)), "link_error"),
        (lambda: "add", "is no signature"),
    ],
)
def test_what_has_no_counterpart_is_refused(app: Celery, canvas: Any, said: str) -> None:
    with pytest.raises(JobOptionError, match=said):
        Workflow.from_canvas(canvas())
