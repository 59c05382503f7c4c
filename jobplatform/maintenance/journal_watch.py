"""An alarm long before the journal, or Redis as a whole, is full."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import Any

from jobplatform.transport import keys

logger = logging.getLogger(__name__)

#: From this share of the journal limit and of Redis' memory on, people are told.
_JOURNAL_SHARE = 0.1
_MEMORY_SHARE = 0.7


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
        memory = self.client.info("memory")
        most = memory.get("maxmemory") or 0
        if most and memory["used_memory"] > most * _MEMORY_SHARE:
            logger.warning("Redis uses %d of %d bytes; give it more, or drain the queues", memory["used_memory"], most)
        return Counter()
