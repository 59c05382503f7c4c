"""Traces of runs: Google's cluster of 2011, and logs in the Standard Workload Format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet

from jobplatform.learning.duration_past import Ints, Runs, numbered
from jobplatform.learning.scores import Floats

_GOOGLE = {"job", "user", "sclass", "name", "lname", "submit", "sched", "end", "out"}
_FINISHED = 4
#: By how much more runs shall be foretold within a fifth than by the rule, and which share of the surest half.
_GOOGLE_GOAL, LOG_GOAL = (0.02, 0.70), (0.03, 0.60)
_MICRO = 1e-6
#: The fields of a log (D. Feitelson, "The Standard Workload Format"); -1 is not known.
_FIELDS = (
    *("job", "submit", "wait", "run", "allocated", "cpu", "memory_used", "processors", "time", "memory"),
    *("status", "user", "group", "executable", "queue", "partition", "before", "think"),
)
_HOUR, _DAY = 3600.0, 86_400.0
_FEWEST_DISTINCT = 2


@dataclass(frozen=True, slots=True)
class Trace:
    """Runs in the order in which they were submitted.

    :param goal: by how much more of them shall be foretold than by the rule, and of the surest half how many.
    """

    name: str
    runs: Runs
    goal: tuple[float, float]


def traces(data: Path) -> Iterator[Trace]:
    """Load every trace below a directory, each when it is wanted."""
    files = [path for path in sorted(data.rglob("*.parquet")) if set(parquet.read_schema(path).names) >= _GOOGLE]
    if files:
        table = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
        yield Trace("google jobs", google_runs(table.drop_duplicates("job")), _GOOGLE_GOAL)
    for path in sorted([*data.rglob("*.swf"), *data.rglob("*.swf.gz")]):
        yield Trace(path.name.split(".swf")[0], swf_runs(read_swf(path)), LOG_GOAL)


def google_runs(table: pd.DataFrame) -> Runs:
    """Give the jobs that finished; how long one took counts from when it was scheduled."""
    table = table[(table.out == _FINISHED) & (table.end > table.sched) & (table.submit > 0)]
    submitted = table.submit.to_numpy(dtype=np.float64) * _MICRO
    ended = table.end.to_numpy(dtype=np.float64) * _MICRO
    seconds = ended - table.sched.to_numpy(dtype=np.float64) * _MICRO
    lname, name, user, sclass = (table[column].to_numpy() for column in ("lname", "name", "user", "sclass"))
    groups = levels([(name, user, sclass), (lname, user, sclass), (lname,), (user, sclass), (user,)])
    traits = np.column_stack([np.full(len(table), np.nan), sclass, _hours(submitted)])
    return _with_pauses(Runs(submitted, ended, seconds, groups, traits).in_order())


def read_swf(path: Path) -> pd.DataFrame:
    """Read a log, whose comments begin with a semicolon; fields at the end of a line may be missing."""
    table = pd.read_csv(path, sep=r"\s+", comment=";", header=None, names=list(_FIELDS), dtype=np.float64)
    return table.fillna(-1.0)


def swf_runs(table: pd.DataFrame) -> Runs:
    """Give the runs of a log that took any time."""
    table = table[(table.run > 0) & (table.submit >= 0)]
    submitted, seconds = table.submit.to_numpy(), table.run.to_numpy()
    ended = submitted + np.maximum(table.wait.to_numpy(), 0.0) + seconds
    processors = np.where(table.processors > 0, table.processors, table.allocated)
    limit = np.where(table.time > 0, table.time, np.nan)
    asked = np.nan_to_num(limit, nan=-1.0)
    user, executable = table.user.to_numpy(), table.executable.to_numpy()
    groups = levels(
        [
            (user, executable, processors, asked),
            (user, processors, asked),
            (user, asked),
            (user, executable),
            (user,),
        ]
    )
    queue = table.queue.to_numpy()
    traits = np.column_stack([limit, np.log(np.maximum(processors, 1.0)), _hours(submitted), queue])
    return _with_pauses(Runs(submitted, ended, seconds, groups, traits).in_order())


def levels(columns: Sequence[tuple[np.ndarray, ...]]) -> Ints:
    """Number the groups of each level, then all as one; a level that parts nothing more than the next is left out."""
    found = [numbered(*level) for level in columns]
    sizes = [int(level.max(initial=0)) + 1 for level in found]
    kept = [
        level
        for place, level in enumerate(found)
        if sizes[place] >= _FEWEST_DISTINCT and sizes[place] not in sizes[place + 1 :]
    ]
    return np.column_stack([*kept, np.zeros(len(columns[0][0]), dtype=np.int64)])


def _hours(submitted: Floats) -> Floats:
    return np.asarray(submitted % _DAY / _HOUR, dtype=np.float64)


def _with_pauses(runs: Runs) -> Runs:
    """Add to what is known of each run how long ago one of its group at each level was submitted last."""
    return Runs(runs.submitted, runs.ended, runs.seconds, runs.groups, np.column_stack([runs.traits, _pauses(runs)]))


def _pauses(runs: Runs) -> Floats:
    found = np.full(runs.groups.shape, np.nan)
    for level in range(runs.groups.shape[1]):
        order = np.lexsort((runs.submitted, runs.groups[:, level]))
        group, at = runs.groups[order, level], runs.submitted[order]
        same = np.append(False, group[1:] == group[:-1])
        found[order, level] = np.where(same, np.log1p(np.maximum(np.append(0.0, np.diff(at)), 0.0)), np.nan)
    return found
