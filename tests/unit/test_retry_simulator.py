"""The retry simulator: every policy faces the same world, is bound alike, and is counted right."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

# The benchmarks are no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.retry.calendar import Calendar, Span, fixed_windows, read_durations
from benchmarks.retry.comparison import compare, regret
from benchmarks.retry.contenders import CONTENDERS, NOTHING, Fixed, Turn
from benchmarks.retry.holding import Holding
from benchmarks.retry.measure import Measures, measure
from benchmarks.retry.product import product
from benchmarks.retry.ranges import EVALUATION, TRAINING
from benchmarks.retry.run import Run, attempts_of
from benchmarks.retry.server import Server
from benchmarks.retry.simulation import simulate
from benchmarks.retry.training import gather
from benchmarks.retry.world import Bucket, Capacity, Dependency, Job, JobType, Luck, Trouble, World
from benchmarks.retry.worlds import WORLDS, draw_world, job_id
from benchmarks.statistics import confidence
from jobplatform.decision import FailedAttempt, RetryDecision, Seen
from jobplatform.jobs.breaker import Release

_SHORT = replace(EVALUATION, hours=0.2)
_LUCKY = Luck(0.5, 0.99, 0.5, 0.5)
_HOST = "api.local"


class Waits:
    """Wait the same each time, or give up; keep what was told."""

    def __init__(self, delay: float | None, gate: str | None = None, turns: Mapping[float, Turn] | None = None) -> None:
        self.delay, self.gate, self.turns = delay, gate, turns or {}
        self.seen: list[Seen] = []
        self.failed: list[FailedAttempt] = []
        self.held: dict[float, Mapping[str, int]] = {}

    def decide(self, attempts: Sequence[FailedAttempt]) -> Sequence[RetryDecision]:
        self.failed.extend(attempts)
        return [RetryDecision(self.delay, "waits", gate=self.gate, free=self.gate is not None) for _ in attempts]

    def observe(self, seen: Seen) -> None:
        self.seen.append(seen)

    def tick(self, now: float, held: Mapping[str, int]) -> Turn:
        self.held[now] = dict(held)
        return self.turns.get(now, NOTHING)


def world_of(*arrivals: float, dependency: Dependency | None = None, kind: JobType | None = None) -> World:
    kind = kind or JobType("shop.charge", _HOST)
    jobs = [Job(number, job_id(1, number), kind, at, 1.0) for number, at in enumerate(arrivals)]
    dependencies = {_HOST: dependency or Dependency(_HOST)}
    return World("test", 1, 100.0, [kind], dependencies, jobs, [[_LUCKY] * 6 for _ in jobs])


def away(begin: float, end: float) -> Dependency:
    return Dependency(_HOST, Calendar((Span(begin, end),)))


@pytest.mark.parametrize("name", WORLDS)
def test_a_seed_draws_the_same_world_again_and_no_policy_changes_it(name: str) -> None:
    world = draw_world(name, 3, _SHORT)
    for contender in CONTENDERS.values():
        simulate(world, contender(world))
    assert draw_world(name, 3, _SHORT) == world
    assert draw_world(name, 4, _SHORT).luck != world.luck


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("policy", ["fixed", "static", "oracle"])
def test_every_job_ends_once_within_cap_and_deadline(name: str, policy: str) -> None:
    world = draw_world(name, 5, _SHORT)
    run = simulate(world, CONTENDERS[policy](world))
    assert len(run.jobs) == len(world.jobs)
    assert all(job.ended is not None and 1 <= job.attempts <= world.cap for job in run.jobs)
    assert all(job.attempts == 1 or job.started < job.job.arrival + world.deadline for job in run.jobs)
    assert not any(job.completed for job in run.jobs if job.job.doomed is not None)


def test_the_luck_of_an_attempt_is_the_same_after_any_wait() -> None:
    world = draw_world("blips", 2, _SHORT)
    soon, late = simulate(world, Waits(1.0)), simulate(world, Waits(100.0))
    assert [job.attempts for job in soon.jobs] == [job.attempts for job in late.jobs]
    assert sum(job.attempts for job in soon.jobs) > len(world.jobs)


def test_no_more_attempts_are_made_than_the_cap() -> None:
    (job,) = simulate(world_of(10.0, dependency=away(0.0, 5000.0)), Waits(1.0)).jobs
    assert (job.attempts, job.completed) == (6, False)


def test_no_attempt_begins_after_the_deadline() -> None:
    (job,) = simulate(world_of(10.0, dependency=away(0.0, 5000.0)), Waits(400.0)).jobs
    assert (job.attempts, job.completed) == (3, False)


def test_a_job_that_is_given_up_has_failed() -> None:
    (job,) = simulate(world_of(10.0, dependency=away(0.0, 5000.0)), Waits(None)).jobs
    assert (job.attempts, job.completed) == (1, False)


def test_failures_of_a_quarter_of_a_second_are_decided_on_together_and_then_seen() -> None:
    policy = Waits(None)
    simulate(world_of(10.0, 10.05, 11.0, dependency=away(0.0, 50.0)), policy)
    assert [(seen.at, len(seen.failures)) for seen in policy.seen] == [(10.25, 2), (11.25, 1)]


def test_an_outcome_tells_what_came_of_the_decision_before() -> None:
    policy = Waits(5.0)
    simulate(world_of(10.0, dependency=away(0.0, 12.0)), policy)
    (outcome,) = [each for seen in policy.seen for each in seen.outcomes]
    assert (outcome.attempt, outcome.succeeded, outcome.waited) == (1, True, 5.0)
    assert policy.seen[-1].completed == {"shop.charge": 1}


def test_a_held_job_goes_on_when_it_is_released_and_uses_up_no_retry() -> None:
    cause = f"host:{_HOST}"
    policy = Waits(800.0, cause, {30.0: Turn([Release(cause, 1, canary=True)]), 60.0: Turn([Release(cause, 5)])})
    run = simulate(world_of(10.0, 11.0, 12.0, dependency=away(0.0, 50.0)), policy)
    assert policy.held[29.0] == {cause: 3}
    assert [job.attempts for job in run.jobs] == [3, 2, 2]
    assert [job.started for job in run.jobs] == [60.0, 60.0, 60.0]
    assert [(failed.facts.trial, failed.facts.retry_count) for failed in policy.failed] == [(False, 0)] * 3 + [
        (True, 0)
    ]


def test_a_held_job_goes_on_by_itself_after_its_delay() -> None:
    (job,) = simulate(world_of(10.0, dependency=away(0.0, 50.0)), Waits(100.0, "cause")).jobs
    assert (job.attempts, job.completed) == (2, True)
    assert job.started == pytest.approx(110.1)


def test_jobs_that_wait_already_are_held_when_their_cause_is_known() -> None:
    cause = f"host:{_HOST}"
    policy = Waits(5.0, turns={12.0: Turn(opened=[cause]), 40.0: Turn(closed=[cause])})
    (job,) = simulate(world_of(10.0, dependency=away(0.0, 30.0)), policy).jobs
    assert (job.attempts, job.started) == (2, 40.0)


def test_no_job_of_a_held_type_begins_until_it_is_let_go() -> None:
    policy = Waits(1.0, turns={number * 1.0: Turn(types={"shop.charge": "cause"}) for number in range(5, 30)})
    (job,) = simulate(world_of(10.0), policy).jobs
    assert (job.attempts, job.started) == (1, 30.0)
    assert policy.held[20.0] == {"cause": 1}


def test_a_release_takes_as_many_as_it_may_of_those_that_failed_and_those_that_never_began() -> None:
    holding = Holding()
    holding.hold("cause", 1, 1, 100.0)
    holding.park("kind", 2)
    assert holding.take(Release("cause", 3, begun=False), {"kind": "cause"}) == [2, 1]


def test_the_product_holds_an_outage_and_all_complete_with_few_attempts() -> None:
    world = world_of(*(float(at) for at in range(600)), dependency=away(100.0, 400.0))
    ours, rule = (simulate(world, make(world)) for make in (product(None, explore=0.0), CONTENDERS["static"]))
    assert all(job.completed for job in ours.jobs)
    assert attempts_of(ours.jobs) < 0.75 * attempts_of(rule.jobs)


def test_the_product_lets_a_dependency_with_too_much_to_do_recover() -> None:
    gone = Calendar((Span(50.0, 150.0, 0.95),))
    dependency = Dependency(_HOST, capacity=Capacity(1.3, waste=0.8, brownouts=gone))
    world = world_of(*(float(at) for at in range(600)), dependency=dependency)
    ours, rule = (simulate(world, make(world)) for make in (product(None, explore=0.0), CONTENDERS["static"]))
    assert sum(job.completed for job in ours.jobs) >= 0.99 * len(ours.jobs)
    assert sum(job.completed for job in rule.jobs) < 0.9 * len(rule.jobs)
    assert ours.rejections < rule.rejections / 4


def test_what_a_model_is_taught_by_was_known_when_it_was_decided_on() -> None:
    world = world_of(*(float(at) for at in range(300)), dependency=away(100.0, 110.0))
    examples = gather(world)
    assert {each.succeeded for each in examples} == {True, False}
    assert all(each.waited is not None and each.waited >= 0.0 for each in examples)
    first = min(examples, key=lambda each: each.at or 0.0)
    assert first.features["dependency.seen"] == 0.0


def test_a_bucket_gives_what_it_has_and_says_when_to_come_back() -> None:
    server = Server(Dependency(_HOST, bucket=Bucket(rate=0.5, burst=2.0, after=(10.0, 20.0), header=1.0)))
    troubles = [server.call(at, _LUCKY) for at in (0.0, 0.0, 0.0, 1.0, 2.0)]
    assert [reply.trouble for reply in troubles] == [None, None, Trouble.LIMITED, Trouble.LIMITED, None]
    assert troubles[2].after == 15.0


def test_calls_wait_for_capacity_and_fail_when_they_would_wait_too_long() -> None:
    capacity = Capacity(rate=1.0, timeout=2.0, waste=0.5)
    server = Server(Dependency(_HOST, capacity=capacity))
    assert [server.call(0.0, _LUCKY).seconds for _ in range(3)] == [0.0, 1.0, 2.0]
    assert server.call(0.0, _LUCKY).trouble is Trouble.OVERLOADED
    # Three calls and half of one that failed are left to do; in 1.5 s it is two.
    assert server.call(1.5, _LUCKY).seconds == 2.0
    assert server.rejections == 1


def test_a_brownout_takes_its_part_of_the_capacity() -> None:
    capacity = Capacity(rate=1.0, timeout=10.0, brownouts=Calendar((Span(0.0, 4.0, 0.5),)))
    server = Server(Dependency(_HOST, capacity=capacity))
    waits = [server.call(at, _LUCKY).seconds for at in (0.0, 0.0, 0.0, 2.0, 5.0)]
    # Two seconds do one call; at half of the rate, the two that are left take four seconds.
    assert waits == [0.0, 2.0, 4.0, 4.0, 1.0]


def test_retries_at_once_keep_an_overload_alive() -> None:
    dependency = Dependency(_HOST, capacity=Capacity(rate=1.0, timeout=2.0, waste=0.9))
    world = world_of(*[10.0 + number / 100 for number in range(100)], dependency=dependency)
    soon, late = simulate(world, Fixed()), simulate(world, Waits(150.0))
    assert soon.rejections > late.rejections


def test_a_calendar_knows_when_it_is_over_and_how_much_was_gone() -> None:
    calendar = Calendar((Span(10.0, 20.0, 0.5), Span(30.0, 40.0)))
    assert [calendar.over(at) for at in (5.0, 10.0, 20.0, 35.0)] == [5.0, 20.0, 20.0, 40.0]
    assert calendar.weight(0.0, 35.0) == 10.0
    assert fixed_windows(100.0, 5.0, 50.0, 10.0).spans == (Span(5.0, 15.0), Span(55.0, 65.0))


def test_durations_are_read_and_their_absence_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no CSV file with a column dur"):
        read_durations(tmp_path)
    (tmp_path / "outages").mkdir()
    (tmp_path / "outages" / "some.csv").write_text("start,dur\n1,300\n2,0\n3,60\n")
    assert read_durations(tmp_path) == (300.0, 60.0)


def test_a_job_is_recoverable_if_some_policy_could_save_it() -> None:
    unlucky = replace(world_of(10.0, kind=JobType("shop.charge", _HOST, blip=1.0)))
    assert world_of(10.0).is_recoverable(world_of(10.0).jobs[0])
    assert not unlucky.is_recoverable(unlucky.jobs[0])
    for end, saved in ((909.0, True), (910.0, False)):
        world = world_of(10.0, dependency=away(0.0, end))
        assert world.is_recoverable(world.jobs[0]) is saved
    doomed = world_of(10.0).jobs[0]._replace(doomed=Trouble.REFUSED)
    assert not world_of(10.0).is_recoverable(doomed)


def test_evaluation_draws_from_wider_ranges_than_training() -> None:
    for name, narrow in TRAINING.as_row().items():
        wide = EVALUATION.as_row()[name]
        if isinstance(narrow, tuple) and isinstance(wide, tuple):
            assert wide[0] <= narrow[0] and narrow[1] <= wide[1], name


def test_an_interval_is_that_of_students_t() -> None:
    found = confidence([1.0, 2.0, 3.0, 4.0])
    half = 3.182 * math.sqrt(5.0 / 3.0) / 2.0
    assert found == pytest.approx((2.5, 2.5 - half, 2.5 + half))


def test_policies_are_compared_seed_by_seed() -> None:
    mine = [_measures("product", seed, failed) for seed, failed in ((1, 10), (2, 20))]
    theirs = [_measures("static", seed, failed) for seed, failed in ((1, 20), (2, 30))]
    found = compare(mine, theirs, "test")
    assert found.failed == pytest.approx((-0.1, -0.1, -0.1))
    assert (found.fewer, found.sign) == (pytest.approx(0.4), "fewer")
    assert (found.latency, found.attempts) == (pytest.approx(0.5), pytest.approx(1.0))


def test_regret_lies_between_the_oracle_and_fixed_delays() -> None:
    policy, oracle, fixed = ([_measures(name, 1, failed)] for name, failed in (("p", 20), ("o", 10), ("f", 50)))
    assert regret(policy, oracle, fixed) == pytest.approx(0.25)
    assert regret(policy, fixed, fixed) is None


def test_latency_is_what_recoverable_jobs_took_longer() -> None:
    world = world_of(10.0, 100.0, dependency=away(0.0, 12.0))
    run: Run = simulate(world, Waits(5.0))
    found = measure(world, "waits", run, simulate(world, Waits(20.0)), 0.0)
    # 0.1 s until the first attempt has failed, 5 s or 20 s of waiting, for one job of two.
    assert (found.added, found.reference_added) == (pytest.approx(2.55), pytest.approx(10.05))
    assert (found.attempts, found.failed) == (3, 0)


def _measures(policy: str, seed: int, failed: int) -> Measures:
    return Measures("test", seed, policy, 100, 100, failed, 150, 50, 0, 0, 1.0, 2.0, 1.0, 2.0, 0, 0, 50, 0.1)
