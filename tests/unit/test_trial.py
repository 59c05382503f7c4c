"""A model decides on a job type while it wins there, and not before or after."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from jobplatform.decision import Outcome
from jobplatform.learning.contest import WARM, Foretold, Group, Rates, calibration_gap, score, standard_error
from jobplatform.learning.trial import OUTCOMES, Change, Standing, State, Trials, decided_by, in_control

GOOD, WORSE, CONSTANT = (lambda truth: truth), (lambda truth: 1.0 - truth), (lambda truth: 0.5)


def outcomes(
    count: int, model: Callable[[float], float | None], seed: int = 1, first: int = 0, job_type: str = "shop.charge"
) -> Iterator[Outcome]:
    """Give outcomes that nobody but a model that sees the truth can tell apart: their attempt says nothing."""
    luck = random.Random(f"{seed}:{first}")
    for number in range(first, first + count):
        truth = 0.9 if luck.random() < 0.5 else 0.1
        succeeded = luck.random() < truth
        yield outcome(number, succeeded, model(truth), attempt=luck.randint(1, 3), job_type=job_type)


def outcome(number: int, succeeded: bool, chance: float | None, **values: object) -> Outcome:
    known = {"job_type": "shop.charge", "attempt": 1, "decided_by": "static", "waited": 20.0, "at": float(number)}
    return Outcome(
        job_id=f"job-{number}",
        fingerprint="f",
        dependency=None,
        succeeded=succeeded,
        chance=chance,
        **{**known, **values},
    )  # type: ignore[arg-type]


def promoted(trials: Trials | None = None) -> Trials:
    trials = trials or Trials()
    trials.observe(outcomes(OUTCOMES + WARM, GOOD))
    assert trials.state("shop.charge") is State.ACTIVE
    return trials


def states(changes: list[Change]) -> list[State]:
    return [change.after.state for change in changes]


def test_a_model_that_wins_is_promoted_and_says_by_how_much() -> None:
    trials = Trials()
    (change,) = trials.observe(outcomes(1_000, GOOD))
    assert (change.before, change.after.state) == (State.SHADOW, State.ACTIVE)
    assert change.after.reason.startswith("won: Brier skill 0.")
    assert f"over the last {OUTCOMES} outcomes (rule 0.2" in change.after.reason
    assert change.after.score["low"] > 0


@pytest.mark.parametrize("count", [OUTCOMES - 1, OUTCOMES + WARM - 1])
def test_nothing_is_promoted_on_fewer_outcomes(count: int) -> None:
    trials = Trials()
    assert trials.observe(outcomes(count, GOOD)) == []
    assert trials.state("shop.charge") is State.SHADOW
    assert trials.standing("shop.charge").reason.startswith("on trial: ")


@pytest.mark.parametrize("model", [CONSTANT, WORSE, lambda truth: 0.98, lambda truth: None])
def test_what_is_no_better_than_the_rule_stays_on_trial(model: Callable[[float], float | None]) -> None:
    trials = Trials()
    assert trials.observe(outcomes(2_000, model)) == []
    assert trials.state("shop.charge") is State.SHADOW


def test_a_model_whose_chances_are_off_stays_on_trial() -> None:
    trials = Trials()
    assert trials.observe(outcomes(2_000, lambda truth: 0.5 if truth > 0.5 else 0.02)) == []
    assert "off" in trials.standing("shop.charge").reason


@limits(max_examples=15)
@given(st.integers(0, 10_000))
def test_flipped_labels_demote_within_as_many_outcomes_as_are_looked_back_on(seed: int) -> None:
    trials = promoted()
    flipped = outcomes(OUTCOMES, WORSE, seed=seed, first=1_000)
    changes = trials.observe(flipped)
    assert State.SHADOW in states(changes)
    assert trials.state("shop.charge") is State.SHADOW
    assert changes[0].after.reason.startswith("lost: Brier skill -")
    assert changes[0].after.since < 1_000 + OUTCOMES


def test_one_that_was_demoted_has_to_win_on_new_outcomes() -> None:
    trials = promoted()
    lost_at = next(
        number for number, each in enumerate(outcomes(OUTCOMES, WORSE, first=1_000)) if trials.observe([each])
    )
    assert lost_at < OUTCOMES
    assert trials.observe(outcomes(OUTCOMES - 1, GOOD, first=2_000)) == []
    assert states(trials.observe(outcomes(OUTCOMES, GOOD, first=3_000))) == [State.ACTIVE]


def test_a_model_that_foretells_well_and_chooses_badly_is_demoted() -> None:
    trials = promoted()
    luck = random.Random(5)
    ids = range(1_000, 8_000)
    control = [number for number in ids if in_control(f"job-{number}")][:100]
    others = [number for number in ids if not in_control(f"job-{number}")][:300]
    mixed = [outcome(number, luck.random() < 0.9, 0.9) for number in control]
    mixed += [outcome(number, luck.random() < 0.3, 0.3, decided_by=decided_by(3)) for number in others]
    luck.shuffle(mixed)
    changes = trials.observe(mixed)
    assert changes[0].after.state is State.SHADOW
    assert "that were left to the rule" in changes[0].after.reason


def test_job_types_are_tried_apart() -> None:
    trials = promoted()
    trials.observe(outcomes(1_000, WORSE, job_type="shop.mail"))
    assert trials.state("shop.mail") is State.SHADOW
    assert trials.state("shop.charge") is State.ACTIVE


def test_models_that_are_not_to_decide_never_do() -> None:
    trials = Trials(promotes=False)
    assert trials.observe(outcomes(1_000, GOOD)) == []
    assert "JOBPLATFORM_RETRY_MODEL=shadow" in trials.standing("shop.charge").reason
    trials.force("shop.charge", State.ACTIVE)
    assert trials.state("shop.charge") is State.SHADOW


def test_what_is_retired_stays_so_and_what_was_forced_is_demoted_when_it_loses() -> None:
    trials = Trials()
    trials.force("shop.charge", State.RETIRED, "retired by ann")
    assert trials.observe(outcomes(1_000, GOOD)) == []
    assert trials.standing("shop.charge").reason == "retired by ann"
    assert trials.force("shop.charge", State.ACTIVE) is not None
    assert trials.state("shop.charge") is State.ACTIVE
    assert states(trials.observe(outcomes(OUTCOMES, WORSE, first=5_000))) == [State.SHADOW]
    assert not trials.standing("shop.charge").forced


@limits(max_examples=25)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=12), st.integers(0, 50))
def test_how_outcomes_come_in_batches_and_twice_makes_no_difference(sizes: list[int], seed: int) -> None:
    found = list(outcomes(400, GOOD, seed)) + list(outcomes(300, WORSE, seed, first=400))
    whole, parts = Trials(), Trials()
    expected = whole.observe(found)
    changes, start = [], 0
    while start < len(found):
        size = sizes[start % len(sizes)]
        changes += parts.observe(found[start : start + size])
        parts.observe(found[start : start + size // 2])
        start += size
    assert changes == expected
    assert parts.standings() == whole.standings()


@limits(max_examples=25)
@given(st.permutations(range(12)), st.integers(0, 50))
def test_the_order_of_what_shows_nothing_promotes_nothing(order: list[int], seed: int) -> None:
    found = list(outcomes(OUTCOMES + WARM - 1, GOOD, seed))
    parts = [found[number::12] for number in order]
    trials = Trials()
    assert trials.observe(each for part in parts for each in part) == []


def test_a_restored_trial_goes_on_where_it_was() -> None:
    before = promoted()
    after = Trials()
    after.restore(before.standings(), list(outcomes(OUTCOMES + WARM, GOOD)))
    assert after.state("shop.charge") is State.ACTIVE
    flipped = list(outcomes(OUTCOMES, WORSE, first=1_000))
    assert states(after.observe(flipped)) == [State.SHADOW]
    again = Trials()
    again.restore(after.standings(), flipped + list(outcomes(OUTCOMES - 10, GOOD, first=2_000)))
    assert again.state("shop.charge") is State.SHADOW


def test_the_rule_foretells_by_what_was_before() -> None:
    rates = Rates()
    assert rates.foretell(1) == 0.5
    for _ in range(100):
        rates.learn(1, True)
        rates.learn(2, False)
    assert rates.foretell(1) > 0.9 > 0.1 > rates.foretell(2)
    assert rates.foretell(7) == pytest.approx(0.5, abs=0.01)


def test_neighbours_that_resemble_each_other_say_less() -> None:
    luck = random.Random(1)
    apart = [luck.gauss(0, 1) for _ in range(200)]
    together = [value for value in apart[:20] for _ in range(10)]
    assert standard_error(together) > 1.5 * standard_error(apart)


def test_scores_of_extremes() -> None:
    right = [Foretold(1.0, 0.5, True), Foretold(0.0, 0.5, False)] * 50
    assert (score(right).skill, score(right).gap) == (1.0, 0.0)
    assert calibration_gap([Foretold(0.9, 0.5, False)] * 20) == pytest.approx(0.9)
    assert score([]).outcomes == 0


def test_few_outcomes_or_equal_ones_are_no_worse() -> None:
    few, many, none = Group(200), Group(200), Group(200)
    for number in range(100):
        many.add(f"{number}", True, 1.0)
        none.add(f"{number}", False, 1.0)
        if number < 5:
            few.add(f"{number}", False, 1.0)
    assert not few.is_worse_than(many)
    assert none.is_worse_than(many)
    assert not many.is_worse_than(many)


def test_many_failed_attempts_of_one_job_are_no_more_than_that_job() -> None:
    """Half of the jobs succeed at their first retry, half fail at all four, whoever chose their times."""
    worse = 0
    for seed in range(100):
        luck, model, rule = random.Random(seed), Group(200), Group(200)
        for number in range(300):
            group = rule if luck.random() < 0.1 else model
            for succeeded in luck.choice(([True], [False] * 4)):
                group.add(f"job-{number}", succeeded, 1.0)
            worse += model.is_worse_than(rule)
    assert worse == 0


def test_a_model_stays_that_is_worse_at_what_both_foretell_well() -> None:
    trials = promoted()
    failures = [outcome(1_000 + number, False, 0.15) for number in range(OUTCOMES // 2)]
    trials.observe(replace(each, attempt=7) for each in failures)
    assert trials.state("shop.charge") is State.ACTIVE


def test_a_tenth_of_jobs_stays_with_the_rule() -> None:
    share = sum(in_control(f"job-{number}") for number in range(10_000)) / 10_000
    assert 0.08 < share < 0.12
    assert Standing("t").state is State.SHADOW
