"""The rows of ``models``: what was learned, and from what it learns."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

#: Kinds of models, by what they foretell: what comes of retries,
RETRY = "retry"
#: how long jobs take,
DURATION = "duration"
#: how many jobs there will be at once,
DEMAND = "demand"
#: and which workers fail.
HEALTH = "health"
KINDS = (RETRY, DURATION, DEMAND, HEALTH)
#: A model is kept for so long after it was retired.
RETENTION = timedelta(days=90)
#: Models on trial that are kept, and models of any state whose artifact is.
KEPT = 20
#: The first half of the key of the lock that one training holds: "jobm" in ASCII.
_SPACE = 0x6A6F626D
_LONG_AGO = "-infinity"

ADD_MODEL = Statement(
    "add_model",
    """
    insert into @models (kind, state, trained_at, window_from, window_to, rows, features, base_rate, metrics,
        calibration, artifact, sha256, reason)
    values (%(kind)s, 'shadow', now(), to_timestamp(%(window_from)s), to_timestamp(%(window_to)s), %(rows)s,
        %(features)s::jsonb, %(base_rate)s, %(metrics)s::jsonb, %(calibration)s::jsonb, %(artifact)s, %(sha256)s,
        %(reason)s)
    returning version
    """,
    {
        "kind": RETRY,
        "window_from": 0.0,
        "window_to": 0.0,
        "rows": 0,
        "features": "[]",
        "base_rate": 0.5,
        "metrics": "{}",
        "calibration": "[]",
        "artifact": b"",
        "sha256": "",
        "reason": "",
    },
)

_ABOUT = """
    version, kind, state, trained_at, window_from, window_to, rows, features, base_rate, metrics, calibration, sha256,
    reason, retired_at, octet_length(artifact) as size
"""

LIST_MODELS = Statement(
    "list_models",
    f"""
    select {_ABOUT} from @models where kind = any(%(kinds)s::text[]) and version < %(before)s
    order by version desc limit %(limit)s
    """,
    {"kinds": [RETRY], "before": 2**31 - 1, "limit": 20},
)

SHOW_MODEL = Statement("show_model", f"select {_ABOUT} from @models where version = %(version)s", {"version": 1})

READ_ARTIFACT = Statement(
    "read_artifact", "select artifact, sha256 from @models where version = %(version)s", {"version": 1}
)

MODEL_IN_FORCE = Statement(
    "model_in_force",
    """
    select version, state, trained_at from @models where kind = %(kind)s and state <> 'retired'
    order by state = 'active' desc, version desc limit 1
    """,
    {"kind": RETRY},
)

# One version decides at a time; what it takes over from stays, as a retired one.
PROMOTE_MODEL = Statement(
    "promote_model",
    """
    with promoted as (
        update @models set state = 'active', reason = %(reason)s, retired_at = null
        where version = %(version)s and artifact is not null returning version, kind
    ), replaced as (
        update @models m set state = 'retired', retired_at = now(), reason = 'version ' || p.version || ' took over'
        from promoted p where m.kind = p.kind and m.state = 'active' and m.version <> p.version
    ), followed as (
        update @model_trials t set version = p.version from promoted p where t.kind = p.kind and t.state = 'active'
    )
    select version from promoted
    """,
    {"version": 1, "reason": ""},
)

DEMOTE_MODEL = Statement(
    "demote_model",
    "update @models set state = 'shadow', reason = %(reason)s where version = %(version)s and state = 'active'",
    {"version": 1, "reason": ""},
)

# No other version inherits what this one had won: its job types are on trial again.
RETIRE_MODEL = Statement(
    "retire_model",
    """
    with retired as (
        update @models set state = 'retired', retired_at = now(), reason = %(reason)s
        where version = %(version)s and state <> 'retired' returning version, kind
    ), left_alone as (
        update @model_trials t set state = 'shadow', since = now(), forced = false,
            reason = 'version ' || r.version || ' was retired: ' || %(reason)s
        from retired r where t.kind = r.kind and t.version = r.version and t.state = 'active'
    )
    select version from retired
    """,
    {"version": 1, "reason": ""},
)

PRUNE_MODELS = Statement(
    "prune_models",
    """
    delete from @models where (state = 'retired' and retired_at < %(before)s) or version in (
        select version from @models where kind = %(kind)s and state = 'shadow' order by version desc offset %(kept)s)
    """,
    {"kind": RETRY, "before": datetime(2026, 1, 1, tzinfo=UTC), "kept": KEPT},
)

# What was learned in between stays to be seen; the bytes of some hundred models a day would not fit anywhere.
FORGET_ARTIFACTS = Statement(
    "forget_artifacts",
    """
    update @models set artifact = null where state = 'retired' and artifact is not null and version in (
        select version from @models where kind = %(kind)s and artifact is not null order by version desc
        offset %(kept)s)
    """,
    {"kind": RETRY, "kept": KEPT},
)

# That a job failed in the end says nothing where it was a model that gave it up.
READ_EXAMPLES = Statement(
    "read_examples",
    """
    select d.job_type, d.attempt, d.features, d.waited_seconds as waited, d.outcome = 'succeeded' as succeeded,
        d.chance, extract(epoch from d.decided_at)::float8 as decided_at,
        extract(epoch from d.outcome_at)::float8 as at,
        case when d.ended = 'COMPLETED' then true
            when d.ended = 'FAILED' and not starts_with(l.decided_by, 'model') then false end as eventually
    from (
        select job_id, job_type, attempt, features, waited_seconds, outcome, chance, decided_at, outcome_at, ended
        from @retry_decisions
        where outcome is not null and features is not null and outcome_at > %(after)s::timestamptz
        order by outcome_at desc limit %(limit)s
    ) d
    left join lateral (
        select decided_by from @retry_decisions where d.ended = 'FAILED' and job_id = d.job_id
        order by attempt desc limit 1
    ) l on true
    """,
    {"after": _LONG_AGO, "limit": 100_000},
)

COUNT_EXAMPLES = Statement(
    "count_examples",
    """
    select count(*) as examples from (
        select from @retry_decisions
        where outcome is not null and features is not null and outcome_at > %(after)s::timestamptz limit %(limit)s
    ) d
    """,
    {"after": _LONG_AGO, "limit": 200},
)

LAST_TRAINING = Statement(
    "last_training", "select max(trained_at) as at from @models where kind = %(kind)s", {"kind": RETRY}
)

CLAIM_TRAINING = Statement(
    "claim_training", "select pg_try_advisory_lock(%(space)s, %(key)s) as claimed", {"space": 1, "key": 1}
)


def add(transaction: Transaction, row: Row) -> int:
    """Write a new model, on trial, and return its version.

    :param row: ``kind``, ``window_from`` and ``window_to`` (seconds since the epoch), ``rows``, ``features``,
        ``base_rate``, ``metrics``, ``calibration``, ``artifact``, ``sha256``, ``reason``.
    """
    values = {name: json.dumps(row[name]) for name in ("features", "metrics", "calibration")}
    return int(transaction.rows(ADD_MODEL, **{**row, **values})[0]["version"])


def newest(
    transaction: Transaction, kinds: Sequence[str] = KINDS, limit: int = 20, before: int | None = None
) -> Sequence[Row]:
    """List the newest models of some kinds, the last first, without their artifacts.

    :param before: the version of the last model of the page before.
    """
    return transaction.rows(LIST_MODELS, kinds=list(kinds), before=before or 2**31 - 1, limit=limit)


def show(transaction: Transaction, version: int) -> Row | None:
    """Give all that is known of a model but its artifact, None when there is none of the version."""
    return next(iter(transaction.rows(SHOW_MODEL, version=version)), None)


def artifact(transaction: Transaction, version: int) -> tuple[bytes, str] | None:
    """Give a model's bytes and their hash, None when they are not kept any more."""
    found = next(iter(transaction.rows(READ_ARTIFACT, version=version)), None)
    if found is None or found["artifact"] is None:
        return None
    return bytes(found["artifact"]), str(found["sha256"])


def in_force(transaction: Transaction, kind: str = RETRY) -> Row | None:
    """Name the version that foretells: the active one, or else the newest on trial."""
    return next(iter(transaction.rows(MODEL_IN_FORCE, kind=kind)), None)


def promote(transaction: Transaction, version: int, reason: str) -> bool:
    """Put a version in force, in the place of the one before; False when its artifact is not there."""
    return bool(transaction.rows(PROMOTE_MODEL, version=version, reason=reason))


def demote(transaction: Transaction, version: int, reason: str) -> bool:
    """Put the active version back on trial; False when it was not active."""
    return transaction.count(DEMOTE_MODEL, version=version, reason=reason) > 0


def retire(transaction: Transaction, version: int, reason: str) -> bool:
    """Take a version out of use for good; False when it was retired already or is not there."""
    return bool(transaction.rows(RETIRE_MODEL, version=version, reason=reason))


def prune(transaction: Transaction, now: datetime, kind: str = RETRY) -> int:
    """Delete models that were retired long ago, and those on trial that newer ones have replaced; returns how many."""
    transaction.count(FORGET_ARTIFACTS, kind=kind, kept=KEPT)
    return transaction.count(PRUNE_MODELS, kind=kind, before=now - RETENTION, kept=KEPT)


def examples(transaction: Transaction, after: datetime | None = None, limit: int = 100_000) -> list[Row]:
    """List what is to be learned from, newest first.

    :param after: only what has shown later.
    :returns: ``job_type``, ``attempt``, ``features``, ``waited``, ``succeeded``, ``eventually``, ``chance``, and
        when it was decided (``decided_at``) and has shown (``at``), in seconds since the epoch.
    """
    found = transaction.rows(READ_EXAMPLES, after=after or _LONG_AGO, limit=limit)
    return sorted(found, key=lambda row: row["at"], reverse=True)


def count_examples(transaction: Transaction, after: datetime | None, limit: int) -> int:
    """Count what is to be learned from, up to a limit."""
    return int(transaction.rows(COUNT_EXAMPLES, after=after or _LONG_AGO, limit=limit)[0]["examples"])


def last_training(transaction: Transaction, kind: str = RETRY) -> datetime | None:
    """Tell when a model was trained last."""
    found: datetime | None = transaction.rows(LAST_TRAINING, kind=kind)[0]["at"]
    return found


def claim_training(session: Transaction, kind: str = RETRY) -> bool:
    """Try to be the one training of a kind in this schema; the claim ends with the session's connection."""
    name = session.schema if kind == RETRY else f"{session.schema}/{kind}"
    key = zlib.crc32(name.encode()) & 0x7FFFFFFF
    return bool(session.rows(CLAIM_TRAINING, space=_SPACE, key=key)[0]["claimed"])
