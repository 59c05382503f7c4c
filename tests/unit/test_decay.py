"""Drift of machines and the model above it: what they rest on, and what they must not know."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

# The benchmarks are no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.failures.crashes import load_runs
from jobplatform.errors import ModelRefused
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.decay import ALL, FEWEST, LASTING, Cube, differences, features, lasting, mean_peer_drift
from jobplatform.learning.decay_model import DecayModel, Lesson, alarms, false_alarms, threshold, train
from jobplatform.learning.scores import Floats, auc
from jobplatform.learning.vitals import KINDS, STEP, lay_out

STEPS, MACHINES, MEASURES = 120, 6, 8


def fleet(seed: int, broken: int | None = 2, kinds: slice = slice(0, 3), machines: int = MACHINES) -> Floats:
    """Machines under a common load; one drifts away over the second half."""
    luck = np.random.default_rng(seed)
    load = luck.normal(size=(STEPS, 1, MEASURES)).cumsum(axis=0) * 0.3
    values = 20.0 + load + luck.normal(size=(STEPS, machines, MEASURES))
    if broken is not None:
        values[STEPS // 2 :, broken, kinds] += np.linspace(0, 12, STEPS - STEPS // 2)[:, None]
    return values


def lesson(seed: int, group: str, broken: int | None = 2, kinds: slice = slice(0, 3)) -> Lesson:
    fails = np.zeros((STEPS, MACHINES))
    if broken is not None:
        fails[STEPS // 2 :, broken] = 1.0
    return Lesson(features(Cube(fleet(seed, broken, kinds))), fails, 60.0, group)


def column(found: Floats, name: str) -> Floats:
    return found[..., ALL.index(name)]


def test_what_drifts_away_stands_out_and_a_common_load_does_not() -> None:
    found = features(Cube(fleet(1)))
    assert found.shape == (STEPS, MACHINES, len(ALL))
    late = column(found, "drift.few.above")[-10:]
    assert late[:, 2].min() > np.delete(late, 2, axis=1).max()
    assert mean_peer_drift(found)[-10:].mean(axis=0).argmax() == 2
    assert np.isnan(found[:FEWEST]).all()


def test_features_know_no_identity_and_no_unit() -> None:
    values = fleet(3)
    order = np.random.default_rng(0).permutation(MACHINES)
    found = features(Cube(values))
    np.testing.assert_allclose(features(Cube(values[:, order])), found[:, order], rtol=1e-9)
    kinds = np.random.default_rng(1).permutation(MEASURES)
    np.testing.assert_allclose(features(Cube(values[:, :, kinds])), found, rtol=1e-9)
    np.testing.assert_allclose(features(Cube(values * 1e6)), found, rtol=1e-4)


def test_nothing_of_the_future_is_known() -> None:
    values = fleet(4)
    changed = values.copy()
    changed[80:] = np.random.default_rng(2).normal(size=changed[80:].shape) * 1e3
    np.testing.assert_array_equal(features(Cube(values))[:80], features(Cube(changed))[:80])


def test_the_last_steps_alone_are_as_those_of_all() -> None:
    values = fleet(5)
    np.testing.assert_allclose(features(Cube(values), LASTING), features(Cube(values))[-LASTING:], rtol=1e-6, atol=1e-6)


def test_one_that_is_alone_is_compared_with_its_own_past_only() -> None:
    found = features(Cube(fleet(6, broken=0, machines=1)))
    assert np.isnan(column(found, "apart.mean")).all()
    assert np.isnan(column(found, "drift.few.above")).all()
    assert column(found, "own.few.alone")[-1, 0] > column(found, "own.few.alone")[STEPS // 2 - 1, 0]


def test_gaps_and_counters_do_no_harm() -> None:
    values = fleet(7)
    values[30:40, 1] = np.nan
    values[:, 4] = np.nan
    assert np.isfinite(mean_peer_drift(features(Cube(values)))[-1, [0, 1, 2, 3, 5]]).all()
    counter = np.cumsum(np.ones((50, 2, 1)), axis=0)
    counter[25:, 0] -= counter[25, 0, 0]
    risen = differences(counter)
    assert risen[1:, 1, 0] == pytest.approx(1.0)
    assert (np.abs(risen) <= 1.0).all()
    with pytest.raises(ValueError, match="give steps, machines and measurements"):
        Cube(np.zeros((3, 3)))


def test_a_fault_that_was_never_seen_is_foretold_by_what_all_share() -> None:
    lessons = [lesson(seed, f"fault {seed % 2}", seed % MACHINES, slice(0, 2 + seed % 3)) for seed in range(6)]
    trained = train(lessons, 3_600.0, 1)
    unseen = lesson(99, "another", broken=4, kinds=slice(5, 8))
    chances = trained.model.chances(unseen.found)
    known = np.isfinite(chances)
    assert auc(unseen.fails[known], chances[known]) > 0.85
    raised = alarms(lasting(chances), trained.model.alarm, 60.0)
    assert {who for _, who in raised} == {4}
    calm = lesson(98, "none", broken=None)
    assert not false_alarms(calm, lasting(trained.model.chances(calm.found)), trained.model.alarm)


def test_a_model_is_the_same_after_it_was_stored_and_refused_when_it_was_changed() -> None:
    trained = train([lesson(seed, str(seed)) for seed in range(3)], 3_600.0, 1).model
    data = trained.to_bytes()
    again = DecayModel.from_bytes(data, hash_of(data))
    found = lesson(9, "x").found
    np.testing.assert_array_equal(again.chances(found), trained.chances(found))
    assert (again.alarm, again.seconds) == (trained.alarm, trained.seconds)
    with pytest.raises(ModelRefused, match="SHA-256"):
        DecayModel.from_bytes(data + b" ", hash_of(data))
    with pytest.raises(ModelRefused, match="teach nothing"):
        train([lesson(1, "x", broken=None)], 3_600.0, 1)


def test_the_threshold_keeps_false_alarms_below_what_is_allowed() -> None:
    luck = np.random.default_rng(0)
    calm = Lesson(np.zeros((3_000, 4, 1)), np.zeros((3_000, 4)), 60.0, "x")
    scores = luck.random((3_000, 4))
    alarm = threshold([(calm, scores)], most=0.5)
    assert 1 <= len(false_alarms(calm, lasting(scores), alarm)) <= 0.5 * calm.days


def test_one_alarm_at_a_time_and_none_again_of_who_was_replaced() -> None:
    lasted = np.full((100, 3), -np.inf)
    lasted[10:, 0], lasted[10:, 1] = 0.8, 0.9
    found = alarms(lasted, 0.5, 60.0)
    assert found[:2] == [(10, 1), (25, 0)]
    assert alarms(lasted, 0.95, 60.0) == []


def test_samples_of_workers_are_laid_out_at_equal_steps() -> None:
    rows = [{**dict.fromkeys(KINDS, 1.0), "at": 1_000.0 + STEP * n, "finished": 3.0 * n} for n in range(4)]
    layout = lay_out({"b": rows, "a": rows[2:]}, 1_000.0, 1_000.0 + 3 * STEP)
    assert layout.workers == ("a", "b")
    values = layout.cube.values
    assert values.shape == (4, 2, len(KINDS))
    assert np.isnan(values[:2, 0]).all()
    assert values[1:, 1, KINDS.index("finished")] == pytest.approx(3.0 / STEP)
    assert layout.times()[-1] == 1_000.0 + 3 * STEP


def test_runs_are_read_whatever_the_machines_are_called(tmp_path: Path) -> None:
    lines = ["timestamp,redis-1_cpu.pct,redis-1_net_in,redis-3_cpu.pct,redis-3_net_in,redis-1_name,redis-3_name"]
    lines += [f"2020-01-01T00:{minute:02d}:00Z,0.{minute},{minute},0.5,{2 * minute},eth,eth" for minute in range(20)]
    (tmp_path / "e5.csv").write_text("\n".join(lines))
    (tmp_path / "published_e5.csv").write_text("0\n")
    (run,) = load_runs(tmp_path)
    assert (run.name, run.fault, run.machines, run.broken) == ("e5", "packet loss", ("redis-1", "redis-3"), (1,))
    assert run.values.shape == (20, 2, 2)
