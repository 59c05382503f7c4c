"""What must be there once: a job for each time of a schedule and for each submission, and the counts of batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from math import ceil

from chaos.evidence import PART, BatchRow, Evidence, JobRow, Schedule
from chaos.finding import Finding
from chaos.order import OVER

#: Kinds of which many jobs carry one token.
FIRES = ("fire", "queue")
#: How long a schedule may take to be noticed, in seconds.
_NOTICED_SECONDS = 30.0


def find_missed(evidence: Evidence) -> Iterator[Finding]:
    """Find times of schedules that no job stands for, or two do."""
    fires: dict[str, Counter[float]] = defaultdict(Counter)
    for row in evidence.rows.values():
        if row.fire_at is not None:
            fires[row.token][row.fire_at] += 1
    for schedule in evidence.schedules:
        yield from _missed(schedule, fires[schedule.token])


def _missed(schedule: Schedule, fires: Counter[float]) -> Iterator[Finding]:
    if not fires or min(fires) > schedule.since + schedule.seconds + _NOTICED_SECONDS:
        yield Finding(schedule.token, f"it never fired in {_NOTICED_SECONDS:g} s after it was there")
        return
    first, last = ceil(min(fires) / schedule.seconds), int(schedule.until // schedule.seconds)
    for number in range(first, last + 1):
        if (found := fires[number * schedule.seconds]) != 1:
            yield Finding(schedule.token, f"{found} jobs stand for its time {number * schedule.seconds:.0f}")
    if strange := [at for at in fires if at % schedule.seconds]:
        yield Finding(schedule.token, f"it fired at {strange[0]:.3f}, which is none of its times")


def find_doubled(evidence: Evidence) -> Iterator[Finding]:
    """Find submissions of one job that became two."""
    jobs: dict[str, list[JobRow]] = defaultdict(list)
    for row in evidence.rows.values():
        intent = evidence.intent_of(row)
        if intent is not None and intent.kind not in FIRES:
            jobs[row.token].append(row)
    for token, rows in jobs.items():
        for row in rows[1:]:
            yield Finding(row.job_id, f"its token {token} is that of {rows[0].job_id} too")


def find_miscounted(evidence: Evidence) -> Iterator[Finding]:
    """Find batches whose counts are not those of their jobs, or that were closed and are not over."""
    jobs: dict[str, Counter[str]] = defaultdict(Counter)
    for row in evidence.rows.values():
        jobs[row.batch_id][row.status] += 1
    there = {batch.batch_id: batch for batch in evidence.batches}
    for batch_id in evidence.closed - there.keys():
        yield Finding(batch_id, "this batch was closed, and has no row")
    for batch in there.values():
        found = jobs[batch.batch_id]
        counted = (batch.total, batch.completed, batch.failed, batch.cancelled)
        if counted != (found.total(), found["COMPLETED"], found["FAILED"], found["CANCELLED"]):
            yield Finding(batch.batch_id, f"it counts {counted}, and its jobs are {dict(found)}")
        if batch.batch_id in evidence.closed:
            yield from _not_over(batch, evidence.tokens)


def _not_over(batch: BatchRow, tokens: Collection[str]) -> Iterator[Finding]:
    if not batch.over:
        yield Finding(batch.batch_id, "it was closed, all has ended, and it is not over")
    elif f"{batch.token}{PART}{OVER}" not in tokens:
        yield Finding(batch.batch_id, "it is over, and has called nobody back")
