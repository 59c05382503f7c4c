"""Many journal entries to the few rows that they amount to; no input or output happens here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobplatform.decision import Evidence, FailedAttempt, RetryDecision, RetryFacts
from jobplatform.fingerprint.identity import identify
from jobplatform.journal.entry import Entry, Kind
from jobplatform.records import PLATFORM
from jobplatform.states import FINAL, RANK, State

#: Decides what becomes of failed attempts, one decision each, in their order.
Decide = Callable[[Sequence[FailedAttempt]], Sequence[RetryDecision]]

_STATE = {
    Kind.PARKED: State.PAUSED,
    Kind.STARTED: State.PROCESSING,
    Kind.COMPLETED: State.COMPLETED,
    Kind.FAILED: State.FAILED,
    Kind.CANCELLED: State.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class News:
    """What a batch of entries says: new rows, the furthest entry of each attempt, progress, and refused outcomes."""

    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Entry] = field(default_factory=dict)
    progress: dict[str, Entry] = field(default_factory=dict)
    stale: list[Entry] = field(default_factory=list)

    def failed(self) -> list[Entry]:
        """List the attempts that failed."""
        return [entry for entry in self.attempts.values() if entry.kind is Kind.FAILED]


def collapse(entries: Iterable[Entry]) -> News:
    """Reduce entries, in any order and however often repeated, to what is furthest for each attempt."""
    news = News()
    for entry in entries:
        if entry.row is not None:
            news.rows.setdefault(entry.job_id, entry.row)
        if entry.stale:
            news.stale.append(entry)
        elif entry.kind is Kind.PROGRESS:
            known = news.progress.get(entry.job_id)
            if known is None or (entry.attempt, entry.at) > (known.attempt, known.at):
                news.progress[entry.job_id] = entry
        elif entry.kind is Kind.UNREADABLE:
            if entry.job_id:
                kind = Kind.PARKED if (entry.error or {}).get("parked") else Kind.FAILED
                _keep_furthest(news.attempts, replace(entry, kind=kind, result=None))
        elif entry.kind is not Kind.SUBMITTED:
            _keep_furthest(news.attempts, entry)
    return news


def _keep_furthest(attempts: dict[tuple[str, int], Entry], entry: Entry) -> None:
    key = (entry.job_id, entry.attempt)
    known = attempts.get(key)
    if known is None or RANK[_STATE[entry.kind]] > RANK[_STATE[known.kind]]:
        attempts[key] = entry


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows to write for a batch, ready for the store."""

    jobs: list[dict[str, Any]]
    executions: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    progress: list[dict[str, Any]]
    stale: list[dict[str, Any]]
    failures: list[FailedAttempt]
    logs: list[dict[str, Any]]


def rows_of(news: News, facts: Mapping[str, RetryFacts], decide: Decide) -> Rows:
    """Turn news into rows; what becomes of each failed attempt is decided here.

    :param facts: what is known of the jobs that have a failed attempt; one without facts has no row and is passed over.
    """
    progress = [_progress_row(entry) for entry in news.progress.values()]
    failures = failures_of(news, facts)
    logs = [_log_row(entry, entry.logs) for entry in news.attempts.values() if entry.logs]
    rows = Rows([], [], [], [], progress, [_stale_row(entry) for entry in news.stale], failures, logs)
    pairs = zip(failures, decide(failures), strict=True)
    decisions = {(failed.job_id, failed.attempt): (failed, decision) for failed, decision in pairs}
    furthest: dict[str, dict[str, Any]] = {}
    for (job_id, attempt), entry in sorted(news.attempts.items(), key=lambda item: item[0][1]):
        job = _job_row(entry)
        known = facts.get(job_id) if entry.kind is Kind.FAILED else None
        if known is not None and _is_contradicted(entry, known):
            if not (entry.error or {}).get("interrupted"):
                rows.executions.append(_execution_row(entry))
            continue
        if (job_id, attempt) in decisions:
            _add_decision(rows, job, *decisions[job_id, attempt])
        if _was_started(entry):
            rows.executions.append(_execution_row(entry))
        before = furthest.get(job_id)
        if before is None or (job["attempt"], job["rank"]) > (before["attempt"], before["rank"]):
            furthest[job_id] = job
    rows.jobs.extend(furthest.values())
    return rows


def failures_of(news: News, facts: Mapping[str, RetryFacts]) -> list[FailedAttempt]:
    """List the attempts that are to be decided on, the earlier attempts of a job first."""
    failures: list[FailedAttempt] = []
    known_facts = dict(facts)
    for entry in sorted(news.failed(), key=lambda entry: entry.attempt):
        known, error = known_facts.get(entry.job_id), entry.error or {}
        if known is None or _is_contradicted(entry, facts[entry.job_id]):
            continue
        if known.deadline_at is not None:
            known = replace(known, left=known.deadline_at - entry.at)
        failures.append(_failed_attempt(entry, error, known))
        if error.get("died"):
            known_facts[entry.job_id] = replace(known, deaths=known.deaths + 1)
    return failures


def _failed_attempt(entry: Entry, error: Mapping[str, Any], known: RetryFacts) -> FailedAttempt:
    digest, identity, dependency = identify(error, known.job_type)
    return FailedAttempt(entry.job_id, entry.attempt, entry.at, error, known, digest, dependency, identity)


def _add_decision(rows: Rows, job: dict[str, Any], failed: FailedAttempt, decision: RetryDecision) -> None:
    job["fingerprint"] = failed.fingerprint
    if failed.error.get("died"):
        job["deaths"] = failed.facts.deaths + 1
    _apply_decision(job, decision, failed)
    rows.decisions.append(_decision_row(failed, decision))
    if decision.delay is None:
        rows.dead_letters.append({**job, "reason": decision.reason})


def _is_contradicted(entry: Entry, known: RetryFacts) -> bool:
    """Tell whether the attempt has ended in another way: it was cancelled, or it only counted as lost.

    A Redis that lost its last writes may hold the lease of an attempt that has ended.
    """
    ended = known.attempt == entry.attempt and State(known.status) in FINAL
    return ended and (State(known.status) is State.CANCELLED or bool((entry.error or {}).get("interrupted")))


def _job_row(entry: Entry) -> dict[str, Any]:
    state = _STATE[entry.kind]
    row = {
        "job_id": entry.job_id,
        "status": state,
        "attempt": entry.attempt,
        "rank": RANK[state],
        "worker_id": entry.worker,
        "started_at": entry.started,
        "completed_at": None if state is State.PROCESSING else entry.at,
        # When the attempt did, whatever becomes of the job.
        "ended_at": None if state is State.PROCESSING else entry.at,
        "result": entry.result,
    }
    if entry.kind is Kind.PARKED:
        row.update(completed_at=None, ended_at=None, hold_reason=(entry.error or {}).get("message"), hold_by=PLATFORM)
    elif entry.error:
        row["error_type"] = entry.error.get("type")
        row["error_message"] = entry.error.get("message")
    return row


def _apply_decision(job: dict[str, Any], decision: RetryDecision, failed: FailedAttempt) -> None:
    if decision.delay is None:
        return
    job.update(completed_at=None, due_at=failed.at + decision.delay, gate=decision.gate)
    if decision.free and decision.gate is None:
        job.update(status=State.PENDING, rank=RANK[State.PENDING], attempt=failed.attempt + 1)
    else:
        job.update(status=State.RETRYING, rank=RANK[State.RETRYING])


def _was_started(entry: Entry) -> bool:
    """Tell whether an attempt began; a lost process may have died before it could say so."""
    return entry.started is not None or (entry.kind is Kind.FAILED and not (entry.error or {}).get("unstarted"))


def _execution_row(entry: Entry) -> dict[str, Any]:
    error = entry.error or {}
    metrics: dict[str, Any] = {
        "pid": entry.pid,
        "wait": _between(entry.enqueued, entry.started),
        "run": _between(entry.started, entry.at if entry.kind is not Kind.STARTED else None),
        "death": error.get("death"),
    }
    if entry.usage:
        metrics["cpu"], metrics["peak_rss_kib"] = entry.usage
    return {
        "job_id": entry.job_id,
        "attempt": entry.attempt,
        "worker_id": entry.worker,
        "started_at": entry.started,
        "completed_at": None if entry.kind is Kind.STARTED else entry.at,
        "status": _STATE[entry.kind],
        "error_type": error.get("type"),
        "error_message": error.get("message"),
        "traceback": error.get("traceback"),
        "metrics": {name: value for name, value in metrics.items() if value is not None},
    }


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(max(0.0, end - start), 6)


def _decision_row(failed: FailedAttempt, decision: RetryDecision) -> dict[str, Any]:
    evidence = decision.evidence or Evidence()
    return {
        "job_id": failed.job_id,
        "attempt": failed.attempt,
        "job_type": failed.facts.job_type,
        "delay": decision.delay,
        "reason": decision.reason,
        "decided_by": decision.decided_by,
        "completed_at": failed.at,
        "fingerprint": failed.fingerprint,
        "dependency": failed.dependency,
        "gate": decision.gate,
        "free": decision.free,
        "features": evidence.features,
        "candidates": list(evidence.candidates) or None,
        "propensity": evidence.propensity,
        "chance": evidence.chance,
        "eventual": evidence.eventual,
        "shadow": evidence.shadow,
    }


def _progress_row(entry: Entry) -> dict[str, Any]:
    value = {**(entry.result or {}), "attempt": entry.attempt, "at": entry.at}
    return {"job_id": entry.job_id, "attempt": entry.attempt, "at": entry.at, "progress": value}


def _log_row(entry: Entry, logs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "job_id": entry.job_id,
        "attempt": entry.attempt,
        "at": entry.at,
        "text": str(logs["text"]),
        "cut": int(logs["cut"]),
    }


def _stale_row(entry: Entry) -> dict[str, Any]:
    value = {"kind": entry.kind, "at": entry.at, "worker": entry.worker, "result": entry.result}
    if entry.error:
        value["error"] = entry.error.get("message")
    return {"job_id": entry.job_id, "attempt": entry.attempt, "stale": value}
