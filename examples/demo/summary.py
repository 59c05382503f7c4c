"""What came out of a run, checked against what had to come out; pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jobplatform.states import FINAL, State
from jobplatform.tally import Progress

Row = Mapping[str, Any]

_PARSE = "demo.parse"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every job that was submitted: its id and the starts that it takes."""

    discover: str
    conclude: str
    workflow: Mapping[str, str]
    flaky: Mapping[str, int]
    parse: frozenset[str]

    def starts(self) -> dict[str, int]:
        """Give the number of executions that each job must have, by job id."""
        once = dict.fromkeys({self.discover, self.conclude, *self.workflow.values(), *self.parse}, 1)
        return {**once, **{job_id: failures + 1 for job_id, failures in self.flaky.items()}}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A file that was given up, and why."""

    file: str
    error_type: str
    error_message: str
    reason: str


@dataclass(slots=True)
class Summary:
    """The figures of a run; times in seconds unless the name says otherwise."""

    jobs: int
    attempts: int
    retries: int
    dead_letters: int
    lost: int
    jobs_per_s: float
    lag_p50_ms: float
    lag_p99_ms: float
    batch: str
    workflow: str
    seconds: float
    report: str
    csv: str
    letters: list[DeadLetter] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    processes_left: int = 0

    @property
    def good(self) -> bool:
        """Tell whether nothing was lost and everything came out as it had to."""
        return not (self.lost or self.problems or self.processes_left)

    def as_dict(self) -> dict[str, Any]:
        """Give the values for ``summary.json``."""
        return asdict(self)


def lost(plan: Plan, rows: Sequence[Row]) -> list[str]:
    """List the submitted ids without a row in a final state."""
    final = {row["job_id"] for row in rows if row["status"] in FINAL}
    return sorted(plan.starts().keys() - final)


def problems(plan: Plan, rows: Sequence[Row], letters: Sequence[Row], real_errors: Mapping[str, str]) -> list[str]:
    """List what came out otherwise than it had to.

    :param real_errors: by path, the error that the demo itself met in the files that were given up.
    """
    return [
        *_wrong_starts(plan, rows),
        *_wrong_ends(rows, real_errors),
        *_wrong_letters(rows, letters),
        *_wrong_family(plan, rows),
        *_wrong_order(plan, rows),
    ]


def _wrong_starts(plan: Plan, rows: Sequence[Row]) -> Iterator[str]:
    starts = plan.starts()
    for row in rows:
        job = f"{row['job_type']} {row['job_id']}"
        wanted = starts.get(row["job_id"])
        if wanted is None:
            yield f"{job}: nobody submitted it"
        elif row["executions"] != wanted or row["retry_count"] != wanted - 1:
            yield f"{job}: {row['executions']} executions and {row['retry_count']} retries, not {wanted}"
        if row["open_executions"]:
            yield f"{job}: an execution has no end"


def _wrong_ends(rows: Iterable[Row], real_errors: Mapping[str, str]) -> Iterator[str]:
    for row in rows:
        job = f"{row['job_type']} {row['path'] or row['job_id']}"
        if row["status"] == State.FAILED and row["job_type"] == _PARSE:
            real = real_errors.get(row["path"])
            if real != row["error_type"]:
                yield f"{job}: failed with {row['error_type']}, the file's real error is {real}"
        elif row["status"] != State.COMPLETED:
            yield f"{job}: ended {row['status']} with {row['error_type']}"


def _wrong_letters(rows: Iterable[Row], letters: Sequence[Row]) -> Iterator[str]:
    failed = Counter(row["job_id"] for row in rows if row["status"] == State.FAILED)
    if failed != Counter(letter["job_id"] for letter in letters):
        yield f"{len(letters)} dead letters stand for {failed.total()} failed jobs"
    if len(letters) < 3:
        yield f"{len(letters)} dead letters, at least 3 files are broken"


def _wrong_family(plan: Plan, rows: Iterable[Row]) -> Iterator[str]:
    wanted = (plan.discover, plan.discover)
    strangers = [row for row in rows if row["job_id"] in plan.parse and (row["root_id"], row["parent_id"]) != wanted]
    if strangers:
        yield f"{len(strangers)} jobs do not name the job that submitted them"


def _wrong_order(plan: Plan, rows: Iterable[Row]) -> Iterator[str]:
    """Compare the workflow with the batch before it, and its last job with those that it waited for."""
    known = {row["job_id"]: row for row in rows}
    *written, report = [known.get(job_id) for job_id in plan.workflow.values()]
    started = _begin(report)
    if any(_end(row) > started for row in written):
        yield "the report began before page and table were written"
    if any(_end(known.get(job_id)) > _begin(known.get(plan.conclude)) for job_id in plan.parse):
        yield "the batch called back before all of its jobs had ended"


def _begin(row: Row | None) -> float:
    return row["started_at"].timestamp() if row and row["started_at"] else math.inf


def _end(row: Row | None) -> float:
    return row["completed_at"].timestamp() if row and row["completed_at"] else math.inf


def wrong_batch(progress: Progress, rows: Iterable[Row], jobs: int) -> list[str]:
    """List what a batch counts otherwise than its rows show.

    :param jobs: so many were added.
    """
    states = Counter(row["status"] for row in rows if row["batch_id"] == progress.batch_id)
    counted = (progress.total, progress.completed, progress.failed, progress.cancelled)
    shown = (states.total(), *(states[state] for state in (State.COMPLETED, State.FAILED, State.CANCELLED)))
    wrong = [] if counted == shown else [f"the batch counts {counted}, its rows {shown}"]
    return wrong if progress.total == jobs else [*wrong, f"{jobs} jobs were added to a batch of {progress.total}"]


def tell_batch(counts: Progress) -> str:
    """Say in a line what a batch has counted."""
    outcome = f"{counts.completed:,} completed, {counts.failed:,} failed, {counts.cancelled:,} cancelled"
    return f"{counts.total:,} jobs {counts.state}: {outcome}; then it called demo.conclude, once"


def tell_workflow(plan: Plan) -> str:
    """Say in a line what the workflow did."""
    *written, report = plan.workflow
    return f"{len(plan.workflow)} jobs: {' and '.join(written)} side by side, then {report} with what they returned"


def jobs_per_s(rows: Iterable[Row]) -> float:
    """Give the files read a second, from the first start to the last end."""
    times = [(row["started_at"], row["completed_at"]) for row in rows if row["job_type"] == _PARSE]
    known = [(start, end) for start, end in times if start and end]
    if not known:
        return 0.0
    seconds = (max(end for _, end in known) - min(start for start, _ in known)).total_seconds()
    return round(len(known) / seconds, 1) if seconds else 0.0


def lines(summary: Summary) -> list[str]:
    """Write the summary for a person."""
    figures = {
        "jobs": f"{summary.jobs:,}",
        "attempts": f"{summary.attempts:,}",
        "retries": f"{summary.retries:,}",
        "dead letters": f"{summary.dead_letters:,}",
        "lost": f"{summary.lost:,} (every submitted id was looked up in the rows)",
        "speed": f"{summary.jobs_per_s:,} jobs/s",
        "batch": summary.batch,
        "workflow": summary.workflow,
        "lag of the rows": f"{summary.lag_p50_ms:.0f} ms median, {summary.lag_p99_ms:.0f} ms p99",
        "time": f"{summary.seconds:.1f} s",
        "report": summary.report,
        "files": summary.csv,
    }
    width = max(map(len, figures))
    return [
        "dead letters, each with its reason:",
        *(f"  {letter.file}: {letter.error_message} [{letter.reason}]" for letter in summary.letters),
        "",
        *(f"{name:<{width}}  {value}" for name, value in figures.items()),
        *(f"WRONG: {problem}" for problem in summary.problems),
        *([f"WRONG: {summary.processes_left} processes are left"] if summary.processes_left else []),
    ]
