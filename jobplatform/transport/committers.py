"""The committers of this process: one for each Redis database that it takes messages from."""

from __future__ import annotations

import logging
import os
from typing import Any

from jobplatform.transport.committer import Committer
from jobplatform.transport.ledger import Ledger

logger = logging.getLogger(__name__)

_committers: dict[tuple[Any, ...], Committer] = {}


def committer_of(connection_parameters: dict[str, Any], options: dict[str, Any]) -> Committer:
    """Give this process's committer for one Redis database; all connections to it share one ledger."""
    place = tuple(connection_parameters.get(name) for name in ("host", "port", "path", "db"))
    key = (os.getpid(), *place)
    if key not in _committers:
        _committers[key] = Committer(Ledger(), connection_parameters, options)
    return _committers[key]


def driven_committers() -> list[Committer]:
    """List those of this process that an event loop drives: those of its worker."""
    found = list(_committers.items())
    return [committer for (pid, *_place), committer in found if pid == os.getpid() and committer.driven]


def retire_committers() -> None:
    """Let this process take no more messages, as it is about to end."""
    for committer in driven_committers():
        committer.retire()


def close_committers(**_: Any) -> None:
    """Write this process's last news and give back what it did not start; called when a worker shuts down."""
    for committer in driven_committers():
        if not committer.close():
            logger.error("%d pieces of news could not be written before the worker ended", len(committer.ledger))
