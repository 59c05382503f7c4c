"""What a model meets is compared with what it learned from."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from jobplatform.learning.contest import score
from jobplatform.learning.drift import LEAST, drift, spreads
from jobplatform.learning.measure import measure

ROWS = 1_000


def rows(value: Callable[[random.Random], float | None], seed: int, count: int = ROWS) -> list[dict[str, Any]]:
    luck = random.Random(seed)
    return [{"features": {"load": value(luck)}, "chance": 0.5, "succeeded": luck.random() < 0.5} for _ in range(count)]


def spread(value: Callable[[random.Random], float | None]) -> dict[str, dict[str, list[float]]]:
    return spreads([row["features"] for row in rows(value, 1)])


def test_rows_of_the_same_kind_have_not_shifted() -> None:
    found = drift(spread(lambda luck: luck.random()), rows(lambda luck: luck.random(), 2))
    assert found is not None
    assert found.shifts["load"] < 0.05
    assert found.complaints() == []


@pytest.mark.parametrize("value", [lambda luck: 0.5 + luck.random() / 2, lambda luck: None, lambda luck: 7.0])
def test_rows_of_another_kind_have(value: Callable[[random.Random], float | None]) -> None:
    found = drift(spread(lambda luck: luck.random()), rows(value, 2))
    assert found is not None
    assert found.complaints()[0].startswith("load has shifted (PSI ")


def test_a_feature_that_is_always_the_same_or_never_there_is_no_matter() -> None:
    for value in (lambda luck: 1.0, lambda luck: None):
        found = drift(spread(value), rows(value, 2))
        assert found is not None
        assert found.shifts == {"load": 0.0}


def test_chances_that_do_not_come_true_are_told() -> None:
    told = [{**row, "chance": 0.9} for row in rows(lambda luck: 0.5, 2)]
    found = drift({}, told)
    assert found is not None
    assert found.complaints() == [f"its chances are {found.gap:.2f} off"]
    unforetold = drift({}, [{**row, "chance": None} for row in told])
    assert unforetold is not None
    assert unforetold.gap is None


def test_few_rows_tell_nothing() -> None:
    assert drift({}, rows(lambda luck: 0.5, 2, LEAST - 1)) is None


def test_the_rule_is_measured_with_what_it_knew_by_then() -> None:
    before = [{"job_type": "a", "attempt": 1, "succeeded": True}] * 50
    after = [{"job_type": "a", "attempt": 1, "succeeded": True}, {"job_type": "b", "attempt": 1, "succeeded": True}]
    found = measure([0.5, 0.5], after, before)
    assert [round(each.rule, 1) for each in found.told] == [1.0, 0.5]
    assert found.overall == score(found.told)
    assert set(found.by_type) == {"a", "b"}
