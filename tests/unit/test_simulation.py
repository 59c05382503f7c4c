"""Recorded jobs in simulated time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.workers.policies import Foreseen
from jobplatform.workers.scaling import Bounds
from jobplatform.workers.simulation import Arrival, Moment, Site, fixed, simulate

SITE = Site(slots=1, start_seconds=100.0, interval=10.0, first=1)
times = st.lists(st.tuples(st.floats(0, 500), st.floats(0.1, 60), st.integers(1, 5)), min_size=1, max_size=40)


def test_jobs_wait_for_one_worker_in_their_order_and_the_urgent_go_first() -> None:
    arrivals = [Arrival(0, 10), Arrival(1, 10), Arrival(2, 10, 5), Arrival(3, 10)]
    ran = simulate(arrivals, fixed(1), SITE, 0.0, 100.0)
    assert list(ran.waits) == [0.0, 19.0, 8.0, 27.0]
    assert ran.misses(18.0) == 2
    assert ran.worker_hours == 100.0 / 3600.0


def test_a_worker_takes_jobs_once_it_has_started_and_is_paid_before() -> None:
    arrivals = [Arrival(0, 1000), Arrival(1, 1000)]
    ran = simulate(arrivals, fixed(2), SITE, 0.0, 200.0)
    # Asked for after the first ten seconds.
    assert list(ran.waits) == [0.0, 109.0]
    assert ran.worker_hours == (10.0 + 2 * 190.0) / 3600.0


def test_only_idle_workers_are_let_go_those_that_start_first() -> None:
    seen: list[Moment] = []

    def policy(moment: Moment) -> int:
        seen.append(moment)
        return 3 if len(seen) == 1 else 0

    simulate([Arrival(0, 25)], policy, SITE, 0.0, 60.0)
    assert [(each.up, each.had) for each in seen] == [(1, 1), (1, 3), (1, 1), (0, 0), (0, 0), (0, 0)]


def test_samples_tell_what_happened() -> None:
    seen = simulate([Arrival(0, 15), Arrival(5, 15), Arrival(12, 15)], fixed(1), SITE, 0.0, 50.0).samples
    assert [(each.depth, each.arrived, each.started, each.finished, each.running) for each in seen] == [
        (1, 2, 1, 0, 1),
        (1, 1, 1, 1, 1),
        (0, 0, 1, 1, 1),
        (0, 0, 0, 0, 1),
        (0, 0, 0, 1, 0),
    ]
    assert [each.oldest for each in seen] == [5.0, 8.0, 0.0, 0.0, 0.0]


@given(times)
def test_no_job_is_lost_and_places_are_never_exceeded(rows: list[tuple[float, float, int]]) -> None:
    arrivals = sorted(Arrival(*row) for row in rows)
    ran = simulate(arrivals, fixed(2), Site(2, 5.0, 7.0, 2), 0.0, 10_000.0)
    assert len(ran.waits) == len(arrivals)
    assert all(each.running <= 4 for each in ran.samples)
    assert sum(each.finished for each in ran.samples) == len(arrivals)
    assert min(ran.waits) >= 0.0


@given(times)
def test_who_knows_the_future_lets_nobody_wait(rows: list[tuple[float, float, int]]) -> None:
    # There is time to ask before the second job comes.
    arrivals = [Arrival(0, 1), *sorted(Arrival(at + 200, seconds, priority) for at, seconds, priority in rows)]
    bounds = Bounds(1, 1000, 1)
    ran = simulate(arrivals, Foreseen(bounds, SITE, arrivals, gap=0.5), SITE, 0.0, 900.0)
    assert max(ran.waits) <= 60.0
