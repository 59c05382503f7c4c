"""A model of the next attempt, taught by made-up outcomes whose truth is known."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest

from jobplatform.errors import ModelRefused
from jobplatform.learning.artifact import hash_of
from jobplatform.learning.baselines import attempt_table, base_rate, group_rate, outcomes, the_rule
from jobplatform.learning.calibration import Calibration, calibrate, isotonic, platt
from jobplatform.learning.model import Model
from jobplatform.learning.scores import auc, brier, brier_skill, ece, log_loss
from jobplatform.learning.training import WHOLE, Example, Trained, train, weights_of


def truth(rate: float, attempt: int, waited: float) -> float:
    """Give the chance that the made-up world goes by."""
    return 1.0 / (1.0 + math.exp(0.5 * attempt - 4.0 * (rate - 0.5) - 0.5 * math.log1p(waited)))


def world(count: int, seed: int = 1) -> list[Example]:
    luck = random.Random(seed)
    examples = []
    for number in range(count):
        rate, attempt, waited = luck.random(), luck.randint(1, 5), luck.lognormvariate(2.0, 1.5)
        chance = truth(rate, attempt, waited)
        succeeded = luck.random() < chance
        features = {"attempt": float(attempt), "group.rate": rate, "noise": luck.random(), "unknown": None}
        later = succeeded or luck.random() < chance
        examples.append(Example(features, waited, succeeded, f"t{number % 7}", float(number), later))
    return examples


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(world(6_000), seed=1)


def row(rate: float, attempt: int) -> dict[str, float | None]:
    return {"attempt": float(attempt), "group.rate": rate, "noise": 0.5, "unknown": None}


def test_the_order_of_chances_is_recovered_and_they_are_calibrated(trained: Trained) -> None:
    fresh = world(3_000, seed=2)
    said = np.array([trained.model.chances([each.features], [each.waited or 0.0])[0][0] for each in fresh])
    real = np.array([truth(each.features["group.rate"] or 0, int(each.features["attempt"] or 0), each.waited or 0)
                     for each in fresh])  # fmt: skip
    assert np.corrcoef(said, real)[0, 1] > 0.95
    assert ece(outcomes(fresh), said) < 0.05
    assert brier_skill(outcomes(fresh), said, trained.model.base_rate) > 0.2


def test_chances_rise_with_rates_and_fall_with_attempts(trained: Trained) -> None:
    rates = [trained.model.chances([row(rate / 20, 2)], [5.0])[0][0] for rate in range(21)]
    attempts = [trained.model.chances([row(0.5, attempt)], [5.0])[0][0] for attempt in range(1, 6)]
    assert rates == sorted(rates)
    assert attempts == sorted(attempts, reverse=True)
    assert rates[-1] > rates[0]


def test_longer_waits_help_where_they_did(trained: Trained) -> None:
    (chances,) = trained.model.chances([row(0.5, 3)], [0.5, 60.0])
    assert chances[1] > chances[0]


def test_rows_and_delays_keep_their_places(trained: Trained) -> None:
    rows, delays = [row(0.1, 1), row(0.9, 4)], [1.0, 10.0, 100.0]
    alone = [[trained.model.chances([each], [delay])[0][0] for delay in delays] for each in rows]
    assert trained.model.chances(rows, delays) == alone
    assert trained.model.chances([], delays) == []


def test_eventual_success_is_likelier_than_the_next(trained: Trained) -> None:
    rows = [row(0.5, 2)]
    eventual = trained.model.eventual(rows)
    assert eventual is not None
    assert eventual[0] > trained.model.chances(rows, [7.0])[0][0]


def test_the_same_seed_gives_the_same_model() -> None:
    examples = world(400)
    assert train(examples, 3).model.to_bytes() == train(examples, 3).model.to_bytes()


def test_examples_are_put_in_the_order_of_their_times() -> None:
    examples = world(400)
    assert train(examples[::-1], 3).model.to_bytes() == train(examples, 3).model.to_bytes()


def test_few_examples_teach_something() -> None:
    fresh = world(1_000, seed=5)
    model = train(world(200), seed=1).model
    said = np.array([model.chances([each.features], [each.waited or 0.0])[0][0] for each in fresh])
    assert auc(outcomes(fresh), said) > 0.65


@pytest.mark.parametrize("examples", [world(20), [each for each in world(300) if each.succeeded]])
def test_what_teaches_nothing_is_refused(examples: list[Example]) -> None:
    with pytest.raises(ModelRefused, match="teach nothing"):
        train(examples, 1)


def test_a_model_survives_its_artifact(trained: Trained) -> None:
    data = trained.model.to_bytes()
    back = Model.from_bytes(data, hash_of(data))
    rows, delays = [row(0.3, 2), row(0.8, 1)], [1.0, 30.0]
    assert back.chances(rows, delays) == trained.model.chances(rows, delays)
    assert back.eventual(rows) == trained.model.eventual(rows)
    assert back.to_bytes() == data


def test_a_changed_byte_is_refused(trained: Trained) -> None:
    data = bytearray(trained.model.to_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(ModelRefused, match="was changed"):
        Model.from_bytes(bytes(data), hash_of(trained.model.to_bytes()))


def test_another_version_is_refused(trained: Trained) -> None:
    document = json.loads(trained.model.to_bytes())
    data = json.dumps({**document, "version": 99}).encode()
    with pytest.raises(ModelRefused, match="version 99"):
        Model.from_bytes(data, hash_of(data))


def test_a_group_of_many_weighs_by_its_root() -> None:
    many = [Example({}, None, True, "loop") for _ in range(100 * WHOLE)]
    weights = weights_of([*many, Example({}, None, True, "rare")])
    assert weights[:-1].sum() / weights[-1] == pytest.approx(10 * WHOLE)
    assert weights.mean() == pytest.approx(1.0)


def test_calibration_mends_what_is_too_sure() -> None:
    luck = np.random.default_rng(1)
    odds = luck.normal(size=4_000)
    came = (luck.random(4_000) < 1 / (1 + np.exp(-odds))).astype(float)
    sure = 1 / (1 + np.exp(-3 * odds))
    mend = calibrate(came, sure)
    assert mend.kind != "none"
    assert ece(came, mend(sure)) < ece(came, sure) / 3
    assert Calibration.of(json.loads(json.dumps(mend.as_json()))) == mend


@pytest.mark.parametrize("fit", [platt, isotonic])
def test_calibrations_rise(fit: object) -> None:
    luck = np.random.default_rng(2)
    said = luck.random(500)
    came = (luck.random(500) < said**2).astype(float)
    mapped = fit(came, said)(np.linspace(0, 1, 200))  # type: ignore[operator]
    assert (np.diff(mapped) > 0).all()


def test_scores_of_known_forecasts() -> None:
    came, said = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.6, 0.9])
    assert auc(came, said) == pytest.approx(3.5 / 4)
    assert auc(np.ones(3), np.ones(3)) == 0.5
    assert brier(came, said) == pytest.approx((0.01 + 0.36 + 0.16 + 0.01) / 4)
    assert brier_skill(came, said, 0.5) == pytest.approx(1 - 0.135 / 0.25)
    assert ece(came, said, bins=1) == pytest.approx(0.05)
    assert log_loss(came, np.full(4, 0.5)) == pytest.approx(math.log(2))


def test_rules_foretell_what_they_saw() -> None:
    examples = [Example({"attempt": float(n % 2), "type.rate": 0.3}, None, n % 2 == 0, "t") for n in range(100)]
    assert base_rate(examples)(examples[:1])[0] == 0.5
    assert attempt_table(examples)(examples[:2])[0] > 0.9 > 0.1 > attempt_table(examples)(examples[:2])[1]
    assert group_rate("type")(examples[:1])[0] == 0.3
    assert the_rule(examples, ["type"])[0] == "attempt table"
