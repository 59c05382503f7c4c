"""What a replay would run, and what it would meet, counted before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.states import State, states_sql
from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import EXAMPLE, MATCHES, LetterFilter
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

#: What a replay makes run once more.
REPLAYABLE = frozenset({State.FAILED, State.CANCELLED})

_CHOSEN = f"""select distinct on (f.job_id) f.job_id, f.job_type, f.fingerprint, j.status, j.queue, j.limit_key, j.units
        from (select d.* from @dead_letter_jobs d where {MATCHES} order by d.dlq_id limit %(limit)s) as f
        left join @jobs j on j.job_id = f.job_id
        order by f.job_id, f.attempt desc"""

COUNT_CHOSEN = Statement(
    "count_chosen",
    f"""
    select job_type, queue, fingerprint, count(*)::int as jobs, (count(*) filter (where
        status is null or status not in {states_sql(REPLAYABLE)}))::int as refused
    from ({_CHOSEN}) as chosen group by job_type, queue, fingerprint order by jobs desc, job_type, queue, fingerprint
    limit 1000
    """,
    {**EXAMPLE, "limit": 1},
)

# A limit with a star bounds each key by itself, so that the one with most units counts.
COUNT_LIMITED = Statement(
    "count_limited",
    f"""
    with chosen as materialized ({_CHOSEN})
    select name, slots, rate, sum(jobs)::int as jobs, max(units)::int as units from (
        select l.name, l.slots, l.rate, count(*) as jobs, sum(c.units) as units
        from @limits l join chosen c on l.name in ('queue:' || c.queue, 'type:' || c.job_type, 'key:' || c.limit_key)
            or (l.name like 'key:%%*' and starts_with('key:' || c.limit_key, rtrim(l.name, '*')))
        where c.status in {states_sql(REPLAYABLE)}
        group by l.name, l.slots, l.rate, case when l.name like 'key:%%*' then c.limit_key end
    ) as each
    group by name, slots, rate order by name
    """,
    {**EXAMPLE, "limit": 1},
)


def count_chosen(transaction: Transaction, chosen: LetterFilter, limit: int) -> Sequence[Row]:
    """Count the jobs of the dead letters that match by type, queue and fingerprint, the most first.

    ``refused`` are those that have not ended, or have no row.

    :param limit: the most dead letters, of which the oldest are taken.
    """
    return transaction.rows(COUNT_CHOSEN, **chosen.parameters(), limit=limit)


def count_limited(transaction: Transaction, chosen: LetterFilter, limit: int) -> Sequence[Row]:
    """List the limits that these jobs meet, and how many jobs and units each of them bounds."""
    return transaction.rows(COUNT_LIMITED, **chosen.parameters(), limit=limit)
