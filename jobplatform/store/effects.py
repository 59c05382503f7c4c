"""The rows of ``job_effects``: what a job has done once and does not do again."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from jobplatform.errors import EffectPending, Superseded
from jobplatform.store.database import Transaction
from jobplatform.store.outages import sqlstate_of
from jobplatform.store.statement import Statement

#: So long is another run's open transaction waited for, in seconds, where the caller's session sets no limit itself.
PATIENCE_SECONDS = 10.0
#: What PostgreSQL says when another transaction is in the way: a wait is too long or can have no end, or the other has
#: committed after our snapshot.
_IN_THE_WAY = ("55P03", "57014", "40P01", "40001")

# The limit is set in the same statement, since the connection may be the caller's: it goes back as it was.
CLAIM_EFFECT = Statement(
    "claim_effect",
    """
    with patience as materialized (
        select current_setting('lock_timeout') as before, set_config('lock_timeout',
            case when %(ours)s or current_setting('lock_timeout') = '0' then %(patience)s
                else current_setting('lock_timeout') end,
            true)
    ), claimed as (
        insert into @job_effects (job_id, key, attempt)
        select %(job_id)s::uuid, %(key)s::text, %(attempt)s::int from patience
        where not exists (select from @jobs where job_id = %(job_id)s::uuid and attempt > %(attempt)s)
        on conflict (job_id, key) do nothing
        returning attempt
    )
    select p.before as patience, exists (select from claimed) as first,
        coalesce((select attempt from @jobs where job_id = %(job_id)s::uuid), 0) as newest
    from patience p
    """,
    {"job_id": "00000000-0000-7000-8000-000000000000", "key": "charge", "attempt": 1, "patience": "10s", "ours": True},
)

SET_PATIENCE = Statement("set_patience", "select set_config('lock_timeout', %(patience)s, true)", {"patience": "0"})


def claim(transaction: Transaction, job_id: str, key: str, attempt: int, ours: bool) -> bool:
    """Take an effect for this transaction, and tell whether no transaction has committed it before.

    One that has it open is waited for.

    :param ours: the transaction is none of the caller's, so whatever limit it sets is not meant for this wait.
    :raises Superseded: when the job has a newer attempt.
    :raises EffectPending: when the other transaction takes too long to end, or ended after this one's snapshot.
    """
    patience = f"{PATIENCE_SECONDS}s"
    try:
        (found,) = transaction.rows(CLAIM_EFFECT, job_id=job_id, key=key, attempt=attempt, patience=patience, ours=ours)
    except OperationalError as error:
        state = sqlstate_of(error)
        if state not in _IN_THE_WAY:
            raise
        raise EffectPending(
            f"effect {key!r}: another run of job {job_id} has it open, or has just committed it ({state}); "
            "let this attempt fail, so that a later one tries again"
        ) from error
    transaction.rows(SET_PATIENCE, patience=found["patience"])
    if found["newest"] > attempt:
        raise Superseded(
            f"effect {key!r}: attempt {attempt} of job {job_id} is superseded by attempt {found['newest']}; end here"
        )
    return bool(found["first"])
