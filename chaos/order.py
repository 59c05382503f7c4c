"""Jobs that began before what they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from chaos.evidence import PART, Evidence
from chaos.finding import Finding

#: What a batch calls back when it is over carries this instead of a number.
OVER = "over"


def find_out_of_order(evidence: Evidence) -> Iterator[Finding]:
    """Find jobs of graphs that began before those that they wait for, and batches that called back too early."""
    for promise in evidence.promises.values():
        for other in promise.upstream:
            if began_at(evidence, promise.job_id) < ended_at(evidence, other, other not in promise.failing):
                yield Finding(promise.job_id, f"it began before {other} had ended, for which it waits")
    yield from _find_early_callbacks(evidence)


def _find_early_callbacks(evidence: Evidence) -> Iterator[Finding]:
    callbacks = {row.token: row.job_id for row in evidence.rows.values() if row.token.endswith(PART + OVER)}
    tokens = {batch.batch_id: batch.token for batch in evidence.batches}
    for row in evidence.rows.values():
        callback = callbacks.get(f"{tokens.get(row.batch_id)}{PART}{OVER}")
        if callback and row.status == "COMPLETED" and began_at(evidence, callback) < ended_at(evidence, row.job_id):
            yield Finding(callback, f"it was called back before {row.job_id} of its batch had ended")


def began_at(evidence: Evidence, job_id: str) -> float:
    """Say when a job began first; never, if it did not."""
    return min((run.start for run in evidence.runs.get(job_id, ())), default=inf)


def ended_at(evidence: Evidence, job_id: str, ok: bool = True) -> float:
    """Say when a run of a job first ended well, or badly; never, if none did."""
    runs = evidence.runs.get(job_id, ())
    return min((run.end for run in runs if run.end is not None and run.ok is ok), default=inf)
