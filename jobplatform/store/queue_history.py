"""What went through queues over time, from their samples, in equal steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_NOW = datetime(2026, 1, 1, tzinfo=UTC)

BIN_QUEUE_SAMPLES = Statement(
    "bin_queue_samples",
    """
    select at, sum(arrived)::bigint as arrived, sum(started)::bigint as started, sum(finished)::bigint as finished,
        max(seconds)::float8 as seconds, sum(depth)::float8 as depth, sum(running)::float8 as running,
        max(oldest)::float8 as oldest
    from (
        select date_bin(make_interval(secs => %(step)s), sampled_at, %(since)s) as at, queue, sum(arrived) as arrived,
            sum(started) as started, sum(finished) as finished, sum(seconds) as seconds, avg(depth) as depth,
            avg(running) as running, max(oldest_seconds) as oldest
        from @queue_samples
        where sampled_at >= %(since)s and sampled_at < %(until)s
            and (%(in_queues)s::text[] is null or queue = any(%(in_queues)s::text[]))
        group by 1, 2
    ) as binned
    group by at order by at
    """,
    {"since": _NOW, "until": _NOW, "step": 60.0, "in_queues": ["celery"]},
)

BIN_DEPTHS = Statement(
    "bin_queue_depths",
    """
    select queue, date_bin(make_interval(secs => %(step)s), sampled_at, %(since)s) as at, avg(depth)::float8 as depth
    from @queue_samples
    where sampled_at >= %(since)s and sampled_at < %(until)s
        and (%(in_queues)s::text[] is null or queue = any(%(in_queues)s::text[]))
    group by 1, 2 order by 1, 2
    """,
    {"since": _NOW, "until": _NOW, "step": 60.0, "in_queues": ["celery"]},
)


def depths(
    transaction: Transaction, since: datetime, until: datetime, step: float, queues: Collection[str] | None
) -> Sequence[Mapping[str, Any]]:
    """Give how many jobs waited in each queue, a row for a queue and a step in which there is a sample.

    :param step: in seconds.
    :param queues: None for all.
    """
    known = None if queues is None else sorted(queues)
    return transaction.rows(BIN_DEPTHS, since=since, until=until, step=step, in_queues=known)


def binned(
    transaction: Transaction, since: datetime, until: datetime, step: float, queues: Collection[str] | None
) -> Sequence[Mapping[str, Any]]:
    """Sum what was sampled of queues, a row a step in which there is a sample, the oldest first.

    :param step: in seconds.
    :param queues: None for all.
    """
    known = None if queues is None else sorted(queues)
    return transaction.rows(BIN_QUEUE_SAMPLES, since=since, until=until, step=step, in_queues=known)
