"""Traces of retries: what is taken from files, and what was known of each retry at its time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

# The benchmarks are no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.traces.attempts import load_attempts
from benchmarks.traces.cutting import ENOUGH, MOST, bound
from benchmarks.traces.reruns import Usual, load_jobs, load_workflows

_FAILED, _KILLED, _FINISHED = 3, 5, 4


def attempt(job: int, task: int, start: float, end: float, out: int, before: tuple[float, float] | None = None) -> Any:
    row = {"job": job, "task": task, "user": job % 2, "sclass": 1, "prio": 2, "cpu": 0.1, "ram": 0.2, "disk": 0.3}
    times = {"start": start * 1e6, "end": end * 1e6, "out": out, "att": 2 if before else 1}
    first, last = (np.nan, np.nan) if before is None else (before[0] * 1e6, before[1] * 1e6)
    return row | times | {"prev_out": _FAILED if before else np.nan, "prev_start": first, "prev_end": last}


def run(number: int, k: int, concl: str, runtime: float, repo: str = "a/b") -> dict[str, Any]:
    row = {"set": number, "repo": repo, "wf": ".github/ci.yml", "branch": "main", "default": True, "event": "push"}
    return row | {"k": k, "id": number, "concl": concl, "runtime": runtime}


def test_attempts_that_follow_a_failed_one_are_taken_with_what_was_known_by_then(tmp_path: Path) -> None:
    rows = [
        attempt(1, 0, 0, 10, _FAILED),
        attempt(1, 1, 0, 20, _FAILED),
        attempt(1, 0, 11, 30, _FAILED, (0, 10)),
        attempt(1, 1, 21, 40, _FINISHED, (0, 20)),
        attempt(1, 0, 31, 50, _FINISHED, (11, 30)),
        attempt(1, 2, 0, 35, _FAILED),
        attempt(1, 2, 36, 50, _FINISHED, (0, 35)),
        attempt(2, 0, 31, 50, _KILLED, (11, 30)),
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "attempts.parquet")
    trace = load_attempts(tmp_path)
    assert trace is not None
    assert [retry.groups["task"] for retry in trace.retries] == ["1/0", "1/1", "1/0", "1/2"]
    assert [retry.succeeded for retry in trace.retries] == [False, True, True, True]
    assert list(trace.eventually) == [True, True, True, True]
    assert list(trace.fails) == [1, 2, 3, 4]
    # At 35 s, the retry that ended at 30 s is known, and the one that ends at 40 s is not.
    assert [each.features["job.failures"] for each in trace.examples()] == [0.0, 0.0, 0.0, 1.0]
    assert list(trace.among([False, True, True, False]).fails) == [2, 3]


def test_runs_after_a_failed_one_are_taken_and_cancelled_ones_say_nothing(tmp_path: Path) -> None:
    runs = [run(1, 0, "failure", 60), run(1, 1, "cancelled", 5), run(1, 2, "failure", 9)]
    runs += [run(2, 0, "failure", 60), run(2, 1, "failure", 600), run(2, 2, "success", 60), run(2, 3, "success", 9)]
    pd.DataFrame(runs).to_parquet(tmp_path / "jobs.parquet")
    assert load_workflows(tmp_path) is None
    trace = load_jobs(tmp_path)
    assert trace is not None
    assert [(retry.attempt, retry.succeeded) for retry in trace.retries] == [(1, False), (2, True)]
    assert [retry.extra["run.failures"] for retry in trace.retries] == [1.0, 2.0]
    assert [retry.extra["ran.more"] for retry in trace.retries] == [None, pytest.approx(np.log(601 / 61))]


def test_a_run_is_held_against_what_was_usual_before_it() -> None:
    usual = Usual()
    for ran, succeeded in ((1.0, True), (2.0, True), (5.0, False), (None, True)):
        usual.note(ran, succeeded)
    features = usual.features(4.0)
    assert features == {"ran.more": pytest.approx(4 - 8 / 3), "ran.more_than_good": 2.5, "ran.more_than_bad": None}
    assert set(usual.features(None).values()) == {None}


def test_nothing_is_cut_before_enough_successes_are_known_and_hardly_any_of_these_would_have_been() -> None:
    assert bound(np.full(ENOUGH - 1, 0.5)) == 0.0
    said = np.linspace(0.0, 1.0, 1001)
    below = bound(said)
    assert 0.0 < below <= MOST
    assert np.mean(said < below) <= 0.005
    assert bound(np.full(ENOUGH, 0.9)) == MOST


def test_a_directory_without_traces_gives_none(tmp_path: Path) -> None:
    assert load_attempts(tmp_path) is None
    assert load_jobs(tmp_path) is None
