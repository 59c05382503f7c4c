"""Re-runs of GitHub Actions: of the failed jobs of a run, and of a workflow on the same commit.

There are no times, but the ids of runs grow with time. Runs that overlap cannot be told apart exactly: everything is
taken to happen in the order of (id, attempt), and an outcome is known from its own place on.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.traces.trace import Trace, frames
from jobplatform.learning.replay import Retry

_COLUMNS = {"set", "repo", "wf", "branch", "default", "event", "k", "id", "concl"}
_EVENTS = ("pull_request", "push", "schedule")
_OWN: tuple[str, ...] = ("branch", "workflow", "repository")
_FAILED, _SUCCEEDED = "failure", "success"


class _Step(NamedTuple):
    """A run after a failed one of the same work.

    :param work: what is tried again.
    :param before: the earlier runs of it, first to last.
    """

    work: str
    run: Any
    before: list[Any]


def load_jobs(data: Path) -> Trace | None:
    """Load re-runs of failed jobs inside a run; None where there are none."""
    table = frames(data, lambda columns: columns >= _COLUMNS | {"runtime"})
    return None if table is None else _trace("gha_job", table.drop_duplicates(["id", "k"]), "id")


def load_workflows(data: Path) -> Trace | None:
    """Load new runs of a workflow on the same commit; None where there are none."""
    table = frames(data, lambda columns: columns >= _COLUMNS and "runtime" not in columns)
    # Several files may count their sets from 0.
    return None if table is None else _trace("gha_wf", table.drop_duplicates("id"), "set")


def _trace(name: str, table: pd.DataFrame, work: str) -> Trace:
    table = table.sort_values(["id", "k"], kind="stable")
    steps = list(_steps(table, work))
    own = ("commit", *_OWN) if work == "set" else _OWN
    levels = (*own, "file", "event")
    usual: defaultdict[str, Usual] = defaultdict(Usual)
    retries = [_retry(place, step, usual[f"{step.run.repo}|{step.run.wf}"]) for place, step in enumerate(steps)]
    eventually: list[bool] = []
    ends: dict[str, bool] = {}
    for step in reversed(steps):
        ends[step.work] = ends.get(step.work, False) or step.run.concl == _SUCCEEDED
        eventually.append(ends[step.work])
    workflows = [str(retry.groups["workflow"]) for retry in retries]
    owners = [str(step.run.repo) for step in steps]
    return Trace(name, levels, own, retries, workflows, owners, eventually[::-1], [0] * len(steps))


def _steps(table: pd.DataFrame, work: str) -> Iterator[_Step]:
    """Give what followed a failure and ended in one way or the other; a cancelled run says nothing."""
    seen: dict[str, list[Any]] = {}
    for run in table.itertuples(index=False):
        key = f"{run.repo}|{getattr(run, work)}"
        before = seen.setdefault(key, [])
        if before and before[-1].concl == _FAILED and run.concl in (_FAILED, _SUCCEEDED):
            yield _Step(key, run, list(before[-_LOOKED_BACK:]))
        before.append(run)


#: Earlier runs of the same work that are looked at.
_LOOKED_BACK = 50


class Usual:
    """How long failed runs of a workflow took until now: all, and those by what came of the next one."""

    def __init__(self) -> None:
        self._sums: dict[bool | None, tuple[int, float]] = {}

    def features(self, ran: float | None) -> dict[str, float | None]:
        """Give by how much a run took longer, in logarithms of seconds; None where that cannot be told."""
        return {
            "ran.more": self._more(ran, None, 1),
            "ran.more_than_good": self._more(ran, True, 2),
            "ran.more_than_bad": self._more(ran, False, 2),
        }

    def note(self, ran: float | None, succeeded: bool) -> None:
        """Add a run and what came of the next one."""
        if ran is not None:
            for kind in (None, succeeded):
                count, total = self._sums.get(kind, (0, 0.0))
                self._sums[kind] = count + 1, total + ran

    def _more(self, ran: float | None, kind: bool | None, least: int) -> float | None:
        count, total = self._sums.get(kind, (0, 0.0))
        return None if ran is None or count < least else ran - total / count


def _retry(place: int, step: _Step, usual: Usual) -> Retry:
    run = step.run
    workflow = f"{run.repo}|{run.wf}"
    groups = {
        "commit": step.work,
        "branch": f"{workflow}|{run.branch}",
        "workflow": workflow,
        "repository": str(run.repo),
        "file": str(run.wf).rsplit("/", 1)[-1],
        "event": str(run.event),
    }
    extra, succeeded = _extra(step), run.concl == _SUCCEEDED
    more = usual.features(extra["ran"])
    usual.note(extra["ran"], succeeded)
    return Retry(groups, int(run.k), place, place, succeeded, {**extra, **more}, timed=False)


def _extra(step: _Step) -> dict[str, float | None]:
    run, before = step.run, step.before
    return {
        "default": float(run.default),
        "ran": _log(getattr(before[-1], "runtime", None)),
        "ran_first": _log(getattr(before[0], "runtime", None)),
        "run.failures": float(sum(each.concl == _FAILED for each in before)),
        **{f"on_{event}": float(run.event == event) for event in _EVENTS},
    }


def _log(seconds: float | None) -> float | None:
    return None if seconds is None or math.isnan(seconds) else math.log1p(max(0.0, seconds))
