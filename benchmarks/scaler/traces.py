"""Arrivals of real traces: jobs of Google's cluster with how long they ran, requests of web sites with made-up lengths.

Everything below the directory whose columns fit is taken, whatever its name.
"""

from __future__ import annotations

import bz2
import gzip
import itertools
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet

from benchmarks.scaler.known import Lengths, Rhythm, coming, foretold, leaving, rhythm
from jobplatform.learning.scores import Floats
from jobplatform.learning.trail import Trail
from jobplatform.workers.simulation import Arrival

_COLUMNS = {"submit", "sched", "end", "lname"}
_DAY = 86_400.0
#: A job of Google's counts as done after so many seconds: a service that ran for days is no job of a queue.
LONGEST = 600.0
#: Requests are thinned out to so many a second on average, and take so many seconds on average.
_A_SECOND, _LENGTH = 0.3, 120.0


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order in which they came, times in seconds since the trace began.

    :param foretold: for how long each was foretold to run; None where nothing is known of that, nor of schedules.
    :param rhythm: when each name was to come again.
    """

    name: str
    came: Floats
    seconds: Floats
    foretold: Lengths | None = None
    rhythm: Rhythm | None = None

    @property
    def days(self) -> float:
        """How long it is."""
        return float(self.came[-1]) / _DAY

    def arrivals(self, since: float, until: float) -> list[Arrival]:
        """Give the jobs of some time."""
        part = slice(*np.searchsorted(self.came, (since, until)))
        told: list[Any] = [itertools.repeat(None)] * 2
        if self.foretold is not None:
            told = [each[part].tolist() for each in self.foretold]
        rows = zip(self.came[part].tolist(), self.seconds[part].tolist(), *told, strict=False)
        return [Arrival(at, seconds, 1, median, most) for at, seconds, median, most in rows]

    def coming(self, edges: Floats, ahead: float) -> Floats:
        """Tell how many jobs were to be expected at some times within some seconds; NaN where nothing is known."""
        return np.full(len(edges), np.nan) if self.rhythm is None else coming(self.rhythm, edges, ahead)

    def trail(self, since: float, until: float, step: float, ahead: float) -> Trail:
        """Give what would have been seen of some time if no job had had to wait.

        :param ahead: seconds until a worker that is asked for is up and the next decision is made.
        """
        part = slice(*np.searchsorted(self.came, (since, until)))
        came, ended = self.came[part], self.came[part] + self.seconds[part]
        edges = np.arange(since, until, step)
        arrived, finished = (np.searchsorted(np.sort(times), edges, "right") for times in (came, ended))
        gone = np.full(len(edges), np.nan)
        if self.foretold is not None:
            gone = leaving(came, ended, Lengths(*(each[part] for each in self.foretold)), edges, ahead)
        series = [np.diff(arrived), np.diff(finished), (arrived - finished)[1:], self.coming(edges, ahead)[1:]]
        return Trail.laid(edges[1:], [*series, gone[1:]], step)


def load(data: Path, seed: int) -> Iterator[Trace]:
    """Load every trace below a directory.

    :param seed: for what is made up.
    """
    tables = [path for path in sorted(data.rglob("*.parquet")) if set(parquet.read_schema(path).names) >= _COLUMNS]
    tables = [path for path in tables if "machine" not in parquet.read_schema(path).names]
    if tables:
        yield google(pd.concat([pd.read_parquet(path, columns=sorted(_COLUMNS)) for path in tables]))
    for pattern, read in _REQUESTS.items():
        for path in sorted(data.rglob(pattern)):
            counts, span = read(path)
            yield _requests(path.name.split(".")[0], counts, span, np.random.default_rng(seed))


def google(table: pd.DataFrame) -> Trace:
    """Take the jobs of which it is known how long they ran."""
    came = table.submit.to_numpy() * 1e-6
    ran = (table.end - table.sched).to_numpy() * 1e-6
    known = (came > 0) & np.isfinite(ran)
    came, ran = came[known], np.minimum(ran[known], LONGEST)
    order = np.argsort(came, kind="stable")
    came, ran, names = came[order], ran[order], table.lname.to_numpy()[known][order]
    return Trace("google2011_jobs", came, ran, foretold(came, ran, names), rhythm(came, names))


def _requests(name: str, counts: Floats, span: float, luck: np.random.Generator) -> Trace:
    """Draw arrivals and lengths: so many of the counted requests, each at a random time of its span."""
    share = min(1.0, _A_SECOND * span / max(1e-9, float(counts.mean())))
    drawn = luck.binomial(counts.astype(np.int64), share)
    began = np.repeat(np.arange(len(counts)) * span, drawn)
    came = np.sort(began + luck.uniform(0.0, span, len(began)))
    return Trace(name, came, luck.exponential(_LENGTH, len(came)))


def _per_second(path: Path) -> tuple[Floats, float]:
    """Read counts from a file, or from the files of an archive."""
    if not tarfile.is_tarfile(path):
        return np.array(bz2.decompress(path.read_bytes()).split(), dtype=np.float64), 1.0
    with tarfile.open(path) as archive:
        files = [each for each in archive if each.isfile()]
        text = b"".join(opened.read() for each in files if (opened := archive.extractfile(each)) is not None)
    return np.array(text.split(), dtype=np.float64), 1.0


def _per_minute(path: Path) -> tuple[Floats, float]:
    with gzip.open(path, "rt") as lines:
        return pd.read_csv(lines)["count"].to_numpy(dtype=np.float64), 60.0


_REQUESTS: dict[str, Callable[[Path], tuple[Floats, float]]] = {
    "*per_second*bz2": _per_second,
    "*per_minute*.csv.gz": _per_minute,
}
