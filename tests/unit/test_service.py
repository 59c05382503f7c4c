"""The loop that every service of the controller runs in."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest

from jobplatform.service import Loop

#: Longer than any test runs: only a bell ends such a pause.
_LONG = 3_600.0


class Idle:
    """A service that never has anything to do, and looks once an hour."""

    name = "idle"
    interval = _LONG

    def __init__(self) -> None:
        self.rounds = threading.Semaphore(0)

    def run_once(self, now: datetime) -> Counter[str]:
        self.rounds.release()
        return Counter()


@pytest.fixture
def idle() -> Idle:
    return Idle()


@pytest.fixture
def loop(idle: Idle) -> Iterator[Loop]:
    stop = threading.Event()
    made = Loop(idle, stop)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    stop.set()
    made.ring()
    thread.join(30)
    assert not thread.is_alive()


def test_a_bell_begins_the_next_round(loop: Loop, idle: Idle) -> None:
    assert idle.rounds.acquire(timeout=30)
    for _ in range(3):
        loop.ring()
        assert idle.rounds.acquire(timeout=30), "the loop slept on"
    assert not idle.rounds.acquire(blocking=False), "nobody has rung"


def test_a_bell_before_the_pause_is_heard(idle: Idle) -> None:
    stop = threading.Event()
    loop = Loop(idle, stop)
    loop.ring()
    loop._rest(_LONG)
    assert not loop._bell.is_set()


def test_a_failing_round_is_counted_and_waited_for_longer_each_time() -> None:
    class Failing(Idle):
        def run_once(self, now: datetime) -> Counter[str]:
            raise ValueError("no")

    loop = Loop(Failing(), threading.Event())
    waits = [loop.pause_after(loop.round()) for _ in range(6)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.4, 5.0)
