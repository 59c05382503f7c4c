"""What a few cheap looks at the tables tell of the platform as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

# Each of these is the head of an index, or a count that ends at the cap.
READ_GAUGES = Statement(
    "read_gauges",
    """
    select
        (select count(*)::int from (select from @dead_letter_jobs where resolved_at is null limit %(cap)s) d)
            as dead_letters,
        (select count(*)::int from (select from @journal_quarantine where resolved_at is null limit %(cap)s) q)
            as quarantine,
        (select count(*)::int from @breakers where state <> 'closed') as breakers_open,
        coalesce((select extract(epoch from now() - next_run)::float8 from @job_schedules
            where enabled and next_run <= now() order by next_run limit 1), 0) as scheduler_lag,
        coalesce((select extract(epoch from now() - due_at)::float8 from @jobs
            where due_at <= now() and status <> 'BLOCKED' order by due_at limit 1), 0) as due_lag,
        (select coalesce(json_object_agg(pool, published), '{}') from @fleet_wishes) as wanted,
        (select coalesce(json_agg(json_build_array(status, duty, report->'slots', report->'active', report->'queues')),
            '[]') from @workers where status = 'alive'
            or (status = 'stale' and last_seen_at > now() - interval '15 minutes')) as workers
    """,
    {"cap": 1},
)

#: Where counting stops, since the cost must not grow with history.
_CAP = 100_000


def read(transaction: Transaction) -> Mapping[str, Any]:
    """Read all gauges: counts, lags in seconds, pools with their wishes, and of each worker what it is and does."""
    return transaction.rows(READ_GAUGES, cap=_CAP)[0]
