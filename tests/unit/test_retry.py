"""The static retry policy, decided from values alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobplatform.decision import RetryDecision, RetryFacts
from jobplatform.errors import JobOptionError
from jobplatform.jobs.retry import DEFAULT, RetryRule, decide
from jobplatform.journal.failure import describe_interruption

BOOM = {"type": "ValueError", "message": "boom", "classes": ["ValueError"]}


def facts(retries: int = 0, most: int = 5, rule: dict[str, Any] | None = None) -> RetryFacts:
    return RetryFacts("00000000-0000-7000-8000-000000000000", most, retries, rule)


@given(st.integers(0, 40), st.uuids())
def test_the_wait_is_jittered_below_the_doubled_base_and_the_cap(retries: int, job_id: Any) -> None:
    decision = decide(str(job_id), retries + 1, BOOM, facts(retries, 100))
    assert decision.delay is not None
    assert 0 <= decision.delay <= min(DEFAULT.cap, DEFAULT.base * 2**retries)
    assert decision == decide(str(job_id), retries + 1, BOOM, facts(retries, 100))


LOST = {"type": "WorkerLost", "message": "silent", "classes": ["WorkerLost"], "died": True, "interrupted": True}
DEAD = {"type": "WorkerLostError", "message": "signal 9", "classes": ["WorkerLostError"], "died": True}


@pytest.mark.parametrize("retries", [0, 5])
def test_a_job_whose_worker_died_begins_again_at_once_and_for_free(retries: int) -> None:
    decision = decide("job", 1, LOST, facts(retries))
    assert (decision.delay, decision.free) == (0.0, True)
    assert "death 1 of 3" in decision.reason


def test_a_job_that_ended_its_process_uses_up_a_retry() -> None:
    decision = decide("job", 1, DEAD, facts())
    assert decision.delay is not None
    assert not decision.free
    assert decide("job", 1, DEAD, facts(most=0)).delay is None


def test_a_job_that_saw_its_deadline_is_not_retried_though_it_is_not_late_here() -> None:
    decision = decide("job", 1, {**BOOM, "late": True}, replace(facts(), left=0.01))
    assert decision.delay is None
    assert decision.reason == "deadline: the job saw that it had come, and failed with ValueError: boom"


def test_a_job_that_its_worker_interrupted_begins_again_at_once_and_for_nothing() -> None:
    decision = decide("job", 1, describe_interruption("w1", 25), replace(facts(most=0), deaths=2))
    assert decision == RetryDecision(
        0.0, "worker w1 left, and the job did not end within 25 s; goes on at once", free=True
    )


@pytest.mark.parametrize("error", [LOST, DEAD])
def test_the_third_death_is_the_last(error: dict[str, Any]) -> None:
    assert decide("job", 2, error, replace(facts(), deaths=1)).delay is not None
    decision = decide("job", 3, error, replace(facts(), deaths=2))
    assert decision.delay is None
    assert decision.reason.startswith("poisoned: its process died 3 times")


def test_two_jobs_do_not_come_back_together() -> None:
    delays = {decide(f"job-{number}", 1, BOOM, facts()).delay for number in range(100)}
    assert len(delays) == 100


@given(st.floats(0, 10_000))
def test_the_wait_is_never_below_retry_after(after: float) -> None:
    decision = decide("job", 1, {**BOOM, "after": after}, facts())
    assert decision.delay is not None
    assert decision.delay >= after


@pytest.mark.parametrize(
    ("error", "given_facts", "reason"),
    [
        (BOOM, facts(5), "all 5 retries are used up"),
        (BOOM, facts(0, 0), "no retries are allowed"),
        ({**BOOM, "final": True}, facts(), "boom"),
        ({**BOOM, "status": 404}, facts(), "status 404"),
        ({**BOOM, "classes": ["InvalidPayload", "ValueError"]}, facts(), "never retried"),
        (BOOM, facts(rule={"never": ["ValueError"]}), "never retried"),
        (BOOM, facts(rule={"automatic": False}), "no automatic retry"),
    ],
)
def test_the_hopeless_go_to_the_dead_letters(error: dict[str, Any], given_facts: RetryFacts, reason: str) -> None:
    decision = decide("job", 1, error, given_facts)
    assert decision.delay is None
    assert reason in decision.reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_status_that_can_pass_is_retried(status: int) -> None:
    assert decide("job", 1, {**BOOM, "status": status}, facts()).delay is not None


def test_a_job_that_asks_for_a_retry_gets_the_time_it_asks_for() -> None:
    decision = decide("job", 1, {**BOOM, "asked": 180.0}, facts(rule={"automatic": False}))
    assert decision.delay == 180.0


def test_a_rule_survives_its_row() -> None:
    rule = RetryRule(base=1.5, cap=9.0, never=("KeyError",), jitter=False)
    assert RetryRule.of(rule.as_row()) == rule
    assert DEFAULT.as_row() is None
    assert RetryRule.of(None) == DEFAULT


def test_a_rule_refuses_what_makes_no_sense() -> None:
    with pytest.raises(JobOptionError, match=r"retry\.factor"):
        RetryRule(factor=0.5)


@given(st.integers(0, 3), st.integers(0, 1_000_000))
@settings(max_examples=20, deadline=None)
def test_ten_thousand_jobs_that_fail_together_do_not_come_back_together(retries: int, herd: int) -> None:
    jobs = [f"{herd}-{number}" for number in range(10_000)]
    decisions = [decide(job_id, retries + 1, BOOM, facts(retries)) for job_id in jobs]
    a_second = Counter(int(decision.delay or 0) for decision in decisions)
    spread = DEFAULT.base * DEFAULT.factor**retries
    assert max(a_second) < spread
    assert max(a_second.values()) <= 3 * len(jobs) / spread
