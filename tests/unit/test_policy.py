"""The order in which a retry is decided, and what bounds each who may decide."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.controller.policy import Policy
from jobplatform.decision import FailedAttempt, Outcome, RetryFacts, Seen
from jobplatform.jobs.breaker import open_breaker
from jobplatform.jobs.breakers import Breakers
from jobplatform.jobs.budget import FailureBudget, RetryBudget
from jobplatform.jobs.choice import DELAYS, chance_after, choose
from jobplatform.jobs.retry import decide_all

ERROR = {"type": "ConnectionError", "message": "no", "classes": ["ConnectionError", "OSError"], "host": "api.local"}


class Memory:
    """Remembers what it was told, and makes nothing of it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def features(self, groups: Mapping[str, str | None], attempt: int, *of: Any) -> dict[str, float | None]:
        return {"attempt": float(attempt)}

    def expect(self, groups: Mapping[str, str | None]) -> None:
        pass

    def note(self, groups: Mapping[str, str | None], attempt: int, at: float | None, succeeded: bool) -> None:
        self.told.append((groups["job_type"], attempt, succeeded))


@dataclass
class Adviser:
    """A model that knows one curve."""

    curve: Callable[[float], float]
    ever: float = 0.9
    version: int = 7

    @property
    def model(self) -> Adviser:
        return self

    def chances(self, rows: Sequence[Any], delays: Sequence[float]) -> list[list[float]]:
        return [[self.curve(delay) for delay in delays] for _ in rows]

    def eventual(self, rows: Sequence[Any]) -> list[float]:
        return [self.ever for _ in rows]


def policy(adviser: Adviser | None = None, explore: float = 0.0, breakers: Breakers | None = None) -> Policy:
    return Policy(breakers, Memory(), lambda: adviser, lambda job_type, job_id: True, explore, random.Random(5))


def failed(number: int = 1, retries: int = 0, left: float | None = None, **error: Any) -> FailedAttempt:
    facts = RetryFacts(f"job-{number}", 5, retries, None, job_type="shop.charge", left=left)
    return FailedAttempt(f"job-{number}", retries + 1, 1000.0, {**ERROR, **error}, facts, "f00d", "host:api.local")


def test_with_nothing_else_the_rule_decides() -> None:
    attempts = [failed(number, number % 7) for number in range(50)]
    decisions = policy().decide(attempts)
    ruled = decide_all(attempts)
    assert [each.reason for each in decisions] == [each.reason for each in ruled]
    assert [each.delay for each in decisions] == [each.delay for each in ruled]
    assert {each.decided_by for each in decisions} == {"static"}


def test_a_model_waits_for_as_long_as_it_takes_but_not_all_for_the_same_time_and_says_why() -> None:
    asked = policy(Adviser(lambda delay: 0.9 if delay >= 90 else 0.05))
    delays = [asked.decide([failed(number)])[0].delay or 0.0 for number in range(200)]
    assert min(delays) >= 90
    assert sum(90 <= delay < 150 for delay in delays) > 180
    assert len(set(delays)) == 200
    (decision,) = asked.decide([failed(status=503)])
    assert decision.decided_by == "model:7"
    said = r"HTTP 503 from api.local; 100 % of these succeed within \d+ min; waiting \d+ (s|min) \(retry 1 of 5\)"
    assert re.fullmatch(said, decision.reason), decision.reason
    assert decision.evidence is not None
    assert decision.evidence.features == {"attempt": 2.0}
    assert (90.0, 0.9) in decision.evidence.candidates
    assert (decision.evidence.chance, decision.evidence.eventual) == (pytest.approx(0.9), 0.9)
    assert (decision.evidence.propensity or 0) > 0
    assert decision.evidence.shadow == {"version": 7, "delay": 90.0, "chance": 0.9}


def test_a_model_that_does_not_decide_says_what_it_would_have_done() -> None:
    adviser = Adviser(lambda delay: 0.9 if delay >= 90 else 0.05)
    watched = Policy(None, Memory(), lambda: adviser, lambda *of: False, 0.0, random.Random(5))
    (decision,) = watched.decide([failed()])
    assert decision.decided_by == "static"
    assert decision.evidence is not None and decision.evidence.shadow == {"version": 7, "delay": 90.0, "chance": 0.9}
    assert decision.evidence.chance == 0.05


def test_what_hardly_ever_succeeds_is_given_up_within_the_budget_of_its_type() -> None:
    asked = policy(Adviser(lambda delay: 0.01, ever=0.1))
    assert asked.decide([failed(retries=4)])[0].delay is not None
    asked.decide([failed(number, 5) for number in range(20)])
    assert asked.decide([failed(retries=3)])[0].delay is not None
    decisions = [asked.decide([failed(number, 4)])[0] for number in range(100)]
    given_up = [decision for decision in decisions if decision.delay is None]
    assert (
        decisions[0].reason
        == "ConnectionError from api.local; 10 % of these succeed with one more retry, which is less than 50 %"
    )
    assert 10 <= len(given_up) <= 35
    assert {decision.decided_by for decision in decisions} == {"model:7"}


@pytest.mark.parametrize(("most", "tried"), [(1, None), (2, None), (3, 2), (4, 3), (9, 4)])
def test_no_job_is_given_up_before_it_was_retried_a_few_times(most: int, tried: int | None) -> None:
    asked = policy(Adviser(lambda delay: 0.01, ever=0.1))
    asked.decide([failed(number, 5) for number in range(20)])
    cases = [failed(retries=retries) for retries in range(most)]
    few = [replace(case, facts=replace(case.facts, max_retries=most)) for case in cases]
    decisions = [asked.decide([case])[0] for case in few]
    given_up = next((retries for retries, each in enumerate(decisions) if each.delay is None), None)
    assert given_up == tried


def test_a_type_sets_its_own_threshold_and_may_keep_to_the_rule() -> None:
    asked = policy(Adviser(lambda delay: 0.3, ever=0.1))
    low, never = ({"threshold": 0.05}, {"learned": False})
    case = failed(retries=4)
    by_rule = [replace(case, facts=replace(case.facts, retry_rule=rule)) for rule in (low, never)]
    asked.decide([failed(number, 5) for number in range(20)])
    decisions = asked.decide(by_rule)
    assert [each.delay is not None for each in decisions] == [True, True]
    assert [each.decided_by for each in decisions] == ["model:7", "static"]


def test_chance_draws_delays_over_all_scales_and_logs_how_likely_they_were() -> None:
    asked = policy(explore=0.2)
    decisions = [asked.decide([replace(failed(number), at=1000.0 * number)])[0] for number in range(3000)]
    drawn = [each for each in decisions if each.decided_by == "chance"]
    assert 500 < len(drawn) < 700
    logs = [math.log(each.delay or 0) for each in drawn]
    low, high = math.log(20 / 16), math.log(20 * 16)
    assert low <= min(logs) and max(logs) <= high
    middle = sum(1 for each in logs if each < (low + high) / 2)
    assert 0.4 < middle / len(logs) < 0.6
    propensities = {round(each.evidence.propensity or 0, 6) for each in drawn if each.evidence}
    assert propensities == {round(0.2 / (high - low), 6)}


def test_what_a_client_had_to_guess_counts_for_nobody() -> None:
    case = failed(declared={"retry_rule": {"base": 0.1, "cap": 0.2}, "max_retries": 2})
    guessed = replace(case, facts=replace(case.facts, retry_rule={"guessed": ["retry_rule", "max_retries"]}))
    decisions = [policy(explore=1.0).decide([guessed])[0] for _ in range(20)]
    assert {each.decided_by for each in decisions} == {"chance"}
    assert all(0.1 / 16 <= (each.delay or 0) <= 0.2 for each in decisions)
    assert "retry 1 of 2" in decisions[0].reason


def test_chance_leaves_alone_what_is_in_a_hurry() -> None:
    asked = policy(explore=1.0)
    assert asked.decide([failed(left=100.0)])[0].decided_by == "static"
    assert asked.decide([failed(left=1000.0)])[0].decided_by == "chance"


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(0.1, 5000)),
    st.one_of(st.none(), st.floats(0, 4000)),
    st.integers(0, 6),
    st.floats(0, 1),
)
def test_nobody_comes_back_too_early_too_late_or_too_often(
    chance: float, ever: float, left: float | None, after: float | None, retries: int, explore: float
) -> None:
    error = {} if after is None else {"after": after}
    (decision,) = policy(Adviser(lambda delay: chance, ever), explore).decide([failed(1, retries, left, **error)])
    if retries >= 5:
        assert decision.delay is None
    if decision.delay is not None:
        assert decision.delay >= (after or 0.0)
        assert left is None or decision.delay < left


def board() -> Breakers:
    made = Breakers()
    made.failed([failed(number) for number in range(100, 110)])
    made.observe(Seen(1000.0))
    return made


def test_what_fails_of_an_open_cause_is_held_whatever_else_would_be_chosen() -> None:
    asked = policy(Adviser(lambda delay: 0.9), 1.0, board())
    (decision,) = asked.decide([failed()])
    assert (decision.gate, decision.free, decision.decided_by) == ("host:api.local", True, "breaker")
    assert decision.delay == 6 * 3600.0


def test_of_a_cause_that_fails_most_but_not_all_each_job_tries_its_luck_a_few_times() -> None:
    partial = Breakers([replace(open_breaker("host:api.local", 990.0, "why"), relapsed=True, heard=10, refused=4)])
    asked = policy(breakers=partial)
    (decision,) = asked.decide([failed()])
    assert decision.gate == "host:api.local" and decision.free
    assert decision.delay is not None and decision.delay <= 20.0
    (patient,) = asked.decide([replace(failed(), attempt=4)])
    assert (patient.gate, patient.delay) == ("host:api.local", 6 * 3600.0)


def test_also_a_job_whose_last_retry_that_was_but_none_for_ever() -> None:
    asked = policy(breakers=board())
    assert asked.decide([failed(retries=5)])[0].gate == "host:api.local"
    in_vain = replace(failed(), facts=replace(failed().facts, times_held=9))
    assert asked.decide([in_vain])[0].gate is None
    (hurried,) = asked.decide([failed(left=50.0)])
    assert hurried.delay == 45.0


@pytest.mark.parametrize("error", [{"asked": 5.0}, {"status": 404}, {"interrupted": True}, {"final": True}])
def test_what_the_rule_knows_better_is_not_held(error: dict[str, Any]) -> None:
    assert policy(breakers=board()).decide([failed(**error)])[0].gate is None


def test_memory_hears_of_outcomes_but_not_of_what_was_held() -> None:
    asked = policy()
    outcome = Outcome("job-1", "shop.charge", 1, "f00d", None, "static", True, 5.0, 1000.0)
    asked.observe(Seen(1000.0, Counter({"shop.charge": 1}), (), [outcome, replace(outcome, gate="host:api.local")]))
    assert isinstance(asked.memory, Memory)
    assert asked.memory.told == [("shop.charge", 2, True)]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=400))
def test_no_more_retries_of_a_cause_are_due_at_once_than_its_budget(delays: list[float]) -> None:
    budget = RetryBudget()
    due = Counter(int((1000.0 + budget.put_off("host:a", "t", 1000.0, delay)) // 10) for delay in delays)
    assert max(due.values()) <= 101


def test_a_dependency_that_is_asked_more_has_more_retries() -> None:
    busy, idle = RetryBudget(), RetryBudget()
    busy.succeeded("t", 999.0, 60_000)
    late = [sum(each.put_off("host:a", "t", 1000.0, 1.0) > 10 for _ in range(1000)) for each in (busy, idle)]
    assert late[0] == 0 < late[1]


def test_of_a_type_of_which_little_fails_some_may_always_be_given_up() -> None:
    budget = FailureBudget()
    budget.failed("t", 0.0)
    assert [budget.may_give_up("t", 1.0) for _ in range(12)].count(True) == 11


@given(st.floats(0.001, 0.999), st.integers(1, 9))
def test_without_a_curve_the_shortest_delay_is_best(chance: float, attempts: int) -> None:
    assert choose([(delay, chance) for delay in DELAYS], attempts, None).delay == DELAYS[0]


@given(st.lists(st.floats(0, 1), min_size=len(DELAYS), max_size=len(DELAYS)), st.floats(0.5, 4000))
def test_a_chance_lies_between_those_of_its_neighbours(chances: list[float], delay: float) -> None:
    pairs = list(zip(DELAYS, chances, strict=True))
    near = [chance for at, chance in pairs if at <= delay][-1:] + [chance for at, chance in pairs if at > delay][:1]
    assert min(near) - 1e-9 <= chance_after(pairs, delay) <= max(near) + 1e-9
