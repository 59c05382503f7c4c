"""Graphs of jobs on real workers: in order, once, whatever is killed."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import workflow_jobs
from celery import chain, group
from fleet import Fleet
from processes import eventually

from jobplatform import Workflow, after
from jobplatform.devstack.stack import DevStack

NODES, LEAVES = 1_000, 10_000


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [workflow_jobs.__name__], JOBPLATFORM_HEARTBEAT_SECONDS="1") as made:
        yield made


def signature(fleet: Fleet, name: str, *args: object) -> object:
    return fleet.client.tasks[f"workflow_jobs.{name}"].s(*args)


def test_a_random_graph_runs_in_order(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    fleet.start_worker("-c", "2", name="w2")
    book, chance = tmp_path / "book", random.Random(11)
    flow = Workflow(fleet.client)
    befores: dict[str, list[str]] = {}
    for number in range(NODES):
        name = f"n{number}"
        befores[name] = [f"n{other}" for other in chance.sample(range(number), min(number, chance.randint(0, 4)))]
        edges = [flow.nodes[before] for before in befores[name]] if befores[name] else None
        flow.add(signature(fleet, "step", str(book), name), after=edges, name=name)
    flow.submit()
    assert fleet.wait_final(NODES, 120) == {"COMPLETED": NODES}
    lines = book.read_text().splitlines()
    place = {line: number for number, line in enumerate(lines)}
    assert len(lines) == len(place) == 2 * NODES
    for name, names in befores.items():
        assert all(place[f"end {before}"] < place[f"begin {name}"] for before in names), name


@pytest.mark.long
def test_a_join_of_many_fires_once_while_controllers_are_killed(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_worker("-c", "2")
    book = tmp_path / "book"
    flow = Workflow(fleet.client)
    leaves = [flow.add(signature(fleet, "step", str(book), f"leaf{number}")) for number in range(LEAVES)]
    flow.add(signature(fleet, "step", str(book), "join"), after=leaves)
    flow.submit()
    for share in (0.1, 0.3, 0.5, 0.7):
        controller = fleet.start_controller()
        eventually(lambda share=share: fleet.states()["COMPLETED"] > share * LEAVES, 120, fleet.describe)
        controller.stop(signal.SIGKILL)
    fleet.start_controller()
    assert fleet.wait_final(LEAVES + 1, 120) == {"COMPLETED": LEAVES + 1}
    lines = book.read_text().splitlines()
    assert Counter(lines).most_common(1)[0][1] == 1
    assert lines[-2:] == ["begin join", "end join"]


def test_what_a_running_job_adds_is_waited_for(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    book = tmp_path / "book"
    flow = Workflow(fleet.client)
    first = flow.add(signature(fleet, "fan_out", str(book), 50), name="fan_out")
    flow.add(signature(fleet, "step", str(book), "last"), after=first, name="last")
    flow.submit()
    assert fleet.wait_final(52, 60) == {"COMPLETED": 52}
    lines = book.read_text().splitlines()
    assert lines[-2:] == ["begin last", "end last"]
    assert len(lines) == 2 * 51 + 1


def test_a_job_reads_what_became_of_those_before(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    book = str(tmp_path / "book")
    flow = Workflow(fleet.client)
    good = [flow.add(signature(fleet, "step", book, name), name=name) for name in ("one", "two")]
    bad = flow.add(signature(fleet, "fail", book, "bad"), name="bad")
    flow.add(signature(fleet, "gather", book), after=[good[1], good[0], after(bad, "finished")], name="gather")
    flow.add(signature(fleet, "step", book, "never"), after=bad, name="never")
    results = flow.submit()
    assert fleet.wait_final(5, 60) == {"COMPLETED": 3, "FAILED": 1, "CANCELLED": 1}
    (row,) = fleet.rows("select result from @jobs where job_id = %(id)s::uuid", id=results["gather"].id)
    assert row["result"] == ["two", "one", None]


def test_a_canvas_as_a_workflow_returns_what_celery_returns(fleet: Fleet) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    canvas = chain(
        signature(fleet, "add", 1, 2),
        group(signature(fleet, "add", 10), signature(fleet, "add", 20)),
        signature(fleet, "total"),
        signature(fleet, "add", 100),
    )
    stock = canvas.clone().apply_async()
    ours = Workflow.from_canvas(canvas, fleet.client).submit()["workflow_jobs.add#5"]
    assert ours.get(timeout=30) == stock.get(timeout=30) == 136
