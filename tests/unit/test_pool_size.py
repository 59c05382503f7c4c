"""How many processes a worker has by what its queues hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.workers.autoscaler import CALM_SECONDS, Bounds, Demand, pool_size

BOUNDS = Bounds(2, 10)


@pytest.mark.parametrize(
    ("size", "demand", "calm", "wanted"),
    [
        (2, Demand(0, 0, 1), 0, 2),
        (2, Demand(2, 5, 1), 0, 7),
        (2, Demand(2, 100, 1), 0, 10),
        # Others share what waits.
        (2, Demand(2, 9, 3), 0, 5),
        (10, Demand(0, 0, 1), CALM_SECONDS - 1, 10),
        (10, Demand(0, 0, 1), CALM_SECONDS, 2),
        (10, Demand(7, 0, 1), CALM_SECONDS, 7),
        (5, None, 0, 5),
    ],
)
def test_the_pool_follows_the_queues(size: int, demand: Demand | None, calm: float, wanted: int) -> None:
    assert pool_size(size, demand, BOUNDS, calm) == wanted


SIZES = st.integers(1, 20)


@given(SIZES, st.builds(Demand, st.integers(0, 20), st.integers(0, 99), st.integers(0, 5)), st.floats(0, 90))
def test_no_busy_process_ends_and_the_bounds_hold(size: int, demand: Demand, calm: float) -> None:
    wanted = pool_size(size, demand, BOUNDS, calm)
    assert wanted >= min(size, demand.running)
    assert BOUNDS.least <= wanted <= max(BOUNDS.most, min(size, demand.running))
    if calm < CALM_SECONDS:
        assert wanted >= min(size, BOUNDS.most)
