"""How long a worker that knew of limits waits for a Redis that has lost them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from jobplatform.transport.channel import Channel


class Worker:
    """What hears the replies of Redis, at times that the test chooses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.channel: Any = SimpleNamespace(ledger=SimpleNamespace(clock=lambda: self.now), _lost_at=None)
        self.channel._hopes = lambda: Channel._hopes(self.channel)

    def hears(self, word: str, after: float) -> bool:
        """Hear a reply some seconds later; tells whether the worker then asks as one that knows of limits."""
        self.now += after
        Channel._hear_limits(self.channel, [f"{word} 0.500"])
        return bool(self.channel._limited)


def test_it_waits_for_a_minute_and_then_works_without() -> None:
    worker = Worker()
    assert [worker.hears("lost", after) for after in (0, 30, 29)] == [True, True, True]
    assert not worker.hears("lost", 2)


def test_what_was_lost_before_and_told_again_does_not_count() -> None:
    worker = Worker()
    for pause in (5, 64, 100, 119, 500):
        assert worker.hears("limited", 1)
        assert worker.hears("lost", pause)
        assert worker.hears("lost", 59)
        assert worker.hears("busy", 1)


def test_whoever_gave_up_waits_as_long_the_next_time() -> None:
    worker = Worker()
    worker.hears("lost", 0)
    assert not worker.hears("lost", 61)
    assert worker.hears("limited", 10)
    assert worker.hears("lost", 1)
