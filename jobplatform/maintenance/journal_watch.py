"""An alarm long before the journal, or Redis as a whole, is full."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import Any

from jobplatform.transport import census, keys

logger = logging.getLogger(__name__)

#: From this share of the journal limit on, people are told.
_JOURNAL_SHARE = 0.1


class JournalWatch:
    """Warn when the mirror falls behind or Redis fills up.

    :param limit: commits that the journal may hold before workers stop taking work.
    """

    name = "journal watch"
    interval = 5.0

    def __init__(self, client: Any, limit: int) -> None:
        self.client = client
        self.limit = limit

    def run_once(self, now: datetime) -> Counter[str]:
        """Look once; the loop's pause follows, as nothing is counted."""
        length = self.client.xlen(keys.JOURNAL)
        if length > self.limit * _JOURNAL_SHARE:
            logger.warning(
                "the journal holds %d commits that are not mirrored; workers stop taking work at %d; "
                "look at PostgreSQL and the controller", length, self.limit,
            )  # fmt: skip
        memory = census.memory(self.client)
        if memory.is_filling:
            logger.warning("Redis uses %d of %d bytes; give it more, or drain the queues", memory.used, memory.most)
        return Counter()
