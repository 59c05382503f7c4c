"""What the benchmark of the scaler takes as known at a time was known by then."""

from __future__ import annotations

import numpy as np

from benchmarks.scaler.known import covered, expected, foretold
from benchmarks.scaler.traces import Trace

DAY = 86_400.0


def test_a_job_is_foretold_from_runs_of_its_name_that_have_ended() -> None:
    came = np.array([0.0, 10.0, 30.0, 200.0, 210.0])
    ran = np.array([100.0, 5.0, 50.0, 1.0, 1.0])
    said = foretold(came, ran, np.array([1, 2, 1, 1, 2]))
    # The first run of name 1 has not ended when its second begins, so that nothing is known of it.
    assert said.tolist() == [120.0, 120.0, 120.0, 100.0, 5.0]


def test_a_name_with_a_rhythm_is_expected_until_it_comes() -> None:
    came = np.array([0.0, 100.0, 200.0, 300.0, 390.0, 395.0])
    known, due, over = expected(came, np.array([7, 7, 7, 7, 7, 8]))
    assert known.tolist() == [300.0, 390.0]
    assert due.tolist() == [400.0, 490.0]
    assert over.tolist() == [390.0, np.inf]


def test_spans_are_counted_at_the_edges_that_they_hold() -> None:
    found = covered(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.5, 1.0, 3.0]), np.array([2.5, 2.0, 2.0]))
    assert found.tolist() == [0.0, 2.0, 1.0, 0.0]


def test_a_trail_tells_what_runs_is_coming_and_is_leaving() -> None:
    came, ran = np.array([5.0, 35.0, 65.0]), np.array([50.0, 20.0, 20.0])
    trace = Trace("made up", came, ran, np.array([60.0, 20.0, 20.0]), (came, came + 30.0, np.append(came[1:], np.inf)))
    trail = trace.trail(0.0, 121.0, 30.0, ahead=30.0)
    assert trail.times.tolist() == [30.0, 60.0, 90.0, 120.0]
    assert trail.present.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert trail.arrived.tolist() == [1.0, 1.0, 1.0, 0.0]
    assert trail.coming.tolist() == [1.0, 1.0, 1.0, 0.0]
    assert trail.leaving.tolist() == [0.0, 0.0, 0.0, 0.0]
