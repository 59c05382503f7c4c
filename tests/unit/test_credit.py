"""How many messages a worker holds: one a process when jobs are long, more when they are short."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jobplatform.transport.ledger import Ledger
from jobplatform.transport.qos import QoS

PREFETCH, PROCESSES = 8, 2


class Clock:
    """Seconds that pass when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Holding:
    """A worker that holds messages and settles some."""

    def __init__(self, prefetch: int = PREFETCH) -> None:
        self.clock = Clock()
        self.ledger = Ledger(self.clock)
        self.committer = committer = SimpleNamespace(
            ledger=self.ledger, takes=True, processes=PROCESSES, multiplier=PREFETCH // PROCESSES
        )
        channel: Any = SimpleNamespace(committer=committer, do_restore=False)
        self.qos = QoS(channel, prefetch)
        self.qos.credit()

    def hold(self, count: int) -> None:
        self.qos._delivered.clear()
        for tag in range(count):
            self.qos._delivered[str(tag)] = None

    def settle(self, jobs: int, seconds: float) -> None:
        self.clock.now += seconds
        for tag in range(jobs):
            self.ledger.settle(str(tag))


@pytest.mark.parametrize(("held", "asks"), [(0, True), (1, True), (PROCESSES, False), (PROCESSES + 1, False)])
def test_a_slow_worker_holds_what_it_can_begin(held: int, asks: bool) -> None:
    holding = Holding()
    holding.settle(1, 10.0)
    holding.hold(held)
    assert holding.qos.can_consume() is asks
    assert holding.qos.can_consume_max_estimate() == max(PROCESSES - held, 0)


def test_a_job_that_will_soon_begin_may_wait_here() -> None:
    holding = Holding()
    holding.settle(4, 0.1)
    assert holding.qos.credit() == PROCESSES + 2


def test_jobs_that_wait_here_for_their_time_take_no_process() -> None:
    holding = Holding()
    holding.qos.prefetch_count += 5  # as Celery does for each message with an ETA
    holding.hold(5)
    assert holding.qos.can_consume()
    holding.hold(5 + PROCESSES)
    assert not holding.qos.can_consume()


@pytest.mark.parametrize(("held", "asks"), [(0, True), (25, True), (26, False), (50, False)])
def test_a_fast_worker_holds_a_twentieth_of_a_second_and_asks_for_half_of_it_at_once(held: int, asks: bool) -> None:
    holding = Holding()
    holding.settle(100, 0.1)
    holding.hold(held)
    assert holding.qos.can_consume() is asks
    assert holding.qos.can_consume_max_estimate() == 50 - held


def test_no_speed_lets_a_worker_hold_more_than_64() -> None:
    holding = Holding()
    holding.settle(2_000, 0.1)
    assert holding.qos.credit() == 64


def test_a_worker_that_slows_down_falls_back_to_what_it_can_begin() -> None:
    holding = Holding()
    holding.settle(100, 0.1)
    assert holding.qos.credit() == 50
    holding.settle(1, 1.0)
    assert holding.qos.credit() == PROCESSES


def test_every_idle_process_gets_a_message_while_celery_allows_less_after_a_lost_connection() -> None:
    holding = Holding()
    holding.qos.prefetch_count = PREFETCH // 2  # one of two processes runs what came over the old connection
    assert holding.qos.base() == 1
    holding.committer.processes, holding.qos.prefetch_count = 16, 32
    assert holding.qos.base() == 8


def test_without_a_prefetch_count_there_is_no_limit() -> None:
    holding = Holding(prefetch=0)
    holding.hold(500)
    assert holding.qos.can_consume()
    assert holding.qos.can_consume_max_estimate() is None


def test_a_worker_that_is_to_take_no_more_asks_for_nothing() -> None:
    holding = Holding()
    holding.hold(0)
    holding.committer.takes = False
    assert not holding.qos.can_consume()
