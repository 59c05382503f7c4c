"""The transport that stands behind ``redis://`` once ``install`` was called."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock

from jobplatform.transport.channel import Channel
from jobplatform.transport.committer import Committer


class Transport(stock.Transport):  # type: ignore[misc]
    """Stock kombu's Redis transport with leases, batched commits and a doorbell."""

    Channel = Channel
    _committer: Committer | None = None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let the event loop drive the channels and the commits of this connection."""
        before = set(loop.on_tick)
        super().register_with_event_loop(connection, loop)
        loop.on_tick.intersection_update(before)
        loop.on_tick.add(self._poll_start(loop))
        for channel in self.channels[:1]:
            self._committer = channel.committer
            self._committer.drive(loop)

    def close_connection(self, connection: Any) -> None:
        """Close the channels; until the worker has connected anew no event loop turns, and none is late."""
        if self._committer is not None:
            self._committer.rest()
        super().close_connection(connection)

    def _poll_start(self, loop: Any) -> Any:
        """Give what is done before each poll: as the stock transport does, but without registering anew each time."""
        cycle, on_readable = self.cycle, self.on_readable

        def poll_start() -> None:
            # Most rounds of the loop have nothing to ask for: an answer is awaited, or the credit is used up.
            if not getattr(cycle, "_paused_brpop", None) and not any(map(_has_to_ask, cycle._channels)):
                return
            cycle.on_poll_start()
            for fd in cycle.fds:
                if fd not in loop.readers:
                    loop.add_reader(fd, on_readable, fd)

        return poll_start


def _has_to_ask(channel: Channel) -> bool:
    if channel.active_fanout_queues and not channel._in_listen:
        return True
    return not channel._in_poll and bool(channel._active_queues) and channel.qos.can_consume()


def install() -> None:
    """Put this transport behind the ``redis`` and ``rediss`` URL schemes of kombu."""
    name = f"{__name__}:Transport"
    TRANSPORT_ALIASES.update({"redis": name, "rediss": name})
