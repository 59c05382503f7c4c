"""What rows that came out of a backup say of a Redis that is not there any more, put right."""

from __future__ import annotations

from collections import Counter

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

_WHY = "it was running when the backup was made from which it was restored"

END_EXECUTIONS = Statement(
    "end_restored_executions",
    """
    update @job_executions e set status = 'FAILED', completed_at = now(), error_type = 'Interrupted',
        error_message = %(why)s
    from @jobs j where j.status = 'PROCESSING' and e.job_id = j.job_id and e.attempt_number = j.attempt
        and e.status = 'PROCESSING'
    """,
    {"why": _WHY},
)

# A new attempt, so that a message or a run of the one before, should there be any, does not count.
QUEUE_AGAIN = Statement(
    "queue_restored",
    """
    update @jobs set status = 'PENDING', attempt = attempt + 1, worker_id = null, started_at = null,
        due_at = now() + (5 - priority) * interval '1 microsecond', updated_at = now(),
        error_type = case status when 'PROCESSING' then 'Interrupted' else error_type end,
        error_message = case status when 'PROCESSING' then %(why)s else error_message end
    where status = 'PROCESSING' or (status = 'PENDING' and due_at is null)
    """,
    {"why": _WHY},
)

LEAVE_WORKERS = Statement("leave_restored_workers", "update @workers set status = 'gone' where status <> 'gone'", {})


def queue_again(transaction: Transaction) -> Counter[str]:
    """Make due what waited in a queue or ran, the most urgent first; no worker of then is alive."""
    return Counter(
        interrupted=transaction.count(END_EXECUTIONS, why=_WHY),
        queued=transaction.count(QUEUE_AGAIN, why=_WHY),
        workers=transaction.count(LEAVE_WORKERS),
    )
