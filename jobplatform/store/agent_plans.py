"""The rows of ``agent_plans``: what agents ask to do. Each is approved once, and applied once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = """plan_id, actor, action, arguments, digest, jobs, blast, state, asked_at, expires_at, decided_by,
        decided_at, applied_at, outcome, expires_at <= now() as over"""

# One actor has no more than so many open plans, so that nobody is asked until they say yes.
ASK_PLAN = Statement(
    "ask_plan",
    """
    insert into @agent_plans (plan_id, actor, action, arguments, digest, jobs, blast, expires_at)
    select %(plan_id)s, %(actor)s, %(action)s, %(arguments)s::jsonb, %(digest)s, %(jobs)s, %(blast)s::jsonb,
        now() + make_interval(secs => %(seconds)s)
    where (select count(*) from @agent_plans
        where state in ('asked', 'approved') and actor = %(actor)s and expires_at > now()) < %(most)s
    returning expires_at
    """,
    {
        "plan_id": "p", "actor": "ann/bot", "action": "jobs.cancel", "arguments": "{}", "digest": b"", "jobs": 1,
        "blast": "{}", "seconds": 900.0, "most": 20,
    },
)  # fmt: skip

SHOW_PLAN = Statement("show_plan", f"select {_COLUMNS} from @agent_plans where plan_id = %(plan_id)s", {"plan_id": "p"})

LIST_PLANS = Statement(
    "list_plans",
    f"""
    select {_COLUMNS} from @agent_plans where state in ('asked', 'approved') and expires_at > now()
    order by asked_at desc, plan_id limit %(limit)s
    """,
    {"limit": 100},
)

DECIDE_PLAN = Statement(
    "decide_plan",
    """
    update @agent_plans set state = %(state)s, decided_by = %(by)s, decided_at = now()
    where plan_id = %(plan_id)s and state in ('asked', 'approved') and expires_at > now()
    """,
    {"plan_id": "p", "state": "approved", "by": "ann"},
)

TAKE_PLAN = Statement(
    "take_plan",
    """
    update @agent_plans set state = 'applied', applied_at = now()
    where plan_id = %(plan_id)s and actor = %(actor)s and digest = %(digest)s and state = 'approved'
        and expires_at > now()
    """,
    {"plan_id": "p", "actor": "ann/bot", "digest": b""},
)

END_PLAN = Statement(
    "end_plan",
    "update @agent_plans set state = %(state)s, outcome = %(outcome)s::jsonb where plan_id = %(plan_id)s",
    {"plan_id": "p", "state": "applied", "outcome": "{}"},
)

PRUNE_PLANS = Statement(
    "prune_plans",
    """
    delete from @agent_plans where plan_id in (select plan_id from @agent_plans where asked_at < %(before)s
        order by asked_at limit %(limit)s for update skip locked)
    """,
    {"before": _NOW, "limit": 100},
)


def ask(transaction: Transaction, plan: Mapping[str, Any], seconds: float, most: int) -> datetime | None:
    """Write a plan; returns until when it counts, None when its actor has too many.

    :param plan: the columns ``plan_id``, ``actor``, ``action``, ``arguments``, ``digest``, ``jobs`` and ``blast``.
    """
    texts = {name: json.dumps(plan[name]) for name in ("arguments", "blast")}
    rows = transaction.rows(ASK_PLAN, **{**plan, **texts}, seconds=seconds, most=most)
    return rows[0]["expires_at"] if rows else None


def show(transaction: Transaction, plan_id: str) -> Row | None:
    """Read a plan, None when there is none."""
    rows = transaction.rows(SHOW_PLAN, plan_id=plan_id)
    return rows[0] if rows else None


def listed(transaction: Transaction, limit: int) -> Sequence[Row]:
    """List the plans that can still be decided on or applied, newest first."""
    return transaction.rows(LIST_PLANS, limit=limit)


def decide(transaction: Transaction, plan_id: str, state: str, by: str) -> bool:
    """Approve or refuse a plan; returns whether that could be."""
    return transaction.count(DECIDE_PLAN, plan_id=plan_id, state=state, by=by) == 1


def take(transaction: Transaction, plan_id: str, actor: str, digest: bytes) -> bool:
    """Take an approved plan, which nobody can do a second time; returns whether that could be."""
    return transaction.count(TAKE_PLAN, plan_id=plan_id, actor=actor, digest=digest) == 1


def end(transaction: Transaction, plan_id: str, state: str, outcome: Mapping[str, Any]) -> None:
    """Write what came of a plan."""
    transaction.count(END_PLAN, plan_id=plan_id, state=state, outcome=json.dumps(outcome))


def prune(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete plans that were asked before a time; the audit log keeps what was done."""
    return transaction.count(PRUNE_PLANS, before=before, limit=limit)
