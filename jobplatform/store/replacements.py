"""The rows of ``replacements``, and the verdicts that they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)

ASK_REPLACEMENT = Statement(
    "ask_replacement",
    """
    insert into @replacements (pool, worker_id, name, reason, asked_by, asked_at)
    select %(pool)s, worker_id, name, %(reason)s, %(by)s, now() from @workers
    where worker_id = any(%(workers)s::text[]) and status <> 'gone'
    on conflict (worker_id) where ended_at is null do nothing
    returning name
    """,
    {"pool": "worker", "workers": ["w"], "reason": "its memory grows", "by": "fleet"},
)

NOTE_DEATHS = Statement(
    "note_deaths",
    """
    insert into @replacements (pool, worker_id, name, reason, asked_by, asked_at, ended_at, outcome)
    select %(pool)s, w.worker_id, w.name,
        case when coalesce(w.verdict, 'healthy') = 'healthy' then %(suddenly)s
            else 'it was ' || w.verdict || ' before: ' || w.verdict_reason end,
        '', now(), now(), 'died'
    from @workers w
    where w.worker_id = any(%(workers)s::text[]) and w.status <> 'gone'
        and not exists (select from @replacements r where r.worker_id = w.worker_id)
    returning worker_id, name, reason
    """,
    {"pool": "worker", "workers": ["w"], "suddenly": "nothing spoke against it"},
)

OPEN_REPLACEMENTS = Statement(
    "open_replacements",
    """
    select replacement_id, pool, worker_id, name, reason, asked_by, asked_at, successor, ready_at, drained_at, ended_at,
        outcome
    from @replacements where ended_at is null and pool = %(pool)s order by asked_at
    """,
    {"pool": "worker"},
)

ADVANCE_REPLACEMENT = Statement(
    "advance_replacement",
    """
    update @replacements
    set successor = coalesce(%(successor)s, successor),
        ready_at = case when %(ready)s then coalesce(ready_at, now()) else ready_at end,
        drained_at = case when %(drained)s then coalesce(drained_at, now()) else drained_at end,
        ended_at = case when %(outcome)s::text is null then null else now() end, outcome = %(outcome)s,
        reason = reason || coalesce('; ' || %(note)s::text, '')
    where replacement_id = %(id)s and ended_at is null
    """,
    {"id": 1, "successor": None, "ready": False, "drained": False, "outcome": None, "note": None},
)

LIST_REPLACEMENTS = Statement(
    "list_replacements",
    """
    select replacement_id, pool, worker_id, name, reason, asked_by, asked_at, successor, ready_at, drained_at, ended_at,
        outcome
    from @replacements order by asked_at desc limit %(limit)s
    """,
    {"limit": 10},
)

LATE_REPLACEMENTS = Statement(
    "late_replacements",
    """
    select count(*) as times, max(asked_at) as last from @replacements
    where asked_at > %(since)s and pool = %(pool)s and asked_by = %(by)s
    """,
    {"since": _SOME_DAY, "pool": "worker", "by": "fleet"},
)

LATEST_VERDICTS = Statement(
    "latest_verdicts",
    """
    select w.worker_id, w.name, v.verdict, v.confidence, v.reason, coalesce(v.features->>'rule', '') as rule,
        coalesce((v.features->>'in_a_row')::int, 1) as in_a_row
    from @workers w
    cross join lateral (
        select verdict, confidence, reason, features from @verdicts
        where worker_id = w.worker_id order by judged_at desc limit 1
    ) v
    where w.status = 'alive' and w.verdict = 'failing' and w.judged_at > %(since)s
    order by w.worker_id
    """,
    {"since": _SOME_DAY},
)


def ask(transaction: Transaction, pool: str, workers: Sequence[str], reason: str, by: str) -> list[str]:
    """Ask for workers to be replaced, and return the names of those that were not to be already.

    :param workers: their nodes.
    :param by: who asks.
    """
    rows = transaction.rows(ASK_REPLACEMENT, pool=pool, workers=list(workers), reason=reason, by=by)
    return [row["name"] for row in rows]


def note_deaths(
    transaction: Transaction, pool: str, workers: Iterable[str], suddenly: str
) -> Sequence[Mapping[str, Any]]:
    """Note that workers died that nobody replaced, and return what is noted of each of them that has a row.

    :param suddenly: what is noted of one that nothing spoke against before.
    """
    return transaction.rows(NOTE_DEATHS, pool=pool, workers=list(workers), suddenly=suddenly)


def under_way(transaction: Transaction, pool: str) -> Sequence[Mapping[str, Any]]:
    """List the replacements that have not ended, the oldest first."""
    return transaction.rows(OPEN_REPLACEMENTS, pool=pool)


def advance(
    transaction: Transaction,
    replacement_id: int,
    successor: str | None = None,
    ready: bool = False,
    drained: bool = False,
    outcome: str | None = None,
    note: str | None = None,
) -> None:
    """Note how far a replacement is; an outcome ends it."""
    transaction.count(
        ADVANCE_REPLACEMENT,
        id=replacement_id,
        successor=successor,
        ready=ready,
        drained=drained,
        outcome=outcome,
        note=note,
    )


def recent(transaction: Transaction, limit: int) -> Sequence[Mapping[str, Any]]:
    """List replacements, the last first."""
    return transaction.rows(LIST_REPLACEMENTS, limit=limit)


def lately(transaction: Transaction, pool: str, by: str, since: datetime) -> Mapping[str, Any]:
    """Tell how often somebody asked for a replacement since a time, ``times``, and when, ``last``."""
    return transaction.rows(LATE_REPLACEMENTS, pool=pool, by=by, since=since)[0]


def verdicts(transaction: Transaction, since: datetime) -> Sequence[Mapping[str, Any]]:
    """Give the latest verdict on each worker that was found failing since a time, be it the same one again.

    Its ``in_a_row`` says how many verdicts in a row were so.
    """
    return transaction.rows(LATEST_VERDICTS, since=since)
