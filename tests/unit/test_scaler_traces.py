"""What the benchmark of the scaler takes as known at a time was known by then."""

from __future__ import annotations

import bz2
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scaler.known import Lengths, Rhythm, coming, foretold, leaving, rhythm
from benchmarks.scaler.traces import Trace, load
from jobplatform.learning.load import chance_of_end


def test_a_job_is_foretold_from_runs_of_its_name_that_have_ended() -> None:
    came = np.array([0.0, 10.0, 30.0, 200.0, 210.0])
    ran = np.array([100.0, 5.0, 50.0, 1.0, 1.0])
    said = foretold(came, ran, np.array([1, 2, 1, 1, 2]))
    # The first run of name 1 has not ended when its second begins, so that nothing is known of it.
    assert said.median.tolist() == [120.0, 120.0, 120.0, 100.0, 5.0]
    assert said.most.tolist() == [600.0, 600.0, 600.0, 95.0, 5.0]


def test_a_name_with_a_rhythm_is_expected_until_it_comes() -> None:
    came = np.array([0.0, 100.0, 200.0, 300.0, 390.0, 395.0])
    known = rhythm(came, np.array([7, 7, 7, 7, 7, 8]))
    assert known.following.tolist() == [100.0, 200.0, 300.0, 390.0, np.inf, np.inf]
    gaps = known.gaps[:, -3:].tolist()
    assert gaps == [[0, 0, 0], [0, 0, 100], [0, 100, 100], [100, 100, 100], [100, 100, 100], [0, 0, 0]]
    said = coming(known, np.array([99.0, 150.0, 301.0, 380.0, 391.0, 470.0, 485.0, 495.0]), 30.0)
    # Once a gap has been longer than all before, nothing is known.
    assert said == pytest.approx([0.0, 0.0, 0.0, 3.0 / 3.5, 0.0, 1.0 / 4.5 + 3.0 / 4.5, 3.0 / 3.5, 0.0])


def test_what_comes_is_told_without_looking_ahead() -> None:
    luck = np.random.default_rng(1)
    came, names = np.sort(luck.uniform(0.0, 5_000.0, 400)), luck.integers(0, 20, 400)
    edges = np.arange(0.0, 3_000.0, 30.0)
    past = came <= 3_000.0
    now = edges <= 2_900.0
    all_, half = (coming(rhythm(*each), edges, 60.0) for each in ((came, names), (came[past], names[past])))
    assert all_[now] == pytest.approx(half[now])


def test_a_trail_tells_what_runs_is_coming_and_is_leaving() -> None:
    came, ran = np.array([5.0, 35.0, 65.0]), np.array([50.0, 20.0, 20.0])
    told = Lengths(np.array([60.0, 20.0, 20.0]), np.array([90.0, 30.0, 30.0]))
    gaps = np.array([[30.0], [30.0], [0.0]])
    trace = Trace("made up", came, ran, told, Rhythm(came, np.append(came[1:], np.inf), gaps))
    trail = trace.trail(0.0, 121.0, 30.0, ahead=30.0)
    assert trail.times.tolist() == [30.0, 60.0, 90.0, 120.0]
    assert trail.present.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert trail.arrived.tolist() == [1.0, 1.0, 1.0, 0.0]
    assert trail.coming.tolist() == pytest.approx([1.0 / 1.5, 1.0 / 1.5, 0.0, 0.0])
    assert trail.leaving.tolist() == pytest.approx([chance_of_end(25.0, 30.0, 60.0, 90.0), 0.0, 0.0, 0.0])


def test_many_that_run_leave_as_each_of_them_does() -> None:
    luck = np.random.default_rng(2)
    came, ran = np.sort(luck.uniform(0.0, 500.0, 50)), luck.uniform(0.0, 300.0, 50)
    told = Lengths(luck.uniform(0.0, 300.0, 50), luck.uniform(0.0, 3_000.0, 50))
    edges = np.arange(0.0, 800.0, 10.0)
    each = [
        sum(
            chance_of_end(at - begun, 60.0, median, most)
            for begun, length, median, most in zip(came, ran, *told, strict=True)
            if begun <= at < begun + length
        )
        for at in edges
    ]
    assert leaving(came, came + ran, told, edges, 60.0) == pytest.approx(each)


@pytest.mark.parametrize("packed", [True, False])
def test_requests_are_read_from_an_archive_as_from_a_file(tmp_path: Path, packed: bool) -> None:
    text, path = b"3 0 2 " * 1_000, tmp_path / ("some_per_second.txt.tbz2" if packed else "some_per_second.txt.bz2")
    path.write_bytes(bz2.compress(text))
    if packed:
        with tarfile.open(path, "w:bz2") as archive:
            entry = tarfile.TarInfo("workload.txt")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    (trace,) = load(tmp_path, seed=1)
    assert trace.name == "some_per_second"
    assert len(trace.came) == pytest.approx(900, rel=0.2)
