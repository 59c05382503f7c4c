"""The judge of the chaos harness, given jobs that have to do with others, with one thing wrong each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

# The harness is no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from chaos import ledger
from chaos.evidence import BatchRow, Evidence, Intent, JobRow, Life, Promise, Run, Schedule, Strike
from chaos.verdict import judge

W0, W1 = Life("w0", 100, 0.0), Life("w1", 200, 0.0)


def row(job_id: str, token: str, **more: Any) -> JobRow:
    return replace(JobRow(job_id, "COMPLETED", 1, token, f"run-{job_id}", completed_at=99.0), **more)


def run(job_id: str, start: float, end: float | None, **more: Any) -> Run:
    return replace(Run(f"run-{job_id}", job_id, 1, 101, 100, start, end, ok=end is not None), **more)


def promise(job_id: str, kind: str, token: str, **more: Any) -> Promise:
    return Promise(job_id, kind, more.pop("final", "COMPLETED"), token, 10.0, **more)


def wrongs(
    intents: Sequence[Intent], promises: Sequence[Promise], rows: Sequence[JobRow], runs: Sequence[Run], **more: Any
) -> dict[str, int]:
    """Judge, and count what is wrong."""
    by_job: dict[str, list[Run]] = {each.job_id: [] for each in rows}
    for each in runs:
        by_job.setdefault(each.job_id, []).append(each)
    made = Evidence(
        promises={each.job_id: each for each in promises},
        intents={each.token: each for each in intents},
        rows={each.job_id: each for each in rows},
        runs=by_job,
        **{"lives": (W0, W1), **more},
    )
    return {name: len(found) for name, found in judge(made).wrongs().items() if found}


FIRE = Intent("f", "fire")
EVERY_5 = Schedule("f/0", 5.0, since=3.0, until=21.0)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((5, 10, 15, 20), {}),
        ((10, 15, 20, 25), {}),
        ((5, 10, 20), {"missed": 1}),
        ((5, 10, 15), {"missed": 1}),
        ((5, 10, 15, 15, 20), {"missed": 1}),
        ((5, 10, 12, 15, 20), {"missed": 1}),
        ((), {"missed": 1}),
    ],
)
def test_missed(times: tuple[int, ...], expected: dict[str, int]) -> None:
    rows = [row(f"j{number}", "f/0", fire_at=float(at)) for number, at in enumerate(times)]
    runs = [run(each.job_id, each.fire_at or 0.0, (each.fire_at or 0.0) + 0.1) for each in rows]
    assert wrongs([FIRE], [], rows, runs, schedules=[EVERY_5]) == expected


def test_a_fire_before_its_time_is_early() -> None:
    schedule = replace(EVERY_5, until=6.0)
    assert wrongs([FIRE], [], [row("j", "f/0", fire_at=5.0)], [run("j", 4.0, 4.1)], schedules=[schedule]) == {
        "started_early": 1
    }


def test_a_token_that_became_two_jobs_is_doubled() -> None:
    runs = [run("a", 11.0, 12.0), run("b", 13.0, 14.0)]
    rows = [row("a", "t/0"), row("b", "t/0")]
    assert wrongs([Intent("t", "keyed")], [promise("a", "keyed", "t/0")], rows, runs) == {"doubled": 1}


def test_of_a_keyed_submission_one_id_has_a_row() -> None:
    promises = [promise("a", "keyed", "t/0"), promise("b", "keyed", "t/0")]
    runs = [run("a", 11.0, 12.0)]
    assert wrongs([Intent("t", "keyed")], promises, [row("a", "t/0")], runs) == {}
    assert wrongs([Intent("t", "keyed")], promises, [], []) == {"lost": 2}


ONLY = [Intent("t", "unique", group="k"), Intent("u", "unique", group="k")]


def test_another_job_of_the_key_stands_for_a_unique_one_when_it_was_there_then() -> None:
    promises = [promise("a", "unique", "t/0"), promise("b", "unique", "u/0")]
    runs = [run("a", 11.0, 12.0)]
    there = row("a", "t/0", created_at=9.0, completed_at=12.0)
    assert wrongs(ONLY, promises, [there], runs) == {}
    assert wrongs(ONLY, promises, [replace(there, created_at=80.0)], runs) == {"lost": 1}
    assert wrongs([ONLY[0], replace(ONLY[1], group="other")], promises, [there], runs) == {"lost": 1}


@pytest.mark.parametrize("kind", ["unique", "queue"])
def test_jobs_of_one_key_do_not_run_beside_each_other(kind: str) -> None:
    intents = [replace(each, kind=kind) for each in ONLY]
    rows = [row("a", "t/0"), row("b", "u/0")]
    late = run("b", 11.5, 13.0, pid=201, parent=200)
    assert wrongs(intents, [], rows, [run("a", 11.0, 12.0), late]) == {"not_alone": 1}
    assert wrongs(intents, [], rows, [run("a", 11.0, 11.4), late]) == {}
    frozen = [Strike("stop_worker", 11.2, 40.0, "w0", 100)]
    assert wrongs(intents, [], rows, [run("a", 11.0, 50.0), late], strikes=frozen) == {}


def limited(tenants: str, starts: Sequence[float], **more: Any) -> dict[str, int]:
    """Judge limited jobs of a second each."""
    names = [f"{number}{tenant}" for number, tenant in enumerate(tenants)]
    intents = [Intent(name, "limited", group=name[1:]) for name in names]
    rows = [row(f"job-{name}", f"{name}/0") for name in names]
    runs = [run(each.job_id, start, start + 1.0) for each, start in zip(rows, starts, strict=True)]
    return wrongs(intents, [], rows, runs, **more)


def test_over_limit() -> None:
    assert limited("abc", (11.0, 11.1, 11.2)) == {}
    assert limited("abcd", (11.0, 11.1, 11.2, 11.3)) == {"over_limit": 1}
    assert limited("abcd", (11.0, 11.1, 11.2, 12.05)) == {}
    assert limited("aab", (11.0, 11.1, 11.2)) == {}
    assert limited("aaa", (11.0, 11.1, 11.2)) == {"over_limit": 1}
    emptied = [Strike("flushall", 11.15, 11.15, "redis")]
    assert limited("aaa", (11.0, 11.1, 11.2), strikes=emptied) == {}
    assert limited("aaa", (11.2, 11.3, 11.4), strikes=[replace(emptied[0], at=9.0, until=9.0)]) == {"over_limit": 1}


GRAPH = Intent("t", "workflow", finals={"2": "FAILED", "3": "CANCELLED"})


def graph(starts: Sequence[float], **more: Any) -> dict[str, int]:
    """Judge a chain of two, a job that fails after it, one that waits for that to fail, and one that never can be."""
    promises = [
        promise("0", "workflow", "t/0"),
        promise("1", "workflow", "t/1", upstream=("0",)),
        promise("2", "workflow", "t/2", upstream=("1",), final="FAILED"),
        promise("3", "workflow", "t/3", upstream=("2",), final="CANCELLED"),
        promise("4", "workflow", "t/4", upstream=("2",), failing=frozenset({"2"})),
    ]
    rows = [row(str(number), f"t/{number}") for number in range(5)]
    rows[2] = replace(rows[2], status="FAILED", run="")
    rows[3] = replace(rows[3], status="CANCELLED", run="")
    runs = [run(str(number), start, start + 0.5) for number, start in zip((0, 1, 2, 4), starts, strict=True)]
    runs[2] = replace(runs[2], ok=False)
    return wrongs([GRAPH], promises, rows, runs, **more)


def test_out_of_order() -> None:
    assert graph((1.0, 2.0, 3.0, 4.0)) == {}
    assert graph((1.0, 1.4, 3.0, 4.0)) == {"out_of_order": 1}
    assert graph((1.0, 2.0, 3.0, 3.2)) == {"out_of_order": 1}


def test_what_waits_for_a_poisoned_job_is_cut_off() -> None:
    promises = [promise(name, "workflow", f"t/{name}", upstream=before) for name, before in
                (("0", ()), ("1", ("0",)), ("2", ("1",)))]  # fmt: skip
    rows = [row(name, f"t/{name}", status="CANCELLED", run="") for name in "012"]
    rows[0] = replace(rows[0], status="FAILED", reason="poisoned: its process died 3 times")
    deaths = [run("0", 10.0 * number, None, pid=100 + number) for number in (1, 2, 3)]
    kills = [Strike("kill_child", 10.0 * number + 1, 10.0 * number + 1, "w0", 100 + number) for number in (1, 2, 3)]
    assert wrongs([Intent("t", "workflow")], promises, rows, deaths, strikes=kills) == {}
    assert wrongs([Intent("t", "workflow")], promises, rows, deaths[:2], strikes=kills) == {"wrong_final": 3}


BATCH = BatchRow("b", "t", 2, 1, 1, 0, over=True)


def batch(row_of_batch: BatchRow | None, callback: bool = True, called: float = 13.0, **more: Any) -> dict[str, int]:
    """Judge a batch of which one job completed and one failed."""
    rows = [row("0", "t/0", batch_id="b"), row("1", "t/1", batch_id="b", status="FAILED", run="")]
    rows += [row("over", "t/over")] if callback else []
    runs = [run("0", 11.0, 12.0), run("1", 11.0, 11.5, ok=False)]
    runs += [run("over", called, called + 1)] if callback else []
    batches = [row_of_batch] if row_of_batch else []
    intent = Intent("t", "batch", finals={"1": "FAILED"})
    return wrongs([intent], [], rows, runs, **{"batches": batches, "closed": frozenset({"b"}), **more})


def test_miscounted() -> None:
    assert batch(BATCH) == {}
    assert batch(replace(BATCH, completed=2, failed=0)) == {"miscounted": 1}
    assert batch(replace(BATCH, total=3)) == {"miscounted": 1}
    assert batch(replace(BATCH, over=False)) == {"miscounted": 1}
    assert batch(replace(BATCH, over=False), callback=False, closed=frozenset()) == {}
    assert batch(BATCH, callback=False) == {"miscounted": 1}
    assert batch(None) == {"miscounted": 1}


def test_a_batch_calls_back_after_the_last_of_its_jobs() -> None:
    assert batch(BATCH, called=11.8) == {"out_of_order": 1}


def test_the_ledger_reads_graphs_and_batches(tmp_path: Path) -> None:
    pen = ledger.Pen(tmp_path, "c0")
    token = pen.intend("workflow", finals={"1": "FAILED"}, group="g")
    pen.promise(token, ["a", "b", "c"], upstream={"1": [0], "2": [0, 1]}, failing=[1])
    pen.write(k="batch", token=token, batch="x")
    found = ledger.read(tmp_path)
    assert {name: (each.final, each.upstream, each.failing) for name, each in found.promises.items()} == {
        "a": ("COMPLETED", (), frozenset()),
        "b": ("FAILED", ("a",), frozenset()),
        "c": ("COMPLETED", ("a", "b"), frozenset({"b"})),
    }
    assert (found.intents[token].group, found.closed) == ("g", {"x"})
