"""Replays of dead letters: some jobs are sent, how they end is seen, and more follow or the replay stops."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from jobplatform.jobs.replay import MOST, End, Progress, Send, canaries_of, decide
from jobplatform.store import dead_letters, replay_jobs, replays
from jobplatform.store.database import REFUSED, Database, Transaction, savepoint

logger = logging.getLogger(__name__)

#: Jobs that one transaction sends.
_BATCH = 1_000
_NOT_ENDED = "its job is gone, runs or completed"


class Replayer:
    """Advance the replays that run, and note how the jobs end that they have sent."""

    name = "replayer"
    interval = 1.0

    def __init__(self, database: Database) -> None:
        self.database = database

    def run_once(self, now: datetime) -> Counter[str]:
        """Advance each replay by one step at the most."""
        counts: Counter[str] = Counter()
        with self.database.session() as session:
            busy = replays.busy(session)
        for replay_id in busy:
            with self.database.transaction() as transaction:
                counts.update(_advance(transaction, replay_id, now))
        return +counts


def _advance(transaction: Transaction, replay_id: int, now: datetime) -> Counter[str]:
    row = replays.lock(transaction, replay_id)
    if row is None:
        return Counter()
    counts = Counter(noted=replay_jobs.note_ends(transaction, replay_id, now))
    if row["state"] != "running":
        return counts
    found = decide(_progress(row, replays.step_of(transaction, replay_id, row["step"], MOST)), now.timestamp())
    if isinstance(found, Send):
        counts += _send(transaction, row, found, now)
    elif isinstance(found, End):
        replays.end(transaction, replay_id, found.state, found.reason, now)
        logger.log(
            logging.WARNING if found.state == "stopped" else logging.INFO,
            "replay %d is %s: %s", replay_id, found.state, found.reason,
        )  # fmt: skip
        counts[found.state] += 1
    return counts


def _progress(row: replays.Row, step: replays.Row) -> Progress:
    returned = f"the error {step['returned']} came back in job {step['returned_job']}" if step["returned"] else None
    return Progress(
        waiting=step["waiting"],
        open=step["open"],
        canaries=canaries_of(row["jobs"]) if row["canaries"] is None else row["canaries"],
        step=row["step"],
        size=row["step_size"],
        sent=step["sent"],
        succeeded=step["succeeded"],
        failed=step["failed"],
        worst=step["worst"],
        returned=returned,
        rate=row["rate"],
        next_at=row["next_at"],
    )


def _send(transaction: Transaction, row: replays.Row, send: Send, now: datetime) -> Counter[str]:
    replay_id = row["replay_id"]
    wanted = replay_jobs.take(transaction, replay_id, min(send.count, _BATCH), now)
    sent = _replay(transaction, row, wanted, now)
    replay_jobs.note_sent(transaction, replay_id, sent, send.step, now)
    replays.note_step(transaction, replay_id, send.step, send.size, send.next_at)
    return Counter(sent=len(sent))


def _replay(transaction: Transaction, row: replays.Row, job_ids: Sequence[str], now: datetime) -> list[str]:
    """Let jobs run once more; those that cannot are left out and noted, one by one if the tables refuse them."""
    if not job_ids:
        return []
    try:
        with savepoint(transaction.connection, transaction.schema) as inner:
            replayed = dead_letters.replay(inner, job_ids, row["asked_by"], row["replay_id"])
    except REFUSED as error:
        if len(job_ids) > 1:
            middle = len(job_ids) // 2
            parts = (job_ids[:middle], job_ids[middle:])
            return [job_id for part in parts for job_id in _replay(transaction, row, part, now)]
        replayed, reason = [], f"the tables refuse it: {str(error.orig).partition(chr(10))[0]}"
    else:
        reason = _NOT_ENDED
    left_out = sorted(set(job_ids) - set(replayed))
    if left_out:
        replay_jobs.note_skipped(transaction, row["replay_id"], left_out, reason, now)
    return replayed
