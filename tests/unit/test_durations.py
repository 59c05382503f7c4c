"""How long jobs take: what was known when, the rule, the model, its intervals, and the traces."""

from __future__ import annotations

import hashlib
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.errors import ModelRefused
from jobplatform.learning.coverage import Widening
from jobplatform.learning.duration import DurationModel, train
from jobplatform.learning.duration_candidates import history_mode, modes, right
from jobplatform.learning.duration_past import KEPT, LATEST, Ledger, Past, Runs, numbered
from jobplatform.learning.duration_rule import RULED, estimate, mode
from jobplatform.maintenance.estimator import Finished, judged, updated

# The benchmarks are no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.durations.judge import history_alone, judge, together
from benchmarks.durations.trace import google_runs, read_swf, swf_runs

_SECONDS = st.floats(0.01, 1e6, allow_nan=False)


def made_up(count: int, seed: int = 1) -> Runs:
    """Make runs of 40 keys of 10 types; most take one of two usual times of their key, which take turns."""
    luck = np.random.default_rng(seed)
    key = np.arange(count) % 40
    submitted = np.cumsum(luck.exponential(30.0, count))
    usual = 5.0 * 1.2 ** (key % 10) * 4.0 ** (np.arange(count) // 40 % 2)
    plain = luck.random(count) < 0.8
    seconds = np.where(plain, usual * luck.normal(1.0, 0.03, count), luck.lognormal(4.0, 1.0, count))
    return Runs(submitted, submitted + seconds, seconds, np.column_stack([key, key % 10]), np.full((count, 0), np.nan))


@pytest.fixture(scope="module")
def lesson() -> Runs:
    return made_up(4_000)


@pytest.fixture(scope="module")
def model(lesson: Runs) -> DurationModel:
    return train(lesson[:3_000], seed=1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 8))
def test_only_runs_that_had_ended_are_known_the_newest_first(seed: int, count: int, kept: int) -> None:
    luck = np.random.default_rng(seed)
    submitted = luck.integers(0, 30, count).astype(float)
    seconds = luck.integers(1, 20, count).astype(float)
    groups = luck.integers(0, 4, (count, 2))
    runs = Runs(submitted, submitted + seconds, seconds, groups, np.zeros((count, 0)))
    found = Ledger(runs, kept).before(submitted, groups)
    for place in range(count):
        for level in range(2):
            known = [
                (runs.ended[other], -other)
                for other in range(count)
                if groups[other, level] == groups[place, level] and runs.ended[other] < submitted[place]
            ]
            ends = sorted((end for end, _ in known), reverse=True)[:kept]
            told = found[place, level][~np.isnan(found[place, level])]
            assert len(told) == len(ends)
            # Of runs that ended at the same time any may come first.
            for value, end in zip(told, ends, strict=True):
                assert any(
                    runs.ended[other] == end and seconds[other] == pytest.approx(value) for other in range(count)
                )


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_what_was_submitted_last_is_known_with_its_end_or_for_how_long_it_runs(seed: int, count: int) -> None:
    luck = np.random.default_rng(seed)
    submitted = np.sort(luck.choice(200, count, replace=False)).astype(float)
    started = submitted + luck.integers(0, 10, count)
    seconds = luck.integers(1, 40, count).astype(float)
    groups = luck.integers(0, 4, (count, 2))
    runs = Runs(submitted, started + seconds, seconds, groups, np.zeros((count, 0)))
    found = Ledger(runs, latest=True).latest(submitted, groups)
    assert found is not None
    for place in range(count):
        for level in range(2):
            known = [other for other in range(place) if groups[other, level] == groups[place, level]][::-1][:LATEST]
            at = submitted[place]
            over = [runs.ended[other] < at for other in known]
            ended = [seconds[other] if done else np.nan for other, done in zip(known, over, strict=True)]
            ran = [
                max(at - started[other], 0.0) if not done else np.nan for other, done in zip(known, over, strict=True)
            ]
            beyond = [np.nan] * (LATEST - len(known))
            assert np.array_equal(found.ended[place, level], ended + beyond, equal_nan=True)
            assert np.array_equal(found.elapsed[place, level], ran + beyond, equal_nan=True)


@given(st.lists(_SECONDS, min_size=1, max_size=RULED))
def test_the_rule_is_the_same_with_arrays_and_without(seconds: list[float]) -> None:
    table = np.array([seconds + [np.nan] * (KEPT - len(seconds))], dtype=np.float32)
    plain = mode([float(value) for value in table[0] if not np.isnan(value)])
    assert modes(table)[0, 0] == pytest.approx(plain, rel=0.25)


def test_the_mode_is_where_most_runs_lie_and_of_equals_the_newest() -> None:
    assert mode([100.0, 11.0, 10.0, 10.5, 3.0]) in (10.0, 10.5, 11.0)
    assert mode([7.0, 70.0]) == 7.0
    few = estimate([5.0, 5.0, 5.0])
    assert (few.p50, few.decided_by) == (5.0, "rule, 3 runs")
    assert few.p10 < 5.0 < few.p90
    assert estimate([5.0]).decided_by == "rule, 1 run"


def test_the_rule_falls_back_to_the_wider_group_and_says_nothing_without_any() -> None:
    seconds = np.full((3, 2, KEPT), np.nan, dtype=np.float32)
    seconds[0, 0, :2], seconds[0, 1, 0], seconds[1, 1, 0] = (4.0, 4.1), 9.0, 9.0
    told = history_mode(Past(seconds, np.zeros((3, 0))))
    assert told[0] == pytest.approx(4.0, rel=0.05)
    assert told[1] == 9.0
    assert np.isnan(told[2])


def test_the_model_beats_the_rule_where_there_is_something_to_learn(lesson: Runs, model: DurationModel) -> None:
    tests = lesson[3_000:]
    past = Ledger(lesson).past(tests)
    told, rule = model.foretell(past), history_mode(past)
    assert right(told.seconds, tests.seconds).mean() > right(rule, tests.seconds).mean() + 0.02
    surest = np.argsort(-told.chances)[:500]
    assert right(told.seconds[surest], tests.seconds[surest]).mean() > right(told.seconds, tests.seconds).mean()
    assert 0.65 < ((tests.seconds >= told.low) & (tests.seconds <= told.high)).mean() < 0.92


def test_the_future_changes_no_forecast(lesson: Runs, model: DurationModel) -> None:
    tests = lesson[3_000:3_300]
    before = model.foretell(Ledger(lesson).past(tests))
    late = lesson.ended >= tests.submitted[-1]
    shuffled = np.where(late, np.random.default_rng(2).permutation(lesson.seconds), lesson.seconds)
    after = model.foretell(Ledger(replace(lesson, seconds=shuffled)).past(tests))
    assert np.array_equal(before.seconds, after.seconds, equal_nan=True)


def test_the_future_of_what_still_runs_changes_no_forecast(lesson: Runs) -> None:
    model = train(lesson[:3_000], seed=1, latest=True)
    tests = lesson[3_000:3_300]
    before = model.foretell(Ledger(lesson, latest=True).past(tests))
    # What had started by then did so whenever it ends; of what had not, nothing is known.
    now, luck = tests.submitted[-1], np.random.default_rng(2)
    late = lesson.ended >= now
    started = lesson.ended - lesson.seconds
    started = np.where(late & (started >= now), now + luck.exponential(100.0, len(lesson)), started)
    ended = np.where(late, np.maximum(started, now) + luck.exponential(100.0, len(lesson)), lesson.ended)
    other = replace(lesson, ended=ended, seconds=np.where(late, ended - started, lesson.seconds))
    after = model.foretell(Ledger(other, latest=True).past(tests))
    assert np.array_equal(before.seconds, after.seconds, equal_nan=True)
    assert np.array_equal(before.high, after.high, equal_nan=True)
    assert late.sum() > len(lesson) // 10


def test_few_runs_are_left_to_the_rule(model: DurationModel) -> None:
    seconds = np.full((2, 2, KEPT), np.nan, dtype=np.float32)
    seconds[:, 1, :4] = (3.0, 30.0, 3.1, 31.0)
    seconds[1, 1, 4] = 30.5
    told = model.foretell(Past(seconds, np.zeros((2, 0))))
    assert told.learned.tolist() == [False, True]
    assert told.seconds[0] == pytest.approx(history_mode(Past(seconds, np.zeros((2, 0))))[0])


def test_an_artifact_comes_back_as_it_was_or_not_at_all(lesson: Runs, model: DurationModel) -> None:
    data = model.to_bytes()
    digest = hashlib.sha256(data).hexdigest()
    past = Ledger(lesson).past(lesson[3_000:3_100])
    again = DurationModel.from_bytes(data, digest).foretell(past)
    assert np.array_equal(again.seconds, model.foretell(past).seconds, equal_nan=True)
    with pytest.raises(ModelRefused, match="it was changed"):
        DurationModel.from_bytes(data + b" ", digest)
    with pytest.raises(ModelRefused, match="wait for"):
        train(lesson[:100], seed=1)


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_intervals_follow_what_comes(factor: float) -> None:
    luck, widening, inside = random.Random(1), Widening(), 0
    for _ in range(4_000):
        low, high = widening.widen(0.5, 1.0, 2.0)
        came = luck.lognormvariate(0.0, 0.5 * factor)
        inside += low <= came <= high
        widening = widening.after(1, int(came < low), int(came > high))
    assert 0.75 < inside / 4_000 < 0.85


def test_outcomes_of_one_forecast_move_it_only_so_far() -> None:
    assert Widening().after(10_000, 0, 10_000).high < 0.5
    assert Widening().after(0, 0, 0) == Widening()


def finished(seconds: float, key: str = "", told: tuple[float, float, float] | None = None) -> Finished:
    return Finished(seconds, "shop.charge", key, *(told or (None, None, None)))


def test_estimates_follow_runs_of_their_key_and_of_their_type() -> None:
    found = [finished(3.0, "a=1"), finished(30.0, "a=2"), finished(3.1, "a=1")]
    rows = {row["key"]: row for row in updated({}, found, judged(found))}
    assert rows.keys() == {"", "a=1", "a=2"}
    assert rows["a=1"]["history"] == [3.1, 3.0]
    assert rows[""]["history"] == [3.1, 30.0, 3.0]
    assert rows["a=2"]["decided_by"] == "rule, 1 run"
    before: Any = {("shop.charge", key): row for key, row in rows.items()}
    more = [finished(5.0, "a=1")] * 50
    again = {row["key"]: row for row in updated(before, more, judged(more))}
    assert again["a=1"]["history"] == [5.0] * KEPT
    assert (again["a=1"]["runs"], again["a=1"]["longest"], again[""]["longest"]) == (52, 5.0, 30.0)


def test_what_was_foretold_is_held_against_what_came() -> None:
    found = [finished(seconds, told=(1.0, 2.0, 4.0)) for seconds in (0.5, 2.1, 3.0, 9.0)] + [finished(7.0)]
    (row,) = judged(found)
    assert {name: row[name] for name in ("runs", "judged", "below", "above", "within")} == {
        "runs": 5, "judged": 4, "below": 1, "above": 1, "within": 1,
    }  # fmt: skip
    assert row["error"] == pytest.approx(1.5 + 0.1 + 1.0 + 7.0)


def test_groups_are_numbered_by_all_of_their_columns() -> None:
    found = numbered(["a", "a", "b", "a"], [1, 2, 1, 1])
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3


def test_a_log_is_read_with_what_it_has(tmp_path: Path) -> None:
    lines = ["; a comment", "; UnixStartTime: 0"]
    lines += [f"{n} {n * 10} 5 {30 + n} 4 -1 -1 -1 -1 -1 1 {n % 3} -1 -1 -1 -1 -1 -1" for n in range(20)]
    lines.append("21 500 0 -1 4 -1 -1 -1 -1 -1 5 1 -1 -1 -1 -1 -1 -1")
    path = tmp_path / "log.swf"
    path.write_text("\n".join(lines))
    runs = swf_runs(read_swf(path))
    assert len(runs) == 20
    assert runs.ended[3] == 30 + 5 + 33
    assert len(set(runs.groups[:, 0].tolist())) == 3


def test_google_jobs_that_finished_are_taken() -> None:
    row = {"job": 1, "user": 1, "sclass": 0, "name": 5, "lname": 5, "submit": 10**6, "sched": 2 * 10**6}
    rows = [
        {**row, "end": 12 * 10**6, "out": 4},
        {**row, "end": 9 * 10**6, "out": 5},
        {**row, "end": None, "out": None},
    ]
    runs = google_runs(pd.DataFrame(rows))
    assert (runs.seconds.tolist(), runs.ended.tolist()) == ([10.0], [12.0])


def test_the_judge_tells_how_good_the_model_is_beside_the_rule(lesson: Runs) -> None:
    judged = judge(lesson, 0.7, 1.0, seed=1)
    line = judged.line()
    both = together([judged, judged]).line()
    assert (both.tested, both.model, both.surest) == (2 * line.tested, line.model, line.surest)
    assert line.tested == 1_200
    assert line.model > line.rule
    assert line.surest > line.model
    assert line.model_error <= 1.05 * line.rule_error
    assert 0.72 < line.coverage < 0.88


def test_the_judge_can_leave_the_model_the_history_of_key_and_type_alone(lesson: Runs) -> None:
    everybody = np.zeros((len(lesson), 1), dtype=np.int64)
    asked = replace(lesson, groups=np.hstack([lesson.groups, everybody]), traits=lesson.seconds[:, None])
    alone = history_alone(asked)
    assert np.array_equal(alone.groups, lesson.groups)
    assert alone.traits.shape == (len(lesson), 0)
    known, unknown = (judge(asked, 0.7, 1.0, seed=1, trainings=1, alone=only).line() for only in (False, True))
    assert known.model > 0.9 > unknown.model > unknown.rule
