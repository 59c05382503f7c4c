"""The judge of the chaos harness, given runs made by hand with one thing wrong each."""

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
from chaos.evidence import Evidence, Intent, JobRow, Life, Promise, Run, Sample, Strike
from chaos.recovery import percentile
from chaos.verdict import Verdict, judge

W0, W1 = Life("w0", 100, 0.0), Life("w1", 200, 0.0)
PROMISE = Promise("job", "single", "COMPLETED", "t/0", at=10.0)
INTENT = Intent("t", "single", "COMPLETED")
ROW = JobRow("job", "COMPLETED", 1, "t/0", "r1", completed_at=12.0)
RUN = Run("r1", "job", 1, pid=101, parent=100, start=11.0, end=12.0, ok=True)
AGAIN = Run("r2", "job", 2, pid=201, parent=200, start=30.0, end=31.0, ok=True)
POISONED = "poisoned: its process died 3 times"


def evidence(runs: Sequence[Run] = (RUN,), row: JobRow | None = ROW, **more: Any) -> Evidence:
    """Give what one job leaves: promised, run once by w0, completed, unless told otherwise."""
    usual = {"promises": {"job": PROMISE}, "intents": {"t": INTENT}, "lives": (W0, W1)}
    rows = {row.job_id: row} if row else {}
    return Evidence(**{**usual, "runs": {"job": list(runs)}, "rows": rows, **more})


def wrongs(made: Evidence) -> dict[str, int]:
    return {name: len(found) for name, found in judge(made).wrongs().items() if found}


def causes(verdict: Verdict) -> list[tuple[str, bool]]:
    return [(rerun.cause, rerun.after_end) for rerun in verdict.reruns]


def test_nothing_is_wrong_with_a_job_that_ran_once() -> None:
    verdict = judge(evidence(samples={"job": Sample("COMPLETED", "r1")}))
    assert not any(verdict.wrongs().values())
    assert (verdict.jobs, verdict.reruns, verdict.recoveries) == (1, [], [])


@pytest.mark.parametrize(
    ("runs", "row"),
    [
        ([], None),
        ([], ROW),
        ([replace(RUN, ok=False)], ROW),
        ([RUN], replace(ROW, status="PROCESSING")),
        ([RUN], replace(ROW, status="RETRYING")),
    ],
    ids=["no row", "never ran", "never returned", "still runs", "still waits"],
)
def test_lost(runs: list[Run], row: JobRow | None) -> None:
    assert wrongs(evidence(runs, row)) == {"lost": 1}


def test_an_unconfirmed_submission_may_be_absent_but_not_unfinished() -> None:
    assert wrongs(evidence([], None, promises={})) == {}
    assert wrongs(evidence([], replace(ROW, status="PENDING"), promises={})) == {"lost": 1}
    assert wrongs(evidence([RUN], ROW, promises={}, intents={})) == {"strangers": 1}


@pytest.mark.parametrize(
    ("must", "is_"), [("COMPLETED", "FAILED"), ("COMPLETED", "CANCELLED"), ("FAILED", "COMPLETED")]
)
def test_wrong_final(must: str, is_: str) -> None:
    promises = {"job": replace(PROMISE, final=must)}
    assert wrongs(evidence([RUN], replace(ROW, status=is_), promises=promises)) == {"wrong_final": 1}


def test_a_job_is_poisoned_for_good_reason_after_three_deaths() -> None:
    deaths = [Run(f"r{n}", "job", n, pid=100 + n, parent=100, start=10.0 * n) for n in (1, 2, 3)]
    kills = [Strike("kill_child", 10.0 * n + 1, 10.0 * n + 1, "w0", 100 + n) for n in (1, 2, 3)]
    row = replace(ROW, status="FAILED", reason=POISONED, run="")
    verdict = judge(evidence(deaths, row, strikes=kills))
    assert not any(verdict.wrongs().values())
    assert [found.job_id for found in verdict.poisoned] == ["job"]
    assert wrongs(evidence([*deaths[:2], replace(RUN, start=40.0, end=41.0, ok=False)], row, strikes=kills)) == {
        "wrong_final": 1
    }


def test_a_link_after_a_poisoned_one_need_not_exist() -> None:
    deaths = [Run(f"r{n}", "job", n, pid=100 + n, parent=100, start=10.0 * n) for n in (1, 2, 3)]
    kills = [Strike("kill_child", 10.0 * n + 1, 10.0 * n + 1, "w0", 100 + n) for n in (1, 2, 3)]
    promises = {"job": PROMISE, "next": Promise("next", "chain", "COMPLETED", "t/1", 10.0, after="job")}
    poisoned = replace(ROW, status="FAILED", reason=POISONED, run="")
    assert wrongs(evidence(deaths, poisoned, strikes=kills, promises=promises)) == {}
    assert wrongs(evidence([RUN], ROW, promises=promises)) == {"lost": 1}


def test_settled_twice() -> None:
    assert wrongs(evidence(completed_twice=frozenset({"job"}))) == {"settled_twice": 1}
    assert wrongs(evidence(row=replace(ROW, run="r9"))) == {"settled_twice": 1}
    assert wrongs(evidence(samples={"job": Sample("COMPLETED", "r0")})) == {"settled_twice": 1}
    assert wrongs(evidence(samples={"job": Sample("FAILED", "r1")})) == {"settled_twice": 1}


def test_started_early() -> None:
    assert wrongs(evidence(promises={"job": replace(PROMISE, not_before=11.5)})) == {"started_early": 1}
    assert wrongs(evidence(promises={"job": replace(PROMISE, not_before=11.0)})) == {}


def test_torn_transactions() -> None:
    intents = {"t": replace(INTENT, kind="transactional")}
    assert wrongs(evidence(intents=intents, orders=frozenset({"t/0"}))) == {}
    assert wrongs(evidence(intents=intents)) == {"torn": 1}
    assert wrongs(evidence([], None, promises={}, intents=intents, orders=frozenset({"t/0"}))) == {"torn": 1}


BESIDE = replace(AGAIN, start=11.5)
KILL_W0 = Strike("kill_worker", 11.2, 12.0, "w0", 100)


@pytest.mark.parametrize(
    ("strikes", "wrong"),
    [
        ([], 1),
        ([KILL_W0], 0),
        ([Strike("stop_worker", 11.1, 20.0, "w0", 100)], 0),
        ([Strike("cut", 11.1, 20.0, "w0.redis")], 0),
        ([Strike("flushall", 11.1, 11.1, "redis")], 0),
        ([Strike("kill_worker", 11.2, 12.0, "w1", 200)], 1),
        ([Strike("stall", 11.1, 20.0, "w1.redis")], 1),
        ([Strike("cut", 3.0, 4.0, "w0.redis")], 1),
        ([Strike("kill_worker", 15.0, 16.0, "w0", 100)], 1),
        ([Strike("kill_postgres", 11.1, 12.0, "postgres")], 1),
    ],
)
def test_started_while_leased(strikes: list[Strike], wrong: int) -> None:
    found = wrongs(evidence([RUN, BESIDE], strikes=strikes))
    assert found.get("started_while_leased", 0) == wrong


def test_a_run_goes_on_until_its_process_dies() -> None:
    endless, row = replace(RUN, end=None, ok=False), replace(ROW, run="r2")
    killed = Strike("kill_child", 20.0, 20.0, "w0", endless.pid)
    assert wrongs(evidence([endless, AGAIN], row, strikes=[killed])) == {}
    assert wrongs(evidence([endless, AGAIN], row, strikes=[replace(killed, pid=102)])) == {"started_while_leased": 1}
    assert wrongs(evidence([endless, AGAIN], row, lives=(replace(W0, until=25.0), W1))) == {}


ENDLESS = replace(RUN, end=None, ok=False)


@pytest.mark.parametrize(
    ("before", "strikes", "cause"),
    [
        (ENDLESS, [Strike("kill_child", 12.0, 12.0, "w0", 101), KILL_W0], "kill_child"),
        (ENDLESS, [Strike("kill_redis", 12.0, 12.0, "redis", 9), KILL_W0], "kill_worker"),
        (RUN, [Strike("kill_tree", 12.01, 13.0, "w0", 100)], "kill_tree"),
        (RUN, [Strike("kill_tree", 20.0, 21.0, "w0", 100)], "unexplained"),
        (RUN, [Strike("stall", 11.5, 29.0, "w0.redis"), Strike("flushall", 12.0, 12.0, "redis")], "stall"),
        (RUN, [Strike("flushall", 12.0, 12.0, "redis"), Strike("kill_controller", 20.0, 21.0, "c")], "flushall"),
        (RUN, [Strike("flushall", 12.0, 12.0, "redis"), Strike("kill_redis", 20.0, 21.0, "redis")], "kill_redis"),
        (RUN, [Strike("flushall", 31.0, 31.0, "redis")], "unexplained"),
        (RUN, [], "unexplained"),
    ],
)
def test_reruns_have_causes(before: Run, strikes: list[Strike], cause: str) -> None:
    verdict = judge(evidence([before, AGAIN], replace(ROW, run="r2"), strikes=strikes))
    assert causes(verdict) == [(cause, before.ok)]


def test_a_retry_is_no_rerun_but_the_same_attempt_again_is() -> None:
    failed = replace(RUN, ok=False)
    assert causes(judge(evidence([failed, AGAIN]))) == []
    assert causes(judge(evidence([failed, replace(AGAIN, attempt=1)]))) == [("unexplained", False)]


def test_recovery_lasts_from_the_kill_to_the_next_start() -> None:
    row = replace(ROW, run="r2", completed_at=31.0)
    (found,) = judge(evidence([ENDLESS, AGAIN], row, strikes=[KILL_W0])).recoveries
    assert (found.seconds, found.calm) == (pytest.approx(18.8), True)
    disturbed = [KILL_W0, Strike("kill_controller", 20.0, 21.0, "controller", 7)]
    assert [found.calm for found in judge(evidence([ENDLESS, AGAIN], row, strikes=disturbed)).recoveries] == [False]


def test_what_a_killed_worker_had_finished_needs_no_recovery() -> None:
    assert judge(evidence([RUN], strikes=[replace(KILL_W0, at=12.5)])).recoveries == []
    assert judge(evidence([RUN], strikes=[replace(KILL_W0, name="w1", pid=200)])).recoveries == []


def test_a_run_of_a_settled_job_needs_no_recovery() -> None:
    runs, row = [replace(RUN, run="r0", start=9.0, end=10.0), ENDLESS], replace(ROW, run="r0", completed_at=10.0)
    assert judge(evidence(runs, row, strikes=[KILL_W0])).recoveries == []


def test_only_what_ran_there_and_then_is_recovered() -> None:
    row = replace(ROW, run="r2", completed_at=31.0)
    elsewhere = replace(KILL_W0, name="w1", pid=200)
    assert judge(evidence([ENDLESS, AGAIN], row, strikes=[elsewhere])).recoveries == []
    before = replace(KILL_W0, at=10.5)
    assert judge(evidence([ENDLESS, AGAIN], row, strikes=[before])).recoveries == []
    died_already = Strike("kill_child", KILL_W0.at - 0.1, KILL_W0.at - 0.1, "w0", ENDLESS.pid)
    assert judge(evidence([ENDLESS, AGAIN], row, strikes=[died_already, KILL_W0])).recoveries == []


@pytest.mark.parametrize(("values", "share", "expected"), [([], 0.5, None), ([3, 1, 2], 0.5, 2), ([3, 1, 2], 0.99, 3)])
def test_percentile(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_the_ledger_reads_what_was_written(tmp_path: Path) -> None:
    pen = ledger.Pen(tmp_path, "c0")
    token = pen.intend("chain")
    pen.promise(token, ["a", "b"], chain=True)
    lonely = pen.intend("doomed", "FAILED")
    with pen.running("a", 1) as first:
        pass
    with pytest.raises(ValueError), pen.running("a", 2) as second:
        raise ValueError
    pen.write(k="trouble", what="it rains")
    found = ledger.read(tmp_path)
    assert [(each.job_id, each.token, each.after) for each in found.promises.values()] == [
        ("a", f"{token}/0", ""),
        ("b", f"{token}/1", "a"),
    ]
    assert found.intents[lonely].final == "FAILED"
    assert [(run.run, run.attempt, run.ok, run.end is None) for run in found.runs["a"]] == [
        (first, 1, True, False),
        (second, 2, False, False),
    ]
    assert found.troubles == {"it rains": 1}
