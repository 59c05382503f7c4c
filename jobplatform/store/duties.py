"""What the rows of ``workers`` ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

ASK_WORKERS = Statement(
    "ask_workers",
    """
    update @workers
    set duty = %(duty)s, duty_reason = %(reason)s, duty_by = %(by)s, duty_since = now(), duty_grace = %(grace)s
    where name = any(%(names)s::text[]) and status <> 'gone' and duty <> 'drain'
    returning name
    """,
    {"names": ["w1@host"], "duty": "cordon", "reason": None, "by": "me@host", "grace": None},
)

LIST_ASKED = Statement(
    "list_asked",
    "select worker_id, duty, duty_grace from @workers where duty <> 'work' and status <> 'gone'",
    {},
)


def ask(
    transaction: Transaction,
    names: Sequence[str],
    duty: str,
    reason: str | None,
    by: str,
    grace: float | None = None,
) -> set[str]:
    """Ask workers that have not ended for a duty, and return their names; one that is to drain is asked nothing more.

    :param by: who asks.
    :param grace: seconds that running jobs have to end; None for those of the worker's setting.
    """
    rows = transaction.rows(ASK_WORKERS, names=list(names), duty=duty, reason=reason, by=by, grace=grace)
    return {row["name"] for row in rows}


def asked(transaction: Transaction) -> Sequence[Mapping[str, Any]]:
    """List the workers that are asked for anything but to work."""
    return transaction.rows(LIST_ASKED)
