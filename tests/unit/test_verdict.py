"""How workers are judged: what speaks against them, what does not, and what is said of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.workers.sample import Process, Sample, Worker
from jobplatform.workers.symptom import MIB, Health, Ready, View
from jobplatform.workers.trend import trend
from jobplatform.workers.verdict import Foretold, Verdict, verdict

BEAT = 5.0
LIMIT = 512 * MIB
ME = Worker("1", "w1@a", queues=("celery",))
OTHER = Worker("2", "w2@b", queues=("celery",))


def watched(count: int, step: float = BEAT, begin: float = 1_000.0, **columns: Callable[[int], object]) -> list[Sample]:
    """Make samples, each value as a function of its number."""
    return [
        replace(
            Sample(begin + step * number, slots=2, started=number, finished=number, loop_wait=0.0, jitter=0.0),
            **{name: column(number) for name, column in columns.items()},  # type: ignore[arg-type]
        )
        for number in range(count)
    ]


def grown(sizes: list[float], step: float = BEAT, limit: int = LIMIT) -> list[Sample]:
    """Make samples of a worker whose memory has some sizes, in MiB."""
    tree = [int(size * MIB) for size in sizes]
    return watched(
        len(sizes),
        step,
        processes=lambda number: (Process(1, 60 * MIB, 0.0), Process(2, tree[number] - 60 * MIB, 0.0)),
        memory_left=lambda number: limit - tree[number],
        memory_limit=lambda number: limit,
    )


def judge(samples: list[Sample], later: float = 0.0, worker: Worker = ME, **view: object) -> Verdict:
    return verdict(worker, samples, samples[-1].at + later, View(BEAT, 0.0, **view))  # type: ignore[arg-type]


def alone(samples: list[Sample], worker: Worker = OTHER) -> Mapping[str, object]:
    return {worker.worker_id: (worker, samples)}


def test_a_worker_that_nothing_speaks_against_is_healthy_and_the_reason_says_beside_whom() -> None:
    calm = watched(20)
    assert judge(calm).health is Health.HEALTHY
    assert "without others to compare with" in judge(calm).reason
    assert "beside 1 others" in judge(calm, others=alone(watched(20))).reason
    assert verdict(ME, [], 0.0).confidence == 0.0


@pytest.mark.parametrize("step", [1.0, 5.0, 30.0])
def test_memory_that_grows_to_its_limit_is_seen_long_before_and_never_on_few_samples(step: float) -> None:
    """A leak of 2 % of what is left with each sample: 50 samples to live."""
    sizes = [112.0 + 8.0 * number for number in range(50)]
    first = next(count for count in range(1, 50) if judge(grown(sizes[:count], step)).is_sure)
    assert 6 <= first <= 35
    said = judge(grown(sizes[:first], step))
    assert said.rules[0] == "memory"
    assert "MiB a minute" in said.reason
    assert "are left" in said.reason


def test_a_slow_leak_is_degraded_for_long_and_failing_ten_minutes_before_its_end() -> None:
    sizes = [100.0 + 0.5 * number for number in range(823)]
    left = [(LIMIT / MIB - size) / 0.5 * 30 for size in sizes]
    said = [judge(grown(sizes[max(0, count - 240) : count], 30.0)) for count in range(300, 820, 5)]
    failing = next(count for count, each in zip(range(300, 820, 5), said, strict=True) if each.is_sure)
    assert 400 <= left[failing] <= 700
    assert {each.health for each in said} >= {Health.DEGRADED, Health.FAILING}


def test_memory_of_a_worker_that_begins_and_of_jobs_that_come_and_go_is_no_leak() -> None:
    luck = random.Random(3)
    warm = [min(60.0 + 15.0 * number, 180.0) for number in range(60)]
    assert not any(judge(grown(warm[:count])).is_sure for count in range(1, 60))
    for _ in range(20):
        used = [120.0 + 200.0 * (luck.random() < 0.3) + 20 * luck.random() for _ in range(120)]
        assert not any(judge(grown(used[:count])).is_sure for count in range(1, 120))


def test_a_child_that_celery_will_end_is_told_of_and_nothing_is_replaced_for_it() -> None:
    sizes = [100.0 + 4.0 * number for number in range(20)]
    leaking = [replace(each, memory_left=None, child_memory=200 * MIB) for each in grown(sizes)]
    said = judge(leaking)
    assert (said.health, said.is_sure) == (Health.DEGRADED, False)
    assert "Celery ends it then" in said.reason


def counted(ended: int, failed: int, kind: str = "shop.charge") -> Callable[[int], object]:
    """Count so many more attempts, and failures, with each sample."""
    return lambda number: {("celery", kind): (ended * number, ended * number, failed * number)}


def failures(ended: int, failed: int, kind: str = "shop.charge") -> list[Sample]:
    return watched(20, deeds=counted(ended, failed, kind), failed=lambda number: failed * number)


def test_more_errors_than_elsewhere_are_the_worker_and_as_many_as_elsewhere_are_a_bad_dependency() -> None:
    bad, good = failures(4, 3), failures(4, 0)
    said = judge(bad, others=alone(good))
    assert said.is_sure
    assert "on other workers" in said.reason
    assert judge(bad, others=alone(failures(4, 3))).health is Health.HEALTHY
    lonely = judge(bad)
    assert (lonely.health, lonely.is_sure) == (Health.DEGRADED, False)
    assert "no other worker to compare with" in lonely.reason
    apart = judge(bad, others=alone(failures(4, 0, "shop.mail")))
    assert "no other worker runs these job types" in apart.reason
    assert judge(good, others=alone(bad)).health is Health.HEALTHY


def test_one_burst_in_one_sample_says_nothing() -> None:
    once = watched(
        20,
        deeds=lambda number: {("celery", "shop.charge"): (90, 90, 50 * (number > 10))},
        failed=lambda number: 50 * (number > 10),
    )
    assert judge(once, others=alone(failures(4, 0))).health is Health.HEALTHY


def test_silence_is_seen_after_three_heartbeats_if_they_were_listened_for() -> None:
    calm = watched(20)
    assert judge(calm, later=14.0).health is Health.HEALTHY
    assert judge(calm, later=16.0).is_sure
    assert judge(calm[:1], later=16.0).is_sure
    end = calm[-1].at
    assert verdict(ME, calm, end + 100, View(BEAT, end + 90)).health is Health.HEALTHY
    assert verdict(ME, calm, end + 110, View(BEAT, end + 90)).is_sure
    everybody = judge(calm, later=16.0, others=alone(calm))
    assert (everybody.health, everybody.is_sure) == (Health.FAILING, False)
    assert judge(calm, later=16.0, others=alone([*calm, Sample(end + 15)])).is_sure


def test_a_callback_that_never_returns_is_seen_and_one_long_one_is_not() -> None:
    stuck = watched(20, loop_wait=lambda number: max(0.0, BEAT * (number - 14)))
    first = next(count for count in range(3, 20) if judge(stuck[:count]).is_sure)
    assert stuck[first - 1].at - stuck[14].at <= 20
    long_ones = watched(20, loop_wait=lambda number: 18.0 if number % 4 == 0 else 0.1)
    assert not any(judge(long_ones[:count]).is_sure for count in range(3, 20))
    slow = watched(20, loop_wait=lambda number: 2.0)
    assert judge(slow).health is Health.DEGRADED
    assert "points at the machine" in judge(slow, others=alone(slow)).reason
    assert judge(watched(20, loop_wait=lambda number: None)).health is Health.HEALTHY


def idle(count: int = 20, **columns: Callable[[int], object]) -> list[Sample]:
    return watched(count, **{"started": lambda number: 5, "finished": lambda number: 5, **columns})


def test_who_takes_nothing_while_jobs_wait_is_frozen_unless_something_keeps_all_from_taking() -> None:
    waits = {"celery": Ready(7, 40.0)}
    assert judge(idle(), ready=waits).is_sure
    said = judge(idle(), ready=waits, others=alone(watched(20)))
    assert said.is_sure
    assert "others take jobs" in said.reason
    for spared in (
        judge(idle(), ready={"celery": Ready(7, 10.0)}),
        judge(idle(), ready={"celery": Ready(0, 0.0)}),
        judge(idle(), ready={"other": Ready(7, 40.0)}),
        judge(idle(4), ready=waits),
        judge(idle(active=lambda number: 2), ready=waits),
        judge(idle(), ready=waits, worker=replace(ME, duty="cordon")),
        judge(idle(), ready=waits, worker=replace(ME, duty="drain")),
    ):
        assert spared.health is Health.HEALTHY
    assert not judge(idle(), ready=waits, others=alone(idle())).is_sure
    assert not judge(idle(), ready=waits, hindrance="limits hold jobs back").is_sure


def test_a_full_disk_is_told_to_people_and_no_worker_is_replaced_for_it() -> None:
    full = watched(20, disk_share=lambda number: 0.002, disk_free=lambda number: 9 * MIB)
    said = judge(full)
    assert (said.health, said.is_sure) == (Health.FAILING, False)
    assert "make room" in said.reason
    assert judge(watched(20, disk_share=lambda n: 0.5, disk_free=lambda n: 9 * MIB)).health is Health.HEALTHY
    assert judge(full[:2]).health is Health.HEALTHY


def test_files_that_run_out_are_seen() -> None:
    assert judge(watched(20, open_files=lambda n: 1_000, files_limit=lambda n: 1_024)).is_sure
    assert judge(watched(20, open_files=lambda n: 50, files_limit=lambda n: 1_024)).health is Health.HEALTHY


def test_a_model_counts_once_it_may_and_says_so() -> None:
    calm = watched(20)
    foretold = Foretold(7, 0.9, 0.6, 3_600.0, counts=True)
    said = verdict(ME, calm, calm[-1].at, View(), foretold)
    assert said.is_sure
    assert said.decided_by == "model:7"
    assert "90%" in said.reason
    for other in (replace(foretold, counts=False), replace(foretold, chance=0.5)):
        assert verdict(ME, calm, calm[-1].at, View(), other).health is Health.HEALTHY
    assert verdict(ME, calm, calm[-1].at, View(), replace(foretold, counts=False)).features["chance"] == 0.9


@given(
    st.lists(
        st.tuples(st.integers(60, 400), st.integers(0, 2), st.integers(0, 3), st.floats(0, 0.9)),
        min_size=1,
        max_size=40,
    )
)
def test_no_worker_is_surely_failing_on_one_sample(values: list[tuple[int, int, int, float]]) -> None:
    samples = grown([float(size) for size, *_ in values])
    samples = [
        replace(each, active=active, waiting=waiting, loop_wait=wait)
        for each, (_, active, waiting, wait) in zip(samples, values, strict=True)
    ]
    kinds = [judge(samples[:count]) for count in range(1, len(samples) + 1)]
    assert not any(said.is_sure for said in kinds[:5])
    assert all(0.0 <= said.confidence <= 1.0 and said.reason for said in kinds)


@given(st.floats(-5, 5), st.floats(-100, 100), st.integers(5, 60), st.randoms(use_true_random=False))
def test_the_slope_of_a_line_is_found_although_single_values_are_far_off(
    slope: float, begin: float, count: int, luck: random.Random
) -> None:
    times = [3.0 * number for number in range(count)]
    values = [begin + slope * at for at in times]
    for place in luck.sample(range(count), count // 6):
        values[place] += luck.choice((-1e6, 1e6))
    found = trend(times, values)
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=1e-6) or any(later < before for before, later in pairwise(times))
