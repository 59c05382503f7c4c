"""What is known of retries before they are decided on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobplatform.learning.history import LAST_ATTEMPT, History
from jobplatform.learning.replay import Retry, replay

LEVELS = ("fingerprint", "job_type")

retries = st.lists(
    st.builds(
        lambda fingerprint, kind, attempt, decided, lasts, succeeded: Retry(
            {"fingerprint": fingerprint, "job_type": kind}, attempt, decided, decided + lasts, succeeded
        ),
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from(["x", "y"]),
        st.integers(1, 12),
        st.integers(0, 50).map(float),
        st.integers(0, 30).map(float),
        st.booleans(),
    ),
    max_size=40,
)


def groups(fingerprint: str | None = "f", kind: str = "t") -> dict[str, str | None]:
    return {"fingerprint": fingerprint, "job_type": kind}


@settings(max_examples=200, deadline=None)
@given(past=retries, future=retries, point=st.integers(0, 60), data=st.data())
def test_features_do_not_depend_on_what_comes_later(
    past: list[Retry], future: list[Retry], point: int, data: st.DataObject
) -> None:
    now = float(point)
    before = [retry for retry in past if retry.decided <= now]
    # What was not known at the point may come at any later time, and to anything.
    changed = [
        replace(retry, known=now + data.draw(st.integers(1, 99)), succeeded=data.draw(st.booleans()))
        if retry.known > now
        else retry
        for retry in before
    ]
    later = [replace(retry, decided=retry.decided + now + 1, known=retry.known + now + 1) for retry in future]
    shuffled = data.draw(st.permutations(later))
    alone = replay(History(LEVELS), before)
    assert replay(History(LEVELS), [*changed, *shuffled])[: len(before)] == alone


def test_an_outcome_of_the_same_instant_is_not_known() -> None:
    first = Retry(groups(), 1, 0.0, 5.0, True)
    (_, seen) = replay(History(LEVELS), [first, Retry(groups(), 1, 5.0, 6.0, True)])
    assert seen["fingerprint.seen"] == 0.0
    assert seen["fingerprint.open"] > 0.0  # type: ignore[operator]


def test_rates_are_drawn_towards_the_next_level() -> None:
    history = History(LEVELS)
    for number in range(40):
        history.note(groups("often" if number % 2 else "never"), 1, float(number), bool(number % 2))
    often, never, unseen = (
        history.features(groups(name), 1, 50.0, {})["fingerprint.rate"] for name in ("often", "never", "unseen")
    )
    kind = history.features(groups(None), 1, 50.0, {})["job_type.rate"]
    assert never is not None and often is not None
    assert never < 0.2 and often > 0.8
    assert unseen == kind


def test_what_is_still_to_come_keeps_early_failures_from_deciding() -> None:
    """Of many retries at once those that fail at once come first; they say little of the others."""
    hasty, patient = History(LEVELS), History(LEVELS)
    for _ in range(50):
        patient.expect(groups())
    for history in (hasty, patient):
        for number in range(10):
            history.note(groups(), 1, float(number), False)
    early, fair = (history.features(groups(), 1, 10.0, {})["fingerprint.rate"] for history in (hasty, patient))
    assert early is not None and fair is not None
    assert early < fair


def test_one_crash_loop_does_not_decide_for_its_job_type() -> None:
    history = History(LEVELS)
    for number in range(100):
        history.note(groups(f"other{number}"), 1, float(number), number % 2 == 0)
    for number in range(2_000):
        history.note(groups("loop"), number, 100.0 + number, False)
    features = history.features(groups("new"), 1, 3_000.0, {})
    assert features["job_type.rate"] is not None and features["job_type.rate"] > 0.25
    loop = history.features(groups("loop"), 1, 3_000.0, {})
    assert loop["fingerprint.rate"] is not None and loop["fingerprint.rate"] < 0.01


def test_failures_in_a_row_and_times_since() -> None:
    history = History(LEVELS)
    for at, succeeded in ((1.0, True), (2.0, False), (4.0, False)):
        history.note(groups(), 1, at, succeeded)
    features = history.features(groups(), 1, 10.0, {"size": 7.0})
    assert features["fingerprint.failures"] == 2.0
    assert features["fingerprint.since_success"] == 9.0
    assert features["fingerprint.since_failure"] == 6.0
    assert features["size"] == 7.0


def test_nothing_is_known_of_times_without_any() -> None:
    history = History(LEVELS)
    history.note(groups(), 1, None, False)
    features = history.features(groups(), 1, None, {})
    assert features["fingerprint.since_failure"] is None
    assert features["fingerprint.lately"] is None


def test_each_attempt_has_a_rate_and_late_ones_share_theirs() -> None:
    history = History(LEVELS)
    for _ in range(30):
        history.note(groups(), 1, None, True)
        history.note(groups(), LAST_ATTEMPT + 5, None, False)
    first, last, later = (
        history.features(groups(), attempt, None, {})["fingerprint.at_attempt"]
        for attempt in (1, LAST_ATTEMPT, LAST_ATTEMPT + 90)
    )
    assert first is not None and last is not None
    assert first > last
    assert last == later


def test_the_group_without_news_for_longest_is_forgotten() -> None:
    history = History(("fingerprint",), most=10)
    for number in range(30):
        history.note({"fingerprint": "kept"}, 1, None, True)
        history.note({"fingerprint": f"f{number}"}, 1, None, True)
    assert len(history) == 10
    assert history.features({"fingerprint": "f0"}, 1, None, {})["fingerprint.seen"] == 0.0
    assert history.features({"fingerprint": "kept"}, 1, None, {})["fingerprint.seen"] != 0.0


@pytest.mark.parametrize("noted", [False, True])
def test_names_are_those_of_the_features(noted: bool) -> None:
    history = History(LEVELS)
    if noted:
        history.note(groups(), 1, 1.0, True)
    assert set(history.features(groups(), 1, 2.0, {})) == set(history.names)
