"""The judge: what was promised, what ran and what the rows say, compared. It imports nothing of the platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chaos.counts import find_doubled, find_miscounted, find_missed
from chaos.crowd import find_not_alone, find_over_limit
from chaos.evidence import FINAL, PART, Evidence, JobRow, Promise
from chaos.finding import Finding
from chaos.order import began_at, find_out_of_order
from chaos.recovery import Recovery, recoveries
from chaos.reruns import Rerun, interrupted, overlaps, reruns

#: Clocks of one machine agree, but a scheduled time travels as text.
_EARLY_SECONDS = 0.05
#: A job whose process died so often is given up for good reason.
_DEADLY = 3
_TRANSACTIONAL = "transactional"
#: How long a submission may be in the journal before it is known that another job stands for it, in seconds.
_KEPT_SECONDS = 15.0


#: What must be empty in every verdict.
WRONGS = (
    "lost", "wrong_final", "settled_twice", "started_while_leased", "started_early", "torn", "strangers", "missed",
    "doubled", "not_alone", "over_limit", "out_of_order", "miscounted",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found.

    :param jobs: submissions that returned.
    :param lost: promised jobs without a final row, or completed ones that nobody ran.
    :param wrong_final: jobs that ended in another state than they must.
    :param settled_twice: jobs with two completed executions, with a result that no run gave, or changed when final.
    :param started_while_leased: jobs that began while a worker ran them to which nothing had happened.
    :param started_early: scheduled jobs that began before their time.
    :param torn: transactions of which only the job or only the client's own row is there.
    :param strangers: rows that no client meant to submit.
    :param missed: times of schedules that not exactly one job stands for.
    :param doubled: submissions of one job that became two.
    :param not_alone: jobs that began beside another of their unique key or schedule.
    :param over_limit: jobs that began though as many of their limit ran as may.
    :param out_of_order: jobs that began before what they wait for.
    :param miscounted: batches that are not what their jobs are.
    :param poisoned: jobs that were given up after three deaths, as they should be.
    :param cut_off: jobs that were cancelled as one before them was poisoned.
    :param reruns: runs beyond what was needed.
    """

    jobs: int
    lost: list[Finding] = field(default_factory=list)
    wrong_final: list[Finding] = field(default_factory=list)
    settled_twice: list[Finding] = field(default_factory=list)
    started_while_leased: list[Finding] = field(default_factory=list)
    started_early: list[Finding] = field(default_factory=list)
    torn: list[Finding] = field(default_factory=list)
    strangers: list[Finding] = field(default_factory=list)
    missed: list[Finding] = field(default_factory=list)
    doubled: list[Finding] = field(default_factory=list)
    not_alone: list[Finding] = field(default_factory=list)
    over_limit: list[Finding] = field(default_factory=list)
    out_of_order: list[Finding] = field(default_factory=list)
    miscounted: list[Finding] = field(default_factory=list)
    poisoned: list[Finding] = field(default_factory=list)
    cut_off: list[Finding] = field(default_factory=list)
    reruns: list[Rerun] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)

    def wrongs(self) -> dict[str, list[Finding]]:
        """Give what must be empty, by name."""
        return {name: getattr(self, name) for name in WRONGS}


def judge(evidence: Evidence) -> Verdict:
    """Judge a run."""
    verdict = Verdict(len(evidence.promises))
    for promise in evidence.promises.values():
        _judge_promise(evidence, promise, verdict)
    for row in evidence.rows.values():
        if row.job_id not in evidence.promises:
            _judge_unpromised(evidence, row, verdict)
    for find, found in _SEARCHES.items():
        getattr(verdict, found).extend(find(evidence))
    for runs in evidence.runs.values():
        verdict.reruns.extend(reruns(evidence, runs))
        verdict.started_while_leased.extend(
            Finding(late.job_id, f"run {late.run} began while {early.run} went on, and its worker was well")
            for early, late in overlaps(evidence, runs)
        )
    verdict.recoveries.extend(recoveries(evidence))
    return verdict


def _judge_promise(evidence: Evidence, promise: Promise, verdict: Verdict) -> None:
    row = evidence.rows.get(promise.job_id)
    if row is None:
        if not _is_cut_off(evidence, promise) and not _is_stood_for(evidence, promise):
            verdict.lost.append(Finding(promise.job_id, f"{promise.kind}: it was promised and has no row"))
    elif row.status == "CANCELLED" and _is_cut_off(evidence, promise):
        verdict.cut_off.append(Finding(row.job_id, f"{promise.kind}: {row.reason}"))
    else:
        _judge_row(evidence, row, promise.kind, promise.final, verdict)


def _is_cut_off(evidence: Evidence, promise: Promise) -> bool:
    """Tell whether a link of a chain, or a node of a graph, cannot run since one before was rightly given up."""
    for job_id in filter(None, (promise.after, *promise.upstream)):
        before = evidence.rows.get(job_id)
        if before is not None and before.status == "FAILED" and _is_poisoned(evidence, before):
            return True
        if job_id in promise.upstream and _is_cut_off(evidence, evidence.promises[job_id]):
            return True
    return False


def _is_stood_for(evidence: Evidence, promise: Promise) -> bool:
    """Tell whether another job stands for a submission, though its client could not be told so."""
    intent = evidence.intents[promise.token.rpartition(PART)[0]]
    if promise.kind == "keyed":
        return promise.token in evidence.tokens
    return promise.kind == "unique" and any(
        row.created_at <= promise.at + _KEPT_SECONDS and (row.completed_at or 0.0) >= promise.at - _KEPT_SECONDS
        for row in evidence.groups.get(intent.group, ())
    )


def _judge_unpromised(evidence: Evidence, row: JobRow, verdict: Verdict) -> None:
    """Judge a row whose client never heard, or died before it could note, that its submission returned."""
    intent = evidence.intent_of(row)
    if intent is None:
        verdict.strangers.append(Finding(row.job_id, f"nobody meant to submit token {row.token!r}"))
    else:
        final = intent.final_of(row.token.rpartition(PART)[2])
        _judge_row(evidence, row, f"{intent.kind} (never confirmed)", final, verdict)


def _judge_row(evidence: Evidence, row: JobRow, kind: str, final: str, verdict: Verdict) -> None:
    runs = evidence.runs.get(row.job_id, ())
    if row.status not in FINAL:
        verdict.lost.append(Finding(row.job_id, f"{kind}: its row still says {row.status} in attempt {row.attempt}"))
    elif row.status == "COMPLETED" and not any(run.ok for run in runs):
        verdict.lost.append(Finding(row.job_id, f"{kind}: completed, but no run of it ever returned"))
    elif row.status != final and _is_poisoned(evidence, row):
        verdict.poisoned.append(Finding(row.job_id, f"{kind}: {row.reason}"))
    elif row.status != final:
        verdict.wrong_final.append(Finding(row.job_id, f"{kind}: {row.status} instead of {final}: {row.reason}"))


def _is_poisoned(evidence: Evidence, row: JobRow) -> bool:
    runs = evidence.runs.get(row.job_id, ())
    deaths = sum(interrupted(evidence, run) for run in runs)
    return row.status == "FAILED" and row.reason.startswith("poisoned") and deaths >= _DEADLY


def _find_settled_twice(evidence: Evidence) -> Iterator[Finding]:
    for job_id in sorted(evidence.completed_twice):
        yield Finding(job_id, "more than one execution counts as completed")
    for row in evidence.rows.values():
        returned = {run.run for run in evidence.runs.get(row.job_id, ()) if run.ok}
        if row.status == "COMPLETED" and returned and row.run not in returned:
            yield Finding(row.job_id, f"its result is of run {row.run!r}, which never returned")
    for job_id, sample in evidence.samples.items():
        final = evidence.rows.get(job_id)
        said = (final.status, final.run) if final else ("no row", "")
        if said != (sample.status, sample.run):
            yield Finding(
                job_id, f"it was final as {sample.status} of run {sample.run!r}, then {said[0]} of {said[1]!r}"
            )


def _find_early(evidence: Evidence) -> Iterator[Finding]:
    for promise in evidence.promises.values():
        first = next(iter(evidence.runs.get(promise.job_id, ())), None)
        if first and first.start < promise.not_before - _EARLY_SECONDS:
            yield Finding(promise.job_id, f"it began {promise.not_before - first.start:.2f} s before its time")
    for row in evidence.rows.values():
        if row.fire_at is not None and began_at(evidence, row.job_id) < row.fire_at - _EARLY_SECONDS:
            yield Finding(row.job_id, "it began before the time of its schedule")


def _find_torn(evidence: Evidence) -> Iterator[Finding]:
    jobs = {row.token: row.job_id for row in evidence.rows.values()}
    kinds = {intent.token: intent.kind for intent in evidence.intents.values()}
    written = {token for token in jobs if kinds.get(token.rpartition(PART)[0]) == _TRANSACTIONAL}
    for token in sorted(evidence.orders - written):
        yield Finding(token, "the client's own row is there and the job is not")
    for token in sorted(written - evidence.orders):
        yield Finding(jobs[token], "the job is there and the client's own row is not")


_SEARCHES: dict[Callable[[Evidence], Iterator[Finding]], str] = {
    _find_settled_twice: "settled_twice",
    _find_early: "started_early",
    _find_torn: "torn",
    find_missed: "missed",
    find_doubled: "doubled",
    find_not_alone: "not_alone",
    find_over_limit: "over_limit",
    find_out_of_order: "out_of_order",
    find_miscounted: "miscounted",
}
