"""Forecasts of how many jobs there will be at once."""

from __future__ import annotations

import numpy as np
import pytest

from jobplatform.errors import ModelRefused
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.correction import Correction, corrected
from jobplatform.learning.demand import LEVELS, Demand, Told, at_level, chance_above
from jobplatform.learning.demand_training import pinball, scores, shifts_of, train
from jobplatform.learning.load import Sample, chance_of_end
from jobplatform.learning.rate_rule import rate_rule
from jobplatform.learning.scores import average_precision
from jobplatform.learning.trail import Trail
from jobplatform.learning.view import Ahead, View

STEP = 30.0
AHEAD = Ahead(60.0, STEP)


def samples(steps: int, seed: int = 1, every: int = 20, burst: int = 30) -> list[Sample]:
    """Make a queue that is calm but for a burst every so many steps, which runs for five."""
    luck = np.random.default_rng(seed)
    arrived = luck.poisson(4.0, steps) + burst * (np.arange(steps) % every == 0)
    found, running = [], 0
    for number in range(steps):
        finished = int(luck.binomial(running, 0.2))
        running += int(arrived[number]) - finished
        found.append(
            Sample((number + 1) * STEP, STEP, 0, int(arrived[number]), int(arrived[number]), finished, running)
        )
    return found


@pytest.fixture(scope="module")
def model() -> Demand:
    return train([Trail.of(samples(3_000), STEP)], AHEAD, seed=1).model


def test_a_job_is_the_more_likely_to_end_the_longer_it_may_run() -> None:
    chances = [chance_of_end(50.0, more, 100.0, 200.0) for more in (0.0, 50.0, 150.0, 1e12)]
    assert chances == sorted(chances) and chances[0] == 0.0 and chances[-1] > 0.999
    # From its beginning it ends by its median in half of the cases, and by its 9th decile in nine of ten.
    assert chance_of_end(0.0, 100.0, 100.0, 200.0) == pytest.approx(0.5)
    assert chance_of_end(0.0, 200.0, 100.0, 200.0) == pytest.approx(0.9)
    assert chance_of_end(1e12, 1.0, 0.0, 0.0) == 0.0


def test_features_of_a_step_know_nothing_of_later_ones() -> None:
    told, view = samples(400), View(AHEAD, STEP)
    other = told[:200] + [each._replace(arrived=99, running=99, finished=7) for each in told[200:]]
    rows = np.arange(200)
    ours, theirs = (view.table(Trail.of(each, STEP), rows) for each in (told, other))
    np.testing.assert_array_equal(ours, theirs)


def test_targets_are_the_most_of_the_time_that_is_foretold() -> None:
    trail = Trail.of([Sample(at * STEP, STEP, 0, 0, 0, 0, at * at % 7) for at in range(1, 30)], STEP)
    later, kept = View(Ahead(60.0, STEP, 120.0), STEP).targets(trail, np.array([5]))
    assert later[0] == max(trail.present[7:9])
    assert kept[0] == max(trail.present[6:10])


def test_missing_samples_are_filled_in_and_doubled_ones_replace() -> None:
    trail = Trail.of([Sample(30, 30, 0, 3, 0, 0, 3), Sample(122, 30, 0, 6, 0, 0, 9), Sample(125, 3, 0, 1, 0, 0, 4)], 30)
    assert trail.times.tolist() == [30, 60, 90, 120]
    assert trail.present.tolist() == [3, 9, 9, 4]
    assert trail.arrived.tolist() == [3, 6, 6, 10]


def test_the_rate_rule_takes_the_busiest_of_its_times() -> None:
    trail = Trail.of([Sample(at * STEP, STEP, 0, 1, 1, 1, 2) for at in range(1, 121)], STEP)
    (calm,) = rate_rule(trail, np.array([119]), 1.0)
    # One job a step, each of which runs for two.
    assert calm == pytest.approx(2.0)
    for at in range(121, 131):
        trail.append(Sample(at * STEP, STEP, 0, 5, 5, 5, 10))
    (busy,) = rate_rule(trail, np.array([129]), 1.0)
    assert busy == pytest.approx(10.0, rel=0.1)


def test_a_model_beats_the_rule_on_a_load_with_a_rhythm_and_holds_its_levels(model: Demand) -> None:
    trail = Trail.of(samples(2_000, seed=2), STEP)
    rows = np.arange(500, 1_900)
    told = corrected(model.foretell(trail, rows), model.shifts)
    later, _ = View(AHEAD, STEP).targets(trail, rows)
    above = [float(np.mean(later > told.later[:, place])) for place in range(len(LEVELS))]
    assert above == pytest.approx([1.0 - level for level in LEVELS], abs=0.1)
    ours, theirs = (pinball(later, said, 0.95) for said in (told.later[:, 3], rate_rule(trail, rows)))
    assert ours < 0.8 * theirs
    assert np.all(np.diff(told.later, axis=1) >= 0.0)
    assert np.all(told.kept >= told.later)


def test_an_artifact_is_read_back_and_refused_when_it_was_changed(model: Demand) -> None:
    raw = model.to_bytes()
    again = Demand.from_bytes(raw, hash_of(raw))
    trail, rows = Trail.of(samples(300, seed=3), STEP), np.arange(100, 300)
    np.testing.assert_allclose(again.foretell(trail, rows).later, model.foretell(trail, rows).later)
    with pytest.raises(ModelRefused, match="it was changed"):
        Demand.from_bytes(raw.replace(b'"step":30.0', b'"step":60.0'), hash_of(raw))


def test_too_little_teaches_nothing() -> None:
    with pytest.raises(ModelRefused, match="wait for"):
        train([Trail.of(samples(100), STEP)], AHEAD, seed=1)


def test_a_shift_makes_quantiles_hold_what_they_say() -> None:
    came = np.random.default_rng(1).normal(10.0, 3.0, 5_000)
    nothing = np.zeros((5_000, len(LEVELS)))
    told = Told(nothing, nothing, np.ones(5_000))
    moved = corrected(told, shifts_of(scores(told, came, came)))
    above = [float(np.mean(came > moved.later[:, place])) for place in range(len(LEVELS))]
    assert above == pytest.approx([1.0 - level for level in LEVELS], abs=0.005)


def test_a_model_that_loses_more_than_the_rule_is_complained_of() -> None:
    trail = Trail.of(samples(700), STEP)
    good, bad = Correction(View(AHEAD, STEP)), Correction(View(AHEAD, STEP))
    for row in range(690):
        told = trail.present[row] + np.zeros((1, len(LEVELS)))
        good.note(row, Told(told + 20.0, told + 20.0, np.ones(1)), 500.0)
        bad.note(row, Told(told + 500.0, told + 500.0, np.ones(1)), float(told[0, 0]) + 20.0)
    for each in (good, bad):
        each.settle(trail)
    assert good.complaint() is None
    assert "the rate rule" in str(bad.complaint())


def test_chances_fall_with_what_there_is_and_agree_with_the_quantiles() -> None:
    quantiles = np.array([10.0, 14.0, 16.0, 18.0, 22.0])
    chances = [chance_above(quantiles, bound) for bound in range(41)]
    assert chances == sorted(chances, reverse=True)
    assert 0.0 < chances[-1] < chances[0] <= 1.0
    assert [chance_above(quantiles, float(each)) for each in quantiles] == pytest.approx([1 - each for each in LEVELS])
    assert float(at_level(quantiles, 0.925)) == 17.0


def test_average_precision() -> None:
    yes = np.array([1.0, 0.0, 1.0, 0.0])
    assert average_precision(yes, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx((1.0 + 2.0 / 3.0) / 2.0)
    assert average_precision(yes, np.ones(4)) == 0.5
