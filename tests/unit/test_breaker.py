"""When a breaker opens, whom it lets go, and when it closes."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.decision import FailedAttempt, Outcome, RetryFacts, Seen
from jobplatform.jobs.breaker import Breaker, BreakerState, Release, open_breaker
from jobplatform.jobs.breakers import Breakers
from jobplatform.jobs.window import Window

CAUSE = "host:api.local"
ERROR = {
    "type": "ConnectionError",
    "message": "refused",
    "classes": ["ConnectionError", "OSError"],
    "host": "api.local",
}
#: An error that may be anything.
BUG = {"type": "ShopError", "classes": ["ShopError"], "host": None}


def failed(job: int, at: float, trial: bool = False, dependency: str | None = CAUSE, **error: object) -> FailedAttempt:
    facts = RetryFacts(f"job-{job}", 5, 0, None, job_type="shop.charge", trial=trial)
    return FailedAttempt(f"job-{job}", 1, at, {**ERROR, **error}, facts, "f00d", dependency)


def tell(board: Breakers, failures: list[FailedAttempt], completed: int = 0) -> None:
    """Tell what a batch showed."""
    board.failed(failures)
    if failures:
        board.observe(Seen(max(each.at for each in failures), Counter({"shop.charge": completed} if completed else {})))


def opened(at: float = 0.0) -> Breakers:
    board = Breakers()
    tell(board, [failed(job, at) for job in range(8)])
    assert board.holding(CAUSE) is not None
    return board


def test_it_opens_when_many_jobs_fail_of_one_cause_and_says_why() -> None:
    board = Breakers()
    tell(board, [failed(job, 1.0) for job in range(4)])
    assert board.holding(CAUSE) is None
    tell(board, [failed(job, 2.0) for job in range(4, 8)])
    breaker = board.holding(CAUSE)
    assert breaker is not None
    assert "ConnectionError from api.local: 8 jobs within 10 s" in breaker.reason


def test_one_job_that_fails_often_opens_nothing() -> None:
    board = Breakers()
    tell(board, [failed(1, float(at)) for at in range(30)])
    assert board.holding(CAUSE) is None


def test_what_succeeded_in_the_same_batch_counts() -> None:
    board = Breakers()
    tell(board, [failed(job, 1.0 + job) for job in range(50)], completed=200)
    assert board.holding(CAUSE) is None


def test_the_permanent_errors_of_a_few_open_nothing_however_often_they_are_tried() -> None:
    board = Breakers()
    for second in range(1, 900):
        at = float(second)
        board.observe(Seen(at, Counter({"shop.charge": 1})))
        again = replace(failed(second % 7, at), attempt=3)
        tell(board, [again, replace(again, job_id="other")] + [failed(second, at)] * (second % 10 == 0))
        assert board.holding(CAUSE) is None


def test_a_surge_of_one_reason_among_others_opens_when_it_is_not_usual() -> None:
    board = Breakers()
    for second in range(1, 700):
        board.observe(Seen(float(second), Counter({"shop.charge": 10})))
        tell(board, [failed(second, float(second))] * (second % 60 == 0))
    assert board.holding(CAUSE) is None
    for second in range(700, 730):
        at = float(second)
        board.observe(Seen(at, Counter({"shop.charge": 7})))
        tell(board, [failed(3 * second + job, at) for job in range(3)] + [replace(failed(second, at), attempt=2)])
    breaker = board.holding(CAUSE)
    assert breaker is not None and "are usual" in breaker.reason
    assert board.held_types() == {}


def test_what_asks_for_patience_is_not_held() -> None:
    board = Breakers()
    tell(board, [failed(job, 1.0, status=429, after=5.0) for job in range(50)])
    assert board.holding(CAUSE) is None


def test_jobs_that_are_not_held_show_that_a_cause_is_over() -> None:
    breaker = open_breaker(CAUSE, 0.0, "surge")
    board = Breakers([breaker])
    tell(board, [failed(1, 1.0)])
    board.observe(Seen(30.0, Counter({"shop.charge": 9})))
    assert board.tick(30.0, {CAUSE: 5}) == [Release(CAUSE, 1, canary=True, begun=False)]
    board.observe(Seen(31.0, Counter({"shop.charge": 1})))
    assert board.tick(32.0, {CAUSE: 5}) == [Release(CAUSE, 2)]


def test_failures_among_many_successes_open_nothing() -> None:
    board = Breakers()
    board.observe(Seen(1.0, Counter({"shop.charge": 40})))
    tell(board, [failed(job, 1.0) for job in range(12)])
    assert board.holding(CAUSE) is None


def test_what_may_be_anything_is_held_only_when_nearly_everything_fails_of_it() -> None:
    board = Breakers()
    board.observe(Seen(1.0, Counter({"shop.charge": 20})))
    tell(board, [failed(job, 100.0, dependency=None, **BUG) for job in range(19)])
    assert board.holding("fingerprint:f00d") is None
    tell(board, [failed(19, 100.0, dependency=None, **BUG)])
    assert board.holding("fingerprint:f00d") is not None


@pytest.mark.parametrize("kind", ["ShopError", "TimeoutError"])
def test_what_never_went_well_is_no_news(kind: str) -> None:
    board = Breakers()
    for second in range(900):
        board.observe(Seen(float(second), Counter({"shop.other": 5})))
        error = {**BUG, "type": kind, "classes": [kind]}
        tell(board, [failed(3 * second + job, float(second), dependency=None, **error) for job in range(3)])
        assert board.holding("fingerprint:f00d") is None


def test_what_fails_as_often_as_ever_is_no_news() -> None:
    board = Breakers()
    for second in range(900):
        board.observe(Seen(float(second), Counter({"shop.charge": 1} if second % 20 == 0 else {})))
        tell(board, [failed(second, float(second), dependency=None, **BUG)])
        assert board.holding("fingerprint:f00d") is None


@pytest.mark.parametrize("kind", ["ValueError", "SoftTimeLimitExceeded"])
def test_what_is_wrong_with_the_jobs_themselves_is_never_held(kind: str) -> None:
    board = Breakers()
    tell(board, [failed(job, 1.0, type=kind, classes=[kind, "Exception"]) for job in range(50)])
    tell(board, [failed(job, 1.0, died=True) for job in range(50)])
    assert board.tick(60.0, {}) == []
    assert board.holding(CAUSE) is None


def test_one_canary_at_a_time_then_steps_then_nothing_is_held() -> None:
    board = opened()
    assert board.tick(2.0, {CAUSE: 8}) == []
    assert board.tick(3.5, {CAUSE: 8}) == [Release(CAUSE, 1, canary=True, begun=False)]
    assert board.tick(4.5, {CAUSE: 7}) == []
    tell(board, [failed(1, 5.0, trial=True)])
    assert board.tick(6.0, {CAUSE: 8}) == []
    assert board.tick(9.0, {CAUSE: 8}) == [Release(CAUSE, 1, canary=True, begun=True)]
    board.observe(well(10.0))
    released, now = 0, 10.0
    while board.holding(CAUSE) is not None and now < 300:
        now += 1.0
        for release in board.tick(now, {CAUSE: 7 - released} if released < 7 else {}):
            assert not release.canary
            released += release.jobs
            board.observe(well(now, release.jobs))
    assert released == 7
    assert board.holding(CAUSE) is None


def outcome(at: float, succeeded: bool = True) -> Outcome:
    return Outcome("job-1", "shop.charge", 1, "f00d", CAUSE, "breaker", succeeded, 5.0, at, gate=CAUSE)


def well(at: float, jobs: int = 1) -> Seen:
    """A batch in which jobs that were held succeed."""
    return Seen(at, Counter({"shop.charge": jobs}), outcomes=[outcome(at)] * jobs)


def test_a_lost_canary_is_not_waited_for() -> None:
    board = opened()
    assert board.tick(4.0, {CAUSE: 8})
    assert board.tick(63.0, {CAUSE: 8}) == []
    board.tick(65.0, {CAUSE: 8})
    assert board.tick(66.0, {CAUSE: 8}) == [Release(CAUSE, 1, canary=True, begun=False)]


def test_a_release_that_fails_holds_again() -> None:
    breaker = open_breaker(CAUSE, 0.0, "why")
    breaker, _ = breaker.step(4.0, 100)
    breaker = breaker.seen(5.0, 1, 0)
    assert breaker.state is BreakerState.RELEASING
    breaker, release = breaker.step(6.0, 100)
    assert release is not None and release.jobs > 0
    breaker, release = breaker.seen(7.0, 0, 4).step(8.0, 100)
    assert (breaker.state, release) == (BreakerState.OPEN, None)


def test_a_refusal_of_the_canary_alone_shows_that_the_other_side_is_there() -> None:
    board = opened()
    board.tick(4.0, {CAUSE: 8})
    board.answered([failed(1, 5.0, trial=True, status=404)])
    breaker = board.holding(CAUSE)
    assert breaker is not None and breaker.state is BreakerState.RELEASING


def test_job_types_that_do_nothing_but_fail_do_not_begin() -> None:
    board = opened()
    assert board.held_types() == {"shop.charge": CAUSE}


def test_no_canary_goes_before_the_time_that_the_other_side_asks_for() -> None:
    board = Breakers()
    tell(board, [failed(job, 0.0, status=503, after=120.0) for job in range(8)])
    tell(board, [failed(9, 1.0, status=503, after=120.0)])
    assert board.tick(100.0, {CAUSE: 9}) == []
    assert board.tick(122.0, {CAUSE: 9}) == [Release(CAUSE, 1, canary=True, begun=False)]


@pytest.mark.parametrize("forced", [BreakerState.OPEN, BreakerState.CLOSED])
def test_a_person_has_the_last_word(forced: BreakerState) -> None:
    board = opened()
    board.hear([open_breaker(CAUSE, 0.0, "kept").force(forced, "me")], 10.0)
    assert board.tick(100.0, {CAUSE: 8}) == []
    board.observe(Seen(100.0, outcomes=[outcome(100.0)]))
    tell(board, [failed(job, 101.0) for job in range(20)])
    assert (board.holding(CAUSE) is not None) is (forced is BreakerState.OPEN)
    board.hear([], 110.0)
    tell(board, [failed(job, 111.0) for job in range(20)])
    assert board.holding(CAUSE) is not None


def releasing() -> Breaker:
    """A breaker whose canary has just succeeded."""
    breaker, _ = open_breaker(CAUSE, 0.0, "why").step(600.0, 1000)
    return breaker.seen(600.0, 1, 0)


def step(breaker: Breaker, now: float) -> tuple[Breaker, int]:
    breaker, release = breaker.step(now, 1000)
    return breaker, release.jobs if release is not None else 0


def test_what_goes_well_doubles_what_is_under_way() -> None:
    breaker, jobs = step(releasing(), 601.0)
    assert jobs == 2
    breaker, jobs = step(breaker.seen(602.0, 2, 0), 602.0)
    assert jobs == 4
    breaker, jobs = step(breaker.seen(603.0, 3, 0), 603.0)
    assert jobs == 6 and breaker.window.under_way == 7


def test_too_many_failures_halve_the_window_once_for_all_that_was_under_way() -> None:
    breaker = replace(releasing(), window=Window(16.0, under_way=16, succeeded=8.0))
    breaker = breaker.seen(610.0, 2, 4)
    assert (breaker.window.size, breaker.window.draining, step(breaker, 611.0)[1]) == (8.0, 10, 0)
    breaker = breaker.seen(612.0, 4, 3)
    assert (breaker.window.size, breaker.window.draining, breaker.window.under_way) == (8.0, 3, 3)
    assert step(breaker, 613.0)[1] == 5
    breaker = breaker.seen(614.0, 3, 0)
    assert (breaker.window.draining, breaker.window.failed) == (0, 0.0)
    # From here on it grows by one for each window that went well.
    window = replace(breaker.window, under_way=8)
    assert window.ended(8, 0).size == 9.0


def relapsed(board: Breakers, at: float, held: int = 9, **error: object) -> Breaker:
    """Let a canary succeed and what follows it fail."""
    tell(board, [failed(job, at, **error) for job in range(8)])
    assert board.tick(at + 4.0, {CAUSE: held})[0].canary
    board.observe(well(at + 5.0))
    assert not board.tick(at + 6.0, {CAUSE: held})[0].canary
    tell(board, [failed(job, at + 7.0, trial=True, **error) for job in range(3)])
    board.tick(at + 8.0, {CAUSE: held})
    breaker = board.holding(CAUSE)
    assert breaker is not None and breaker.state is BreakerState.OPEN
    return breaker


def test_when_some_succeed_by_chance_job_types_begin_again() -> None:
    board = opened()
    assert relapsed(board, 1.0).is_partial
    assert board.held_types() == {}
    tell(board, [failed(job, 10.0) for job in range(30, 40)])
    assert board.held_types() == {}


def test_no_crowd_comes_back_by_chance() -> None:
    board = Breakers()
    assert not relapsed(board, 1.0, held=1000).is_partial
    assert board.held_types() == {"shop.charge": CAUSE}


@pytest.mark.parametrize("kind", [["ReadTimeout", "ConnectionError"], ["HTTPError"]])
def test_what_may_have_too_much_to_do_is_not_tried_by_chance(kind: list[str]) -> None:
    board = Breakers()
    assert not relapsed(board, 1.0, classes=kind).is_partial
    assert board.held_types() == {"shop.charge": CAUSE}


def test_failures_that_come_however_few_are_under_way_slow_nothing_down() -> None:
    window = Window()
    for number in range(400):
        window = window.let_go(window.room).ended(int(number % 5 not in (1, 3)), int(number % 5 in (1, 3)))
        assert not window.is_failing
    assert window.usual == pytest.approx(0.4, abs=0.15)
    assert window.size > 20


def test_what_was_let_go_and_failed_of_something_else_is_under_way_no_more() -> None:
    board = Breakers([replace(releasing(), job_types=frozenset({"shop.charge"}), window=Window(4.0, under_way=3))])
    held = failed(1, 610.0, trial=True, dependency="host:other")
    never_begun = failed(2, 610.0, trial=True, dependency="host:other")
    board.failed([replace(held, attempt=2), never_begun])
    outcomes = [outcome(610.0, succeeded=False)]
    board.observe(Seen(610.0, failures=[replace(held, attempt=2), never_begun], outcomes=outcomes))
    breaker = board.holding(CAUSE)
    assert breaker is not None
    assert (breaker.window.under_way, breaker.window.failed, breaker.window.size) == (1, 0.0, 4.0)


def test_what_failed_of_the_cause_counts_once() -> None:
    board = Breakers([replace(releasing(), job_types=frozenset({"shop.charge"}), window=Window(4.0, under_way=3))])
    again = replace(failed(1, 610.0, trial=True), attempt=2)
    board.failed([again])
    board.observe(Seen(610.0, failures=[again], outcomes=[outcome(610.0, succeeded=False)]))
    breaker = board.holding(CAUSE)
    assert breaker is not None and breaker.window.under_way == 2


def test_what_runs_for_long_is_not_waited_for() -> None:
    breaker, _ = step(releasing(), 601.0)
    assert step(breaker, 650.0)[1] == 0
    assert step(breaker, 662.0)[1] == 4


@given(st.floats(0.3, 40.0), st.integers(10, 400))
def test_what_is_let_go_follows_what_the_other_side_can_do(capacity: float, held: int) -> None:
    timeout, now, wasted = 20.0, 600.0, 0
    breaker = replace(releasing(), opened_at=now - held / capacity)
    busy_until, under_way, left = now, deque[tuple[float, bool]](), held
    while left or under_way:
        now += 1.0
        while under_way and under_way[0][0] <= now:
            _, went_well = under_way.popleft()
            wasted += not went_well
            left += not went_well
            breaker = breaker.seen(now, int(went_well), int(not went_well))
        breaker, release = breaker.step(now, left)
        for _ in range(release.jobs if release is not None else 0):
            left -= 1
            goes_well = busy_until <= now + timeout
            busy_until = max(busy_until, now) + (1 / capacity if goes_well else 0.0)
            under_way.append((busy_until if goes_well else now + timeout, goes_well))
        assert breaker.state is not BreakerState.OPEN
    assert wasted <= 0.5 * held + 3
    assert now - 600.0 <= 2.0 * held / min(capacity, 5.0) + 60.0


@given(st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 5), st.integers(0, 5), st.integers(0, 50)), max_size=80))
def test_no_more_than_what_is_held_goes_and_canaries_go_alone(
    events: list[tuple[float, int, int, int]],
) -> None:
    breaker, now, canaries = open_breaker(CAUSE, 0.0, "why"), 0.0, 0
    for pause, succeeded, failures, held in events:
        now += pause
        was = breaker
        breaker, release = breaker.step(now, held)
        if release is not None:
            assert 0 < release.jobs <= held
            if release.canary:
                assert was.canary_at is None and release.jobs == 1
                canaries += 1
        breaker = breaker.seen(now, succeeded, failures)
        assert breaker.window.under_way >= 0
        assert breaker.state is not BreakerState.RELEASING or canaries


@given(st.integers(1, 20_000))
def test_all_that_is_held_is_let_go_within_five_minutes(held: int) -> None:
    breaker: Breaker = open_breaker(CAUSE, 0.0, "why")
    breaker, _ = breaker.step(1800.0, held)
    breaker, now, left = breaker.seen(1800.0, 1, 0), 1800.0, held - 1
    while left:
        now += 1.0
        breaker, release = breaker.step(now, left)
        if release is not None:
            left -= release.jobs
            breaker = breaker.seen(now, release.jobs, 0)
        assert now <= 1800.0 + 300.0
