"""What is known of jobs that something is wrong with, told in the order in which it happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from chaos.evidence import Evidence, Run
from chaos.finding import Finding
from chaos.stage import Outcome, Stage
from chaos.verdict import Verdict

#: How many jobs of each kind of wrong are told of.
_TOLD = 5
#: Faults that may matter to a job struck so long before its first run, in seconds.
_BEFORE_SECONDS = 30.0


def tell(stage: Stage, outcome: Outcome, verdict: Verdict) -> str:
    """Write what ledger, faults and rows know of the first few jobs of each kind of wrong, and of unexplained runs."""
    lines: list[str] = []
    for name, found in verdict.wrongs().items():
        for finding in found[:_TOLD]:
            lines += _tell_one(stage, outcome.evidence, name, finding)
        if found:
            lines.append(f"{name}, all {len(found)}: {' '.join(each.job_id for each in found[:200])}")
    for rerun in [rerun for rerun in verdict.reruns if rerun.cause == "unexplained"][:_TOLD]:
        why = f"run {rerun.run} after {rerun.before}, for no known reason"
        lines += _tell_one(stage, outcome.evidence, "unexplained", Finding(rerun.job_id, why))
    return "\n".join(lines)


def _tell_one(stage: Stage, evidence: Evidence, name: str, finding: Finding) -> list[str]:
    promise = evidence.promises.get(finding.job_id)
    told = [job_id for job_id in (promise.after if promise else "", finding.job_id) if job_id]
    lines = [f"== {name}: {finding.job_id}: {finding.why}"]
    for job_id in told:
        lines += [f"   {_clock(at)} {text}" for at, text in sorted(_events(evidence, job_id))]
        rows = stage.stores.story(job_id) if job_id in evidence.rows else []
        lines += [f"   row of {job_id} {json.dumps(row)}" for row in rows]
    return lines


def _events(evidence: Evidence, job_id: str) -> Iterator[tuple[float, str]]:
    runs = evidence.runs.get(job_id, ())
    promise = evidence.promises.get(job_id)
    times = [run.start for run in runs] + [run.end or run.start for run in runs]
    if promise is not None:
        times.append(promise.at)
        yield promise.at, f"promised as {promise.kind} with token {promise.token}"
    for run in runs:
        yield from _run_events(evidence, run)
    for strike in evidence.strikes if times else ():
        if min(times) - _BEFORE_SECONDS <= strike.at <= max(times) + _BEFORE_SECONDS:
            yield strike.at, f"fault {strike.kind} {strike.name} {strike.pid or ''}, {strike.until - strike.at:.1f} s"


def _run_events(evidence: Evidence, run: Run) -> Iterator[tuple[float, str]]:
    life = evidence.life_of(run)
    where = f"{life.name} {life.pid}" if life else "nowhere"
    yield run.start, f"run {run.run} attempt {run.attempt} began in process {run.pid} of {where}"
    if run.end is not None:
        yield run.end, f"run {run.run} {'returned' if run.ok else 'failed'}"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
