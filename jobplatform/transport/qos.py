"""Which messages a channel holds, and how they are let go."""

from __future__ import annotations

import math
from typing import Any

from kombu.transport import redis as stock
from kombu.transport import virtual

from jobplatform.transport.ledger import Ledger

#: A worker may hold this much work, measured by how fast it settles jobs, and no more messages than that.
_HORIZON_SECONDS = 0.05
_MOST = 64
_MEASURE_SECONDS = 0.05
#: What is held may be waiting for its time, and something else has come: so ask again after so long.
_BUSY_SECONDS = 0.5


class QoS(stock.QoS):  # type: ignore[misc]
    """Count what is held and settle through the ledger, without a round trip a message."""

    _credit = 0
    _settled = 0
    _measured_at = 0.0
    #: How many messages were held when no more slots might be, and until when that is believed, in monotonic seconds.
    _busy_with = 0
    _busy_until = -math.inf

    @property
    def ledger(self) -> Ledger:
        """The news of this process for the Redis of this channel."""
        ledger: Ledger = self.channel.committer.ledger
        return ledger

    def can_consume(self) -> bool:
        """Tell whether to ask for more: for an idle process always, else when half of the credit is free."""
        if not self.channel.committer.takes or self._is_busy():
            return False
        if not self.prefetch_count:
            return True
        held = self._held()
        return held < self.base() or held <= self.credit() // 2

    def can_consume_max_estimate(self) -> int | None:
        """Tell how many more to ask for, None for as many as there are."""
        if not self.prefetch_count:
            return None
        return max(self.credit() - self._held(), 0)

    def slots(self) -> int:
        """Tell how many of those to ask for may hold slots that are scarce.

        A job that waits in a worker holds its slot idly, so there are no more than begin at once, or very soon.
        """
        self.credit()
        processes: int = self.channel.committer.processes
        return max(max(processes, self._credit, 1) - self._held(), 0)

    def await_end(self) -> None:
        """Ask for nothing until a message is settled, as no more slots may be held before."""
        self._busy_with, self._busy_until = self._held(), self.ledger.clock() + _BUSY_SECONDS

    def _is_busy(self) -> bool:
        return self._held() >= self._busy_with and self.ledger.clock() < self._busy_until

    def _held(self) -> int:
        return len(self._delivered) - len(self._dirty)

    def base(self) -> int:
        """Tell how many messages may be held at any speed: one a process, and those that wait here for their time.

        After a lost connection Celery allows less for a while, as many times as it has idle processes.
        """
        committer, allowed = self.channel.committer, int(self.prefetch_count)
        multiplier: int = committer.multiplier
        processes: int = committer.processes
        return max(allowed - (multiplier - 1) * processes, math.ceil(allowed / multiplier), 1)

    def credit(self) -> int:
        """Tell how many messages may be held: one a process, and a few hundredths of a second's work.

        Asking for many at once costs little, and jobs that are short do not wait long behind each other.
        """
        ledger = self.ledger
        now = ledger.clock()
        elapsed = now - self._measured_at
        if elapsed >= _MEASURE_SECONDS:
            rate = (ledger.settled - self._settled) / elapsed
            self._settled, self._measured_at = ledger.settled, now
            self._credit = min(_MOST, int(rate * _HORIZON_SECONDS))
        allowed: int = self.prefetch_count
        return max(self._credit, min(self.base() + self._credit, allowed))

    def append(self, message: Any, delivery_tag: str) -> None:
        """Take note of a message; one that the acquire script delivered is leased already."""
        (virtual.QoS if self.channel.leasing else stock.QoS).append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Settle a message at the next commit, unless it is already, and hold it no longer."""
        if not delivery_tag.startswith(self.ledger.node):
            super().ack(delivery_tag)
            return
        if delivery_tag in self.ledger.held:
            self.ledger.settle(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def forget(self, delivery_tag: str) -> None:
        """Count a message no longer that another worker was given."""
        self._delivered.pop(delivery_tag, None)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Drop a message, or give it back to its queue."""
        if not delivery_tag.startswith(self.ledger.node):
            super().reject(delivery_tag, requeue)
            return
        if requeue:
            self.ledger.give_back([delivery_tag])
        elif delivery_tag in self.ledger.held:
            self.ledger.settle(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *_: Any, **__: Any) -> None:
        """Give back the messages of workers that have stopped renewing their leases."""
        for tag in self.channel.committer.reclaim():
            self.restore_by_tag(tag)

    def restore_unacked(self, client: Any = None) -> list[Any]:
        """Give back what is held and does not run; what runs keeps its lease over a lost connection."""
        ours = [tag for tag in self._delivered if tag in self.ledger.held]
        self.ledger.recall(ours)
        for tag in ours:
            self._delivered.pop(tag, None)
        if self._delivered:
            super().restore_unacked(client)
        self.channel.committer.commit()
        return []
