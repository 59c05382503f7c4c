"""News of jobs whose rows are not there yet: kept for some seconds, then journalled again, or quarantined.

A row that travels through the journal may come after the news of its job, when Redis lost both and each is written
again by the process that wrote it. News of jobs that somebody made up has no row either.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from jobplatform.journal.mirror import EARLY, JOURNAL, quarantined
from jobplatform.store import jobs, quarantine
from jobplatform.store.database import Database
from jobplatform.transport import census

#: Rows that were submitted are in Redis again by then.
WAIT_SECONDS = 15.0
_BATCH = 1_000


class EarlyNews:
    """Journal early news again once its row is there; what waits for too long is quarantined.

    :param client: a Redis client of the journal.
    """

    name = "early news"
    interval = 1.0

    def __init__(self, database: Database, client: Any, wait_seconds: float = WAIT_SECONDS) -> None:
        self.database = database
        self.client = client
        self.wait_seconds = wait_seconds

    def run_once(self, now: datetime) -> Counter[str]:
        """Look once at what waits."""
        items = self.client.xrange(EARLY, count=_BATCH)
        if not items:
            return Counter()
        late = (census.clock(self.client) - self.wait_seconds) * 1000
        counts: Counter[str] = Counter()
        with self.database.transaction() as transaction:
            named = {fields[b"job"].decode() for _, fields in items}
            missing = jobs.missing(transaction, sorted(named))
            for stream_id, fields in items:
                field, raw, job_id = fields[b"field"], fields[b"raw"], fields[b"job"].decode()
                if job_id not in missing:
                    self.client.xadd(JOURNAL, {field: raw})
                    counts["journalled"] += 1
                elif int(stream_id.partition(b"-")[0]) > late:
                    continue
                else:
                    row = quarantined(stream_id.decode(), field.decode(), raw, f"no row stands for job {job_id}")
                    counts["quarantined"] += quarantine.add(transaction, [row])
                self.client.xdel(EARLY, stream_id)
        return counts
