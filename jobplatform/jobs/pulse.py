"""Whether a worker takes jobs and finishes them; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: An event loop that has not moved for so long hangs in a callback.
_HANGS_SECONDS = 15.0
#: A worker that takes nothing for so long, with a process free and a message that has waited for as long, is frozen.
_FROZEN_SECONDS = 30.0


class Waiting(NamedTuple):
    """What waits in a queue that may be handed out: how many messages, and the seconds of the oldest."""

    queue: str
    messages: int
    seconds: float


class Pulse(NamedTuple):
    """What a worker says of itself; times are seconds.

    :param silent: since Redis heard its heartbeat.
    :param stale: of silence after which it counts as dead.
    :param loop_wait: that its event loop is late.
    :param idle: since when it has taken nothing and settled nothing, None when no process is free.
    :param takes: whether it may take messages.
    :param waiting: what it could take; None when Redis does not answer.
    """

    silent: float
    stale: float
    loop_wait: float
    idle: float | None
    takes: bool
    waiting: Sequence[Waiting] | None

    def problems(self) -> list[str]:
        """Say why the worker should be ended and begun anew; while Redis is away a new one would do no better."""
        return [*self._hangs(), *self._silence(), *self._frozen()]

    def _hangs(self) -> list[str]:
        if self.loop_wait < _HANGS_SECONDS:
            return []
        return [f"the event loop has not moved for {self.loop_wait:.0f} s: a callback in it does not return"]

    def _silence(self) -> list[str]:
        if self.waiting is None or self.silent <= self.stale:
            return []
        return [f"Redis answers, and has not heard this worker for {self.silent:.0f} s"]

    def _frozen(self) -> list[str]:
        if not self.takes or self.idle is None or self.idle < _FROZEN_SECONDS:
            return []
        return [
            f"nothing was taken for {self.idle:.0f} s, with a process free, while {found.messages} messages wait in "
            f"{found.queue}, the oldest for {found.seconds:.0f} s"
            for found in self.waiting or ()
            if found.messages and found.seconds >= _FROZEN_SECONDS
        ][:1]
