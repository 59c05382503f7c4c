"""Deadlines: how they are read, how they bound an attempt, and what they leave of retries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.decision import RetryFacts
from jobplatform.errors import DeadlineExceeded, JobOptionError
from jobplatform.jobs.deadline import Deadline, chosen, deadline_of
from jobplatform.jobs.retry import decide
from jobplatform.journal.bounded import limits_of
from jobplatform.journal.failure import describe, describe_deadline

NOW = 1_800_000_000.0
JOB = "00000000-0000-7000-8000-000000000000"
SECONDS = st.floats(0.1, 1e6)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (60, 60.0),
        (0.5, 0.5),
        (datetime.fromtimestamp(NOW + 90, UTC), 90.0),
        ((datetime.fromtimestamp(NOW, UTC) + timedelta(hours=1)).isoformat(), 3600.0),
    ],
)
def test_a_deadline_is_seconds_or_a_time(value: Any, seconds: float) -> None:
    found = deadline_of(value, NOW)
    assert found is not None
    assert found.seconds == pytest.approx(seconds)
    assert found.at == pytest.approx(NOW + seconds)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "deadline: 0 leaves no time"),
        (-1, "leaves no time"),
        (float("nan"), "leaves no time"),
        (True, "deadline: True is no time"),
        ("soon", "deadline: 'soon' is no time"),
        (datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None), "has no time zone"),
        ("2030-01-01T00:00:00", "has no time zone"),
        (datetime.fromtimestamp(NOW - 1, UTC), "leaves no time"),
    ],
)
def test_what_is_no_deadline_is_refused(value: Any, said: str) -> None:
    with pytest.raises(JobOptionError, match=said):
        deadline_of(value, NOW)


def test_a_submission_stands_above_its_job_type() -> None:
    assert chosen(None, None, NOW, None) == {}
    assert chosen(None, 60.0, NOW, None) == {"deadline": 60.0, "deadline_at": NOW + 60}
    assert chosen(Deadline(5.0, NOW + 5), 60.0, NOW, NOW + 4) == {"deadline": 5.0, "deadline_at": NOW + 5}
    with pytest.raises(JobOptionError, match="it comes 10 s before the job is to begin"):
        chosen(None, 60.0, NOW, NOW + 70)


@given(st.none() | SECONDS, st.none() | SECONDS, st.floats(-1e6, 1e6), st.floats(0.1, 100))
def test_no_attempt_outlasts_its_deadline(timeout: float | None, soft: float | None, left: float, grace: float) -> None:
    if timeout and soft and soft >= timeout:
        soft = None
    limits = limits_of(timeout, soft, left, grace)
    assert limits.hard is not None
    assert 0 < limits.hard <= max(left, 0.01)
    assert limits.hard <= max(timeout or limits.hard, 0.01)
    assert limits.hard_by_deadline == (timeout is None or left < timeout)
    assert (limits.soft is None) == (soft is None)
    if limits.soft is not None and soft is not None:
        assert limits.hard / 2 <= limits.soft < limits.hard or limits.soft == soft
        assert limits.soft <= soft
        assert limits.soft_by_deadline == (limits.soft < soft)


def test_far_from_the_deadline_the_limits_are_those_of_the_job() -> None:
    assert limits_of(60, 50, 1_000, 10) == (60, 50, False, False)
    assert limits_of(60, 5, 1_000, 10) == (60, 5, False, False)


def test_near_the_deadline_a_job_keeps_its_time_to_clean_up() -> None:
    assert limits_of(60, 50, 30, 10) == (30, 20, True, True)
    assert limits_of(60, 50, 6, 10) == (6, 3, True, True)
    assert limits_of(None, 50, 30, 10) == (30, 20, True, True)
    assert limits_of(60, None, 30, 10) == (30, None, True, False)


def facts(left: float | None) -> RetryFacts:
    return RetryFacts(JOB, 5, 0, {"base": 10.0, "jitter": False}, left=left)


ERROR = describe(ValueError("no luck"), None, NOW)


@pytest.mark.parametrize(("left", "again"), [(None, True), (10.1, True), (10.0, False), (1.0, False), (-5.0, False)])
def test_a_retry_that_would_begin_after_the_deadline_is_none(left: float | None, again: bool) -> None:
    decision = decide(JOB, 1, ERROR, facts(left))
    assert (decision.delay is not None) == again
    assert decision.reason.startswith("ValueError" if again else "deadline: it failed")


def test_an_interrupted_job_goes_on_while_there_is_time() -> None:
    interrupted = {"type": "Interrupted", "message": "its worker left", "interrupted": True}
    assert decide(JOB, 1, interrupted, facts(0.1)).delay == 0
    assert decide(JOB, 1, interrupted, facts(0.0)).reason.startswith("deadline: ")


def test_what_was_stopped_at_its_deadline_is_not_retried() -> None:
    decision = decide(JOB, 1, describe_deadline("the deadline of the job is now", None), facts(5.0))
    assert (decision.delay, decision.reason) == (None, "deadline: the deadline of the job is now")


def test_the_error_has_a_name_of_its_own() -> None:
    assert describe(DeadlineExceeded("x"), None, NOW)["classes"][0] == "DeadlineExceeded"
    assert describe_deadline("x", "Traceback")["type"] == "DeadlineExceeded"
