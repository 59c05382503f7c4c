"""Runs of a cluster until it crashes: what was measured of each machine every minute, and which of them were broken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jobplatform.learning.decay import FEWEST, Cube, differences, features
from jobplatform.learning.decay_model import Lesson
from jobplatform.learning.scores import Floats

#: How the files are named: three runs of each fault.
_NAME = re.compile(r"e(\d+)\.csv(\.gz)?$")
_FAULTS = ("memory leak", "packet loss", "CPU hog")
_RUNS_EACH = 3
#: The machines that were broken, in every run of the trace that is known. Only labels rest on it.
VICTIMS = ("redis-3", "redis-14")
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run to a crash, which comes after its last step.

    :param broken: which machines.
    """

    name: str
    fault: str
    machines: tuple[str, ...]
    values: Floats
    broken: tuple[int, ...]
    step: float = MINUTE

    def lesson(self, found: Floats | None = None) -> Lesson:
        """Give the features of the run, with 1 where a machine was broken."""
        found = features(Cube(self.values)) if found is None else found
        fails = np.zeros(found.shape[:2])
        fails[:, list(self.broken)] = 1.0
        fails[:FEWEST] = np.nan
        return Lesson(found, fails, self.step, self.fault)


def load_runs(data: Path, victims: Sequence[str] = VICTIMS) -> list[Run]:
    """Load every run below a directory: columns ``timestamp`` and ``<machine>_<measurement>``."""
    found = []
    for path in sorted(data.rglob("e*.csv*"), key=lambda path: path.name):
        named = _NAME.search(path.name)
        if named is None:
            continue
        table = pd.read_csv(path)
        if "timestamp" in table.columns and any("_" in name for name in table.columns):
            found.append(_run(int(named.group(1)), table, victims))
    return found


def _run(number: int, table: pd.DataFrame, victims: Sequence[str]) -> Run:
    table = table.sort_values("timestamp").drop(columns="timestamp").select_dtypes("number")
    pairs = [name.split("_", 1) for name in table.columns if "_" in name]
    machines = tuple(sorted({machine for machine, _ in pairs}))
    kinds = sorted({kind for _, kind in pairs})
    values = np.full((len(table), len(machines), len(kinds)), np.nan)
    for machine, kind in pairs:
        values[:, machines.index(machine), kinds.index(kind)] = table[f"{machine}_{kind}"].to_numpy(dtype=np.float64)
    values = differences(values)
    # What never moves anywhere tells nothing.
    moving = np.nanstd(values.reshape(-1, len(kinds)), axis=0) > 0
    fault = _FAULTS[(number - 1) // _RUNS_EACH % len(_FAULTS)]
    broken = tuple(place for place, machine in enumerate(machines) if machine in victims)
    return Run(f"e{number}", fault, machines, values[:, :, moving], broken)
