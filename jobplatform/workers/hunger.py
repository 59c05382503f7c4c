"""Job types that take much memory, found in what is known of attempts that ended; pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobplatform.workers.symptom import MIB

#: A job raised the peak of its process if it did by so much.
_RAISED = 32 * MIB
#: A type is hungry that needs so much, and so many times what most attempts need.
_MUCH = 192 * MIB
_TIMES = 2.0
#: How the queue of hungry jobs is called, after that of all.
_LARGE = ".large"
#: A single large job makes no hungry type.
_FEWEST = 3

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hungry:
    """A job type that takes much memory, in bytes.

    :param queue: that its jobs were last in.
    :param needs: the peak that nine tenths of the attempts stayed below that raised one.
    :param usual: what most attempts of all types need.
    :param raised: attempts that raised the peak of their process.
    :param deaths: processes that died under it.
    :param lane: the queue that it should have of its own.
    """

    job_type: str
    queue: str
    needs: float
    usual: float
    raised: int
    deaths: int
    lane: str

    def words(self) -> str:
        """Say what to do."""
        deaths = f", and {self.deaths} processes died under it" if self.deaths else ""
        return (
            f"{self.job_type} takes {self.needs / MIB:.0f} MiB where most take {self.usual / MIB:.0f}{deaths}; declare "
            f"large_queue={self.lane!r}, and let other workers take that one alone"
        )


def hungry_types(rows: Iterable[Row]) -> list[Hungry]:
    """Find hungry job types, the hungriest first.

    A process never gives its peak back, so what runs after a hungry job seems hungry as well; only attempts count that
    raised the peak of their process.

    :param rows: ``job_type``, ``queue``, ``worker_id``, ``pid``, ``peak`` (bytes) and ``died``, process by process, in
        the order in which they ran.
    """
    rows = list(rows)
    if not rows:
        return []
    least = min(row["peak"] for row in rows)
    usual = statistics.quantiles([row["peak"] for row in rows], n=4)[0] if len(rows) > 1 else least
    raised: defaultdict[str, list[float]] = defaultdict(list)
    deaths: defaultdict[str, int] = defaultdict(int)
    queues: dict[str, str] = {}
    tops: dict[tuple[Any, Any], float] = {}
    for row in rows:
        process = (row["worker_id"], row["pid"])
        queues[row["job_type"]] = row["queue"]
        if row["died"] or row["peak"] - tops.get(process, least) >= _RAISED:
            raised[row["job_type"]].append(row["peak"])
            deaths[row["job_type"]] += bool(row["died"])
        tops[process] = max(row["peak"], tops.get(process, least))
    found = [_hungry(kind, queues[kind], peaks, usual, deaths[kind]) for kind, peaks in raised.items()]
    return sorted(filter(None, found), key=lambda each: -each.needs)


def _hungry(kind: str, queue: str, peaks: list[float], usual: float, deaths: int) -> Hungry | None:
    needs = sorted(peaks)[max(0, -(-9 * len(peaks) // 10) - 1)]
    if len(peaks) < _FEWEST or needs < max(_MUCH, _TIMES * usual):
        return None
    return Hungry(
        kind, queue, needs, usual, len(peaks), deaths, queue if queue.endswith(_LARGE) else f"{queue}{_LARGE}"
    )
