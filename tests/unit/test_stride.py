"""The steps of a search: each within what is left of jobs and of time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.store.stride import SECONDS, stride

JOBS = st.integers(1, 10_000)


@given(st.integers(1, 5_000), JOBS, st.floats(0, 1))
def test_all_steps_end_look_at_no_job_too_many_and_keep_the_pace_in_time(first: int, most: int, each: float) -> None:
    looked = min(first, most)
    while step := stride(looked, looked * each, most):
        looked += step
        assert looked <= most
        assert looked * each <= SECONDS + 1e-9
    assert looked == most or looked * each > 0.4 * SECONDS


@given(JOBS, JOBS)
def test_nothing_more_is_looked_at_once_time_is_over(looked: int, more: int) -> None:
    assert stride(looked, SECONDS, looked + more) == 0
    assert stride(looked, 10 * SECONDS, looked + more) == 0


def test_a_fast_disk_gets_all_in_few_steps() -> None:
    assert [stride(100, 0.004, 5_000), stride(900, 0.012, 5_000), stride(5_000, 0.04, 5_000)] == [800, 4_100, 0]


def test_a_slow_disk_gets_as_many_as_there_is_time_for() -> None:
    assert stride(100, 0.06, 5_000) == 70
    assert stride(100, 0.1, 5_000) == 0
