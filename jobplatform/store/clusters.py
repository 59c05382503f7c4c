"""The rows of ``error_clusters``: errors of one fingerprint, how often they came, and what people say of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.errors import ClusterNotFound, JobOptionError
from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import IN_SCOPE
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

EXAMPLE = "0123456789abcdef"
_RELEASES = 20


def summed(one: str, other: str) -> str:
    """Write the sum of two objects that hold a number for each job type."""
    return f"""(select coalesce(jsonb_object_agg(key, total), '{{}}') from (select key, sum(value::bigint) as total
        from (select * from jsonb_each_text({one}) union all select * from jsonb_each_text({other})) as both_of
        group by key) as by_type)"""


def joined(newer: str, older: str) -> str:
    """Write two lists of releases as one, the newer in front, none twice, and not too long."""
    return f"(array(select each from unnest({newer}) as each where each <> all ({older})) || {older})[:{_RELEASES}]"


_RETURNS = "c.state = 'resolved' and excluded.last_seen > c.resolved_at"

# An error counts for its own cluster, and for the one that this was merged into. Rows are locked in the order of their
# fingerprints, so two of these never wait for each other.
COUNT_ERRORS = Statement(
    "count_errors",
    f"""
    with given as (
        select * from json_to_recordset(%(rows)s) as r(fingerprint text, error_type text, text text, dependency text,
            sample text, traceback text, sample_job uuid, job_types jsonb, releases text[], errors bigint,
            first_seen float8, last_seen float8)
    ), spread as (
        select fingerprint as target, false as merged, * from given
        union all
        select c.merged_into, true, g.* from given g join @error_clusters c on c.fingerprint = g.fingerprint
        where c.merged_into is not null
    ), best as (
        select distinct on (target) * from spread order by target, merged, last_seen desc
    ), total as (
        select target, sum(errors) as errors, min(first_seen) as first_seen, max(last_seen) as last_seen
        from spread group by target
    )
    insert into @error_clusters as c (fingerprint, error_type, text, dependency, sample, traceback, sample_job,
        job_types, releases, errors, first_seen, last_seen)
    select b.target, b.error_type, b.text, b.dependency, b.sample, b.traceback, b.sample_job,
        (select jsonb_object_agg(key, types) from (select key, sum(value::bigint) as types
            from spread s, jsonb_each_text(s.job_types) where s.target = b.target group by key) as by_type),
        array(select distinct each from spread s, unnest(s.releases) as each
            where s.target = b.target order by each desc),
        t.errors, to_timestamp(t.first_seen), to_timestamp(t.last_seen)
    from best b join total t on t.target = b.target
    order by b.target
    on conflict (fingerprint) do update set
        errors = c.errors + excluded.errors,
        first_seen = least(c.first_seen, excluded.first_seen),
        last_seen = greatest(c.last_seen, excluded.last_seen),
        dependency = coalesce(c.dependency, excluded.dependency),
        job_types = {summed("c.job_types", "excluded.job_types")},
        releases = {joined("excluded.releases", "c.releases")},
        state = case when {_RETURNS} then 'open' else c.state end,
        reopened = c.reopened + ({_RETURNS})::int,
        resolved_at = case when {_RETURNS} then null else c.resolved_at end,
        sample = case when {_RETURNS} then excluded.sample else c.sample end,
        traceback = case when {_RETURNS} then excluded.traceback else c.traceback end,
        sample_job = case when {_RETURNS} then excluded.sample_job else c.sample_job end
    """,
    {"rows": "[]"},
)

_COLUMNS = """fingerprint, error_type, text, dependency, left(sample, 500) as sample, sample_job::text, job_types,
        releases, errors, first_seen, last_seen, state, muted, assignee, resolved_at, reopened, merged_into"""

LIST_CLUSTERS = Statement(
    "list_clusters",
    f"""
    select {_COLUMNS}
    from @error_clusters as c
    where (%(state)s::text is null or (state = %(state)s and merged_into is null))
        and (%(muted)s::boolean is null or muted = %(muted)s)
        and (%(job_type)s::text is null or jsonb_exists(job_types, %(job_type)s))
        and (%(before_time)s::timestamptz is null
            or (last_seen, fingerprint) < (%(before_time)s::timestamptz, %(before_id)s::text))
    order by last_seen desc, c.fingerprint desc
    limit %(limit)s
    """,
    {
        "state": "open",
        "muted": False,
        "job_type": "shop.charge",
        "before_time": datetime(2026, 1, 1, tzinfo=UTC),
        "before_id": EXAMPLE,
        "limit": 50,
    },
)

FIND_CLUSTERS = Statement(
    "find_clusters",
    """
    select fingerprint from @error_clusters
    where fingerprint >= %(prefix)s and fingerprint < %(prefix)s || 'g' order by fingerprint limit 2
    """,
    {"prefix": EXAMPLE},
)

SHOW_CLUSTER = Statement(
    "show_cluster",
    """
    select fingerprint, error_type, text, dependency, sample, traceback, sample_job::text, job_types, releases, errors,
        first_seen, last_seen, state, muted, assignee, resolved_at, reopened, merged_into,
        (select count(*) from @dead_letter_jobs d where d.resolved_at is null and d.fingerprint = any(%(family)s))
            as open_dead_letters
    from @error_clusters where fingerprint = %(fingerprint)s
    """,
    {"fingerprint": EXAMPLE, "family": [EXAMPLE]},
)

LIST_CLUSTER_LETTERS = Statement(
    "list_cluster_letters",
    f"""
    select dlq_id, job_id::text, job_type, reason, failed_at from @dead_letter_jobs d
    where resolved_at is null and fingerprint = any(%(family)s) and {IN_SCOPE}
    order by dlq_id desc limit %(limit)s
    """,
    {"family": [EXAMPLE], "in_queues": None, "in_tenants": ["acme"], "limit": 10},
)

LIST_MERGED = Statement(
    "list_merged",
    f"select {_COLUMNS} from @error_clusters where merged_into = %(fingerprint)s order by fingerprint",
    {"fingerprint": EXAMPLE},
)

LIST_CLUSTER_NOTES = Statement(
    "list_cluster_notes",
    """
    select note_id, fingerprint, note, noted_by, noted_at from @cluster_notes
    where fingerprint = any(%(family)s) order by note_id
    """,
    {"family": [EXAMPLE]},
)


def count(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
    """Count errors; one that comes later than its cluster was resolved opens that again.

    :param rows: as ``journal.clusters.cluster_rows`` gives them, one a fingerprint.
    """
    return transaction.count(COUNT_ERRORS, rows=json.dumps(rows)) if rows else 0


def page(
    transaction: Transaction,
    state: str | None = "open",
    muted: bool | None = False,
    job_type: str | None = None,
    limit: int = 50,
    before: tuple[datetime, str] | None = None,
) -> Sequence[Row]:
    """List clusters, those seen last first; with a state, without those that were merged into another.

    :param before: (last_seen, fingerprint) of the last row of the page before this one.
    """
    before_time, before_id = before or (None, None)
    return transaction.rows(
        LIST_CLUSTERS,
        state=state,
        muted=muted,
        job_type=job_type,
        before_time=before_time,
        before_id=before_id,
        limit=limit,
    )


def find(transaction: Transaction, prefix: str) -> str:
    """Give the fingerprint of the only cluster that begins so.

    :raises ClusterNotFound: when there is none.
    :raises JobOptionError: when there are several.
    """
    found = transaction.rows(FIND_CLUSTERS, prefix=prefix.lower())
    if not found:
        raise ClusterNotFound(prefix)
    if len(found) > 1:
        raise JobOptionError(f"fingerprint: several clusters begin with {prefix}; write more of it")
    return str(found[0]["fingerprint"])


def family(transaction: Transaction, fingerprint: str) -> list[str]:
    """List the fingerprints of a cluster: its own, and those that were merged into it."""
    return [fingerprint, *(row["fingerprint"] for row in merged(transaction, fingerprint))]


def merged(transaction: Transaction, fingerprint: str) -> Sequence[Row]:
    """List the clusters that were merged into one."""
    return transaction.rows(LIST_MERGED, fingerprint=fingerprint)


def show(transaction: Transaction, fingerprint: str, family: Sequence[str]) -> Row:
    """Read one cluster whole, and how many open dead letters its family has.

    :raises ClusterNotFound: when there is none.
    """
    found = transaction.rows(SHOW_CLUSTER, fingerprint=fingerprint, family=list(family))
    if not found:
        raise ClusterNotFound(fingerprint)
    return found[0]


def open_letters(
    transaction: Transaction,
    family: Sequence[str],
    queues: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
    limit: int = 10,
) -> Sequence[Row]:
    """List the open dead letters of a cluster, newest first.

    :param queues: with ``tenants`` the scope of who asks; None is everywhere.
    """
    scope = {"in_queues": None if queues is None else sorted(queues)}
    scope["in_tenants"] = None if tenants is None else sorted(tenants)
    return transaction.rows(LIST_CLUSTER_LETTERS, family=list(family), **scope, limit=limit)


def notes(transaction: Transaction, family: Sequence[str]) -> Sequence[Row]:
    """List what people noted, first to last."""
    return transaction.rows(LIST_CLUSTER_NOTES, family=list(family))
