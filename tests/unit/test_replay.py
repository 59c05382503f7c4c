"""What a replay does next, over all courses that it can take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.jobs.replay import FEWEST, MOST, End, Progress, Send, canaries_of, decide

#: How a job ends: well, of something else, or of what was to be mended.
WELL, ELSE, AGAIN = "well", "else", "again"


@dataclass
class Course:
    """A replay of jobs whose ends are known, a second a round."""

    progress: Progress
    end_of: Callable[[int], str]
    sends: list[tuple[float, int]] = field(default_factory=list)
    sent: int = 0

    def run(self, rounds: int = 100_000) -> End:
        for second in range(rounds):
            found = decide(self.progress, float(second))
            if isinstance(found, End):
                return found
            if found is not None:
                self.sends.append((float(second), found.count))
                self._send(found)
            self._end()
        raise AssertionError("it never ended")

    def _send(self, send: Send) -> None:
        before = self.progress
        new = send.step != before.step
        assert 0 < send.count <= before.waiting
        assert new == (before.sent == before.size or before.step == 0)
        self.progress = replace(
            before, waiting=before.waiting - send.count, open=send.count, step=send.step, size=send.size,
            sent=send.count + (0 if new else before.sent), next_at=send.next_at,
            succeeded=0 if new else before.succeeded, failed=0 if new else before.failed,
        )  # fmt: skip

    def _end(self) -> None:
        for _ in range(self.progress.open):
            how, self.sent = self.end_of(self.sent), self.sent + 1
            self.progress = replace(
                self.progress,
                succeeded=self.progress.succeeded + (how == WELL),
                failed=self.progress.failed + (how == ELSE),
                returned=self.progress.returned or ("it came back" if how == AGAIN else None),
            )
        self.progress = replace(self.progress, open=0)


def course(jobs: int, end_of: Callable[[int], str], canaries: int | None = None, rate: float | None = None) -> Course:
    first = canaries_of(jobs) if canaries is None else canaries
    return Course(Progress(waiting=jobs, open=0, canaries=first, rate=rate), end_of)


sizes = st.integers(1, MOST)
rates = st.none() | st.floats(0.05, 5_000)


@given(sizes, rates)
def test_with_the_bug_still_there_a_hundredth_runs_at_the_most(jobs: int, rate: float | None) -> None:
    run = course(jobs, lambda number: AGAIN, rate=rate)
    assert run.run().state == "stopped"
    assert run.sent <= max(FEWEST, jobs / 100)


@given(sizes, st.floats(1, 5_000))
def test_with_the_bug_fixed_all_run_and_never_faster_than_they_may(jobs: int, rate: float) -> None:
    run = course(jobs, lambda number: WELL, rate=rate)
    assert run.run() == End("done", "all jobs were sent and have ended")
    assert run.sent == jobs
    for first in range(0, len(run.sends), max(1, len(run.sends) // 20)):
        begun, total = run.sends[first][0], 0
        for at, count in run.sends[first:]:
            total += count
            assert total <= rate * (at - begun) + max(1.0, rate) + 1e-6


@given(sizes, st.integers(0, MOST), st.integers(0, 50))
def test_what_returns_later_stops_within_its_step(jobs: int, bad: int, canaries: int) -> None:
    run = course(jobs, lambda number: AGAIN if number >= bad else WELL, canaries)
    ended = run.run()
    assert ended.state == ("stopped" if bad < jobs else "done")
    if canaries and bad < jobs:
        # A step is as large as all before it and twice the first.
        assert run.sent <= 2 * bad + 2 * canaries + 1


@given(st.lists(st.sampled_from([WELL, WELL, WELL, ELSE, AGAIN]), min_size=1, max_size=300))
def test_nothing_follows_canaries_of_which_one_failed(ends: list[str]) -> None:
    run = course(len(ends), ends.__getitem__)
    ended, first = run.run(), canaries_of(len(ends))
    if set(ends[:first]) != {WELL}:
        assert (ended.state, run.sent) == ("stopped", first)


@pytest.mark.parametrize(("failed", "state"), [(10, None), (11, "stopped")])
def test_a_step_of_which_more_than_half_fails_of_something_else_stops(failed: int, state: str | None) -> None:
    here = Progress(100, 20 - failed, 10, step=2, size=20, sent=20, failed=failed, worst="KeyError")
    found = decide(here, 0.0)
    assert found == (End("stopped", "11 of the 20 jobs of step 2 failed, most of KeyError") if state else None)


def test_steps_double_up_to_a_bound_and_a_straggler_holds_nobody_up() -> None:
    ended = Progress(MOST, 2, 10, step=2, size=20, sent=20, succeeded=18)
    assert decide(ended, 0.0) == Send(40, 3, 40)
    assert decide(replace(ended, succeeded=17, open=3), 0.0) is None
    assert decide(replace(ended, size=MOST, sent=MOST, succeeded=MOST), 0.0) == Send(MOST, 3, MOST)


def test_canaries_have_all_to_end_before_anything_follows() -> None:
    here = Progress(90, 1, 10, step=1, size=10, sent=10, succeeded=9)
    assert decide(here, 0.0) is None
    assert decide(replace(here, open=0, succeeded=10), 0.0) == Send(20, 2, 20)


def test_without_canaries_the_first_step_takes_all() -> None:
    assert decide(Progress(1_000, 0, 0), 0.0) == Send(1_000, 1, 1_000)


def test_a_rate_below_one_sends_one_at_a_time() -> None:
    here = Progress(90, 0, 5, rate=0.1)
    assert decide(here, 7.0) == Send(1, 1, 5, 17.0)
    assert decide(replace(here, step=1, size=5, sent=1, open=1, next_at=17.0), 16.9) is None


@given(sizes, st.integers(0, MOST))
def test_a_replay_waits_for_what_was_sent_and_is_done_then(size: int, left: int) -> None:
    sent = Progress(0, left, 5, step=2, size=size, sent=size, succeeded=size)
    assert decide(sent, 0.0) == (None if left else End("done", "all jobs were sent and have ended"))
