"""The steps of a search: each within what is left of jobs and of time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.store.stride import SECONDS, stride

JOBS = st.integers(1, 10_000)
#: Seconds for a job: from memory, and from a disk.
MEMORY, DISK = 0.00001, 0.0002


def steps(most: int, paces: list[float]) -> tuple[int, float]:
    """Look as far as there is time, at the pace of each step in turn; give how far, and how long it took."""
    step, looked, took, slowest = min(100, most), 0, 0.0, 0.0
    while step:
        pace = paces.pop(0) if len(paces) > 1 else paces[0]
        looked, took, slowest = looked + step, took + step * pace, max(slowest, pace)
        step = stride(looked, most, took, slowest)
        assert looked + step <= most
    return looked, took


@given(JOBS, st.lists(st.floats(0, DISK), min_size=1, max_size=20))
def test_all_steps_end_in_time_wherever_a_job_has_to_be_read_from_the_disk(most: int, paces: list[float]) -> None:
    _, took = steps(most, paces)
    assert took <= SECONDS + 1e-9


@given(st.floats(DISK, SECONDS / 100))
def test_on_a_slow_disk_the_first_steps_say_how_slow_it_is(pace: float) -> None:
    looked, took = steps(5_000, [pace])
    assert took <= SECONDS + 1e-9
    assert looked * pace > SECONDS / 2


@given(JOBS, JOBS, st.floats(0, 1))
def test_nothing_more_is_looked_at_once_time_is_over(looked: int, more: int, pace: float) -> None:
    assert stride(looked, looked + more, SECONDS, pace) == 0
    assert stride(looked, looked + more, 10 * SECONDS, pace) == 0


def test_from_memory_all_is_looked_at() -> None:
    assert steps(5_000, [MEMORY])[0] == 5_000
