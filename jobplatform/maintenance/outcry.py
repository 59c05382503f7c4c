"""Tell people that PostgreSQL cannot be reached, of which no row can tell."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from jobplatform.maintenance.alerter import Target, tell
from jobplatform.maintenance.notice import Notice

logger = logging.getLogger(__name__)

CONDITION = "postgresql unreachable"
#: For so long it has to be away; a server that is started anew is none to tell of.
_PATIENCE = timedelta(seconds=60)


class Outcry:
    """Ask PostgreSQL whether it takes writes; each controller does so for itself, whoever leads.

    :param ask: raises when it does not.
    :param repeat: seconds after which people are told again.
    """

    name = "outcry"
    interval = 15.0

    def __init__(self, ask: Callable[[], object], targets: Sequence[Target], repeat: float) -> None:
        self.ask = ask
        self.targets = targets
        self.repeat = timedelta(seconds=repeat)
        self._since: datetime | None = None
        self._told: datetime | None = None

    def run_once(self, now: datetime) -> Counter[str]:
        """Ask once, and tell what is new."""
        try:
            self.ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server cannot be used
            self._away(f"PostgreSQL cannot be used: {str(error).partition(chr(10))[0]}", now)
            return Counter()
        if self._told is not None:
            self._tell("resolved", "PostgreSQL can be used again", now)
        self._since = self._told = None
        return Counter()

    def _away(self, message: str, now: datetime) -> None:
        self._since = self._since or now
        if self._told is None and now - self._since >= _PATIENCE:
            self._tell("opened", message, now)
        elif self._told is not None and now - self._told >= self.repeat:
            self._tell("repeated", message, now)

    def _tell(self, event: str, message: str, now: datetime) -> None:
        opened = self._since or now
        notice = Notice(-int(now.timestamp()), event, CONDITION, "", message, now, opened)
        self._told = now
        for target in self.targets:
            if problem := tell(target, notice):
                logger.warning("%s was not told that %s: %s", target.name, message, problem)
