"""How fast somebody may submit over HTTP and by pages."""

from __future__ import annotations

import logging
from contextlib import closing

from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.errors import TooOften
from jobplatform.journal import inspection
from jobplatform.transport import pace
from jobplatform.transport.pace import Pace

_log = logging.getLogger(__name__)


def admit(desk: Desk, actor: Actor, jobs: int) -> None:
    """Let somebody submit so many jobs, also when nobody can count as Redis is away.

    :raises TooOften: when they are more than the rate allows; none of them counts then.
    """
    rate = desk.settings.submit_rate
    if not rate:
        return
    try:
        with closing(desk.redis()) as client:
            seconds = pace.wait(client, f"submit:{actor.name}", Pace(rate, desk.settings.submit_burst), jobs)
    except inspection.UNREACHABLE as error:
        cause = str(error).partition("\n")[0]
        _log.warning("%d jobs of %s are let through uncounted, since Redis is away: %s", jobs, actor.name, cause)
        return
    if seconds > 0:
        raise TooOften("submit", seconds)
