"""The transport that stands behind ``redis://`` once ``install`` was called."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock

from jobplatform.transport.channel import Channel


class Transport(stock.Transport):  # type: ignore[misc]
    """Stock kombu's Redis transport with leases, batched commits and a doorbell."""

    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let the event loop drive the channels and the commits of this connection."""
        super().register_with_event_loop(connection, loop)
        for channel in self.channels[:1]:
            channel.committer.drive(loop)


def install() -> None:
    """Put this transport behind the ``redis`` and ``rediss`` URL schemes of kombu."""
    name = f"{__name__}:Transport"
    TRANSPORT_ALIASES.update({"redis": name, "rediss": name})
