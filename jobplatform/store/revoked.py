"""Jobs that somebody has revoked as Celery's users do: their rows say so at once, whoever has heard it."""

from __future__ import annotations

from collections.abc import Sequence

from jobplatform.states import UNFINISHED, State, states_sql
from jobplatform.store import dependencies
from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

# One that runs is left alone unless it is to be ended, as Celery does.
REVOKE_JOBS = Statement(
    "revoke_jobs",
    f"""
    with open as materialized (
        select job_id, status as was from @jobs
        where job_id = any(%(job_ids)s::uuid[]) and status in {states_sql(UNFINISHED)}
            and (%(running)s or status <> '{State.PROCESSING}')
        order by job_id for update
    )
    update @jobs as j set status = 'CANCELLED', due_at = case when open.was in ('PENDING', 'PROCESSING') then now() end,
        completed_at = now(), updated_at = now(), error_type = 'Revoked', error_message = 'revoked', gate = null,
        hold_reason = null, hold_by = null, hold_until = null
    from open where j.job_id = open.job_id
    returning j.job_id::text
    """,
    {"job_ids": ["00000000-0000-7000-8000-000000000000"], "running": False},
)


def revoke(transaction: Transaction, job_ids: Sequence[str], running: bool) -> list[str]:
    """Cancel jobs that have not ended; returns which these were.

    :param running: also those that run.
    """
    revoked = [row["job_id"] for row in transaction.rows(REVOKE_JOBS, job_ids=list(job_ids), running=running)]
    dependencies.settle(transaction, revoked)
    return revoked
