"""What people do to clusters of errors: note, assign, mute, resolve, reopen and merge."""

from __future__ import annotations

from jobplatform.errors import ClusterNotFound, JobOptionError
from jobplatform.store.clusters import EXAMPLE, joined, summed
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

NOTE_CLUSTER = Statement(
    "note_cluster",
    """
    insert into @cluster_notes (fingerprint, note, noted_by) values (%(fingerprint)s, %(note)s, %(noted_by)s)
    """,
    {"fingerprint": EXAMPLE, "note": "fixed", "noted_by": "ann"},
)

ASSIGN_CLUSTER = Statement(
    "assign_cluster",
    "update @error_clusters set assignee = %(assignee)s where fingerprint = %(fingerprint)s",
    {"fingerprint": EXAMPLE, "assignee": "ann"},
)

MUTE_CLUSTER = Statement(
    "mute_cluster",
    "update @error_clusters set muted = %(muted)s where fingerprint = %(fingerprint)s",
    {"fingerprint": EXAMPLE, "muted": True},
)

RESOLVE_CLUSTER = Statement(
    "resolve_cluster",
    """
    update @error_clusters set state = 'resolved', resolved_at = now()
    where fingerprint = %(fingerprint)s and state = 'open'
    """,
    {"fingerprint": EXAMPLE},
)

REOPEN_CLUSTER = Statement(
    "reopen_cluster",
    """
    update @error_clusters set state = 'open', resolved_at = null
    where fingerprint = %(fingerprint)s and state = 'resolved'
    """,
    {"fingerprint": EXAMPLE},
)

LOCK_CLUSTERS = Statement(
    "lock_clusters",
    """
    select fingerprint, merged_into from @error_clusters where fingerprint = any(%(fingerprints)s)
    order by fingerprint for update
    """,
    {"fingerprints": [EXAMPLE]},
)

# What was merged into the one that is merged now counts for the target already once this is counted.
MERGE_CLUSTER = Statement(
    "merge_cluster",
    f"""
    with merged as (
        update @error_clusters set merged_into = %(target)s
        where fingerprint = %(fingerprint)s or merged_into = %(fingerprint)s
    )
    update @error_clusters as c
    set errors = c.errors + m.errors, first_seen = least(c.first_seen, m.first_seen),
        last_seen = greatest(c.last_seen, m.last_seen), dependency = coalesce(c.dependency, m.dependency),
        job_types = {summed("c.job_types", "m.job_types")}, releases = {joined("m.releases", "c.releases")},
        state = case when m.state = 'open' then 'open' else c.state end,
        resolved_at = case when m.state = 'open' then null else c.resolved_at end
    from @error_clusters as m
    where c.fingerprint = %(target)s and m.fingerprint = %(fingerprint)s
    """,
    {"fingerprint": EXAMPLE, "target": "fedcba9876543210"},
)


def note(transaction: Transaction, fingerprint: str, text: str, by: str) -> None:
    """Note something on a cluster."""
    transaction.count(NOTE_CLUSTER, fingerprint=fingerprint, note=text, noted_by=by)


def assign(transaction: Transaction, fingerprint: str, assignee: str | None) -> None:
    """Say who looks after a cluster; None for nobody."""
    transaction.count(ASSIGN_CLUSTER, fingerprint=fingerprint, assignee=assignee)


def mute(transaction: Transaction, fingerprint: str, muted: bool) -> None:
    """Leave a cluster out of the list of open ones, or show it there again."""
    transaction.count(MUTE_CLUSTER, fingerprint=fingerprint, muted=muted)


def resolve(transaction: Transaction, fingerprint: str) -> bool:
    """Mark a cluster as resolved; tells whether it was open."""
    return transaction.count(RESOLVE_CLUSTER, fingerprint=fingerprint) > 0


def reopen(transaction: Transaction, fingerprint: str) -> bool:
    """Mark a cluster as open; tells whether it was resolved."""
    return transaction.count(REOPEN_CLUSTER, fingerprint=fingerprint) > 0


def merge(transaction: Transaction, fingerprint: str, target: str) -> None:
    """Count what was and will be seen of one cluster for another as well.

    :raises JobOptionError: when they are the same, or one of them was merged already.
    """
    rows = transaction.rows(LOCK_CLUSTERS, fingerprints=[fingerprint, target])
    into = {row["fingerprint"]: row["merged_into"] for row in rows}
    for name in (fingerprint, target):
        if name not in into:
            raise ClusterNotFound(name)
        if into[name]:
            raise JobOptionError(f"merge: {name} was merged into {into[name]} already; name that one instead")
    if fingerprint == target:
        raise JobOptionError("merge: both are the same cluster; name another")
    transaction.count(MERGE_CLUSTER, fingerprint=fingerprint, target=target)
