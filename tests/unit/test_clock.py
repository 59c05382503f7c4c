"""The time of a store, told by a machine whose own clock is wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobplatform.clock import StoreClock

HOUR = 3_600.0


class World:
    """True time, a store that knows it, and a machine that does not."""

    def __init__(self, off: float = HOUR) -> None:
        self.now = 1_000_000.0
        self.off = off
        self.asleep = 0.0
        self.asked = 0
        self.is_away = False
        self.clock = StoreClock(self.ask, lambda: self.now + self.off, lambda: self.now - self.asleep)

    def ask(self) -> float:
        self.asked += 1
        if self.is_away:
            raise ConnectionError("away")
        return self.now


@given(st.floats(-1e6, 1e6), st.lists(st.floats(0, 500), max_size=20))
def test_the_time_is_that_of_the_store_whatever_the_machine_says(off: float, pauses: list[float]) -> None:
    world = World(off)
    for pause in pauses:
        world.now += pause
        assert abs(world.clock() - world.now) < 1e-3


def test_the_store_is_asked_seldom() -> None:
    world = World()
    for _ in range(1_000):
        world.now += 0.1
        world.clock()
    assert world.asked == 2


def test_it_is_asked_anew_when_the_machine_slept_or_its_clock_was_set() -> None:
    world = World()
    world.clock()
    world.off = -HOUR
    assert abs(world.clock() - world.now) < 1e-3
    assert world.asked == 2
    world.now += HOUR
    world.asleep += HOUR
    assert abs(world.clock() - world.now) < 1e-3
    assert world.asked == 3


def test_without_a_store_the_last_time_known_counts_on_and_the_machines_own_is_the_last_resort() -> None:
    world = World()
    world.is_away = True
    assert world.clock() == world.now + HOUR
    world.now += 10
    world.is_away = False
    assert abs(world.clock() - world.now) < 1e-3
    world.is_away = True
    world.now += 1_000
    assert abs(world.clock() - world.now) < 1e-3
