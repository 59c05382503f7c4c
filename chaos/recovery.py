"""How soon the jobs of a killed worker run elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.evidence import FINAL, Evidence, Run, Strike

_KILLS = ("kill_worker", "kill_tree")
_CHILD_KILL = "kill_child"
#: These are not in the way of a rescue.
_HARMLESS = frozenset({"kill_child", "kill_client"})
#: A rescue is undisturbed when nothing else was broken so long before and after the worker's death, in seconds.
_BEFORE, _AFTER = 5.0, 20.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """One job that a worker was running when it was killed.

    :param seconds: until it began again, or was final.
    :param calm: whether nothing else was broken meanwhile.
    """

    job_id: str
    killed_at: float
    seconds: float
    calm: bool


def recoveries(evidence: Evidence) -> Iterator[Recovery]:
    """Find every job that was running on a killed worker and began again, or became final without that, later."""
    lives = {(life.name, life.pid): life for life in evidence.lives}
    running = [(evidence.life_of(run), run) for runs in evidence.runs.values() for run in runs if _is_long(run)]
    for strike in evidence.strikes:
        life = lives.get((strike.name, strike.pid))
        if strike.kind in _KILLS and life is not None:
            for where, run in running:
                if where == life and _runs_at(evidence, run, strike.at):
                    yield from _recovery(evidence, strike, run)


def _runs_at(evidence: Evidence, run: Run, at: float) -> bool:
    """Tell whether a run went on at a time: it had begun, not ended, and its own process had not been killed."""
    if run.start > at or (run.end is not None and run.end <= at):
        return False
    died = (strike.at for strike in evidence.strikes if strike.kind == _CHILD_KILL and strike.pid == run.pid)
    return not any(run.start <= when < at for when in died)


def _is_long(run: Run) -> bool:
    """Pass over the many runs that are too short to be looked at for each kill."""
    return run.end is None or run.end - run.start > 0.001


def _recovery(evidence: Evidence, strike: Strike, run: Run) -> Iterator[Recovery]:
    later = [other.start for other in evidence.runs[run.job_id] if other.start > strike.at]
    row = evidence.rows.get(run.job_id)
    final_at = row.completed_at if row and row.status in FINAL else None
    if final_at is not None and final_at <= strike.at:
        return  # it had been settled: this run was one too many
    if not later and final_at is not None and row and row.run != run.run:
        later = [final_at]
    if later:
        yield Recovery(run.job_id, strike.at, min(later) - strike.at, _is_calm(evidence, strike))


def _is_calm(evidence: Evidence, strike: Strike) -> bool:
    others = (other for other in evidence.strikes if other is not strike and other.kind not in _HARMLESS)
    return not any(other.at <= strike.at + _AFTER and other.until >= strike.at - _BEFORE for other in others)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Give the nearest-rank percentile; None of nothing.

    :param share: from 0 to 1.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
