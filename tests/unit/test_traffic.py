"""What happened lately is counted, what is older is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.jobs.traffic import Traffic

TIMES = st.lists(st.tuples(st.floats(0.0, 200.0), st.integers(1, 5)), max_size=40).map(sorted)


@given(TIMES, st.floats(0.0, 100.0), st.floats(0.0, 60.0))
def test_counts_are_those_of_all_that_happened(events: list[tuple[float, int]], later: float, seconds: float) -> None:
    traffic = Traffic(60)
    for at, count in events:
        traffic.add("a", at, count)
    now = max((at for at, _ in events), default=0.0) + later
    for asked in (seconds, None, seconds):
        since = now - (60.0 if asked is None else asked)
        assert traffic.count("a", now, asked) == sum(count for at, count in events if int(at) >= since)
    assert traffic.count("b", now) == 0


def test_what_is_forgotten_begins_with_nothing() -> None:
    traffic = Traffic(60)
    traffic.add("a", 5.0, 3)
    traffic.forget("a")
    traffic.add("a", 6.0)
    assert traffic.count("a", 7.0) == 1
