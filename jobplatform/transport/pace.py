"""How much one name may do in a time, counted in Redis."""

from __future__ import annotations

from typing import Any, NamedTuple

from jobplatform.transport import keys
from jobplatform.transport.scripts import Script

_PACE = Script("pace")


class Pace(NamedTuple):
    """A rate: units a second over time, and units that may come at once."""

    rate: float
    burst: float


def wait(client: Any, name: str, pace: Pace, units: int) -> float:
    """Count units of a name; seconds after which to come again if they are too many, and then they do not count."""
    reply = _PACE.run(client, [keys.PACES + name], [units, 1 / pace.rate, max(pace.burst, units)])
    return int(reply) / 1_000
