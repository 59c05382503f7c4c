"""Runs of one job beside or after each other, and the faults that explain them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from chaos.evidence import Evidence, Run, Strike

#: What a worker has done is known elsewhere after a commit, which may take so long, in seconds.
_COMMIT_SECONDS = 1.0
#: How long before a run a fault may have struck its message or its lease, in seconds.
_BEFORE_SECONDS = 5.0
#: A fault is noted once it was done, by when something may have come of it already, in seconds.
_NOTED_SECONDS = 0.2
_KILLS_OF_WORKERS = ("kill_worker", "kill_tree")
_SILENCES = ("stop_worker", "stop_tree", "cut", "stall")
_FORGETTING = ("flushall", "kill_redis", "client_kill")
_ELSEWHERE = ("kill_postgres", "kill_controller", "stop_controller", "cut", "stall", "kill_client")


@dataclass(frozen=True, slots=True)
class Rerun:
    """A run that would not have been needed.

    :param cause: the kind of the fault that explains it, or ``unexplained``.
    :param after_end: whether the run before returned in the end, so that work was done twice.
    :param beside: whether the run before still went on.
    """

    job_id: str
    run: str
    before: str
    cause: str
    after_end: bool
    beside: bool


def reruns(evidence: Evidence, runs: Sequence[Run]) -> Iterator[Rerun]:
    """Find the runs beyond what was needed: not the first of the job, and no retry of one that failed."""
    for before, run in itertools.pairwise(runs):
        failed = before.end is not None and not before.ok and before.end <= run.start
        if failed and run.attempt > before.attempt:
            continue
        cause = _cause(evidence, before, run)
        beside = last_moment(evidence, before) > run.start
        yield Rerun(run.job_id, run.run, before.run, cause.kind if cause else "unexplained", before.ok, beside)


def overlaps(evidence: Evidence, runs: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """Find pairs of runs that went on side by side though nothing had befallen the worker of the first."""
    for early, late in itertools.combinations(runs, 2):
        if late.start < last_moment(evidence, early) and not is_excused(evidence, early, late):
            yield early, late


def interrupted(evidence: Evidence, run: Run) -> bool:
    """Tell whether a run was cut short, or its worker was taken for dead while it went on."""
    return run.end is None or any(True for _ in _own(evidence, run, run.end + _COMMIT_SECONDS, _SILENCES))


def last_moment(evidence: Evidence, run: Run) -> float:
    """Say until when a run may have gone on."""
    if run.end is not None:
        return run.end
    deaths = [strike.at for strike in evidence.strikes if strike.pid == run.pid and strike.at >= run.start]
    life = evidence.life_of(run)
    killed = _KILLS_OF_WORKERS[1:]
    trees = [s.at for s in evidence.strikes if life and s.kind in killed and s.pid == life.pid and s.at >= run.start]
    return min([*deaths, *trees, life.until if life else inf])


def is_excused(evidence: Evidence, early: Run, late: Run) -> bool:
    """Tell whether something had befallen the worker of a run, or Redis, when another one began."""
    own = (*_KILLS_OF_WORKERS, *_SILENCES)
    until = late.start + _NOTED_SECONDS
    if any(True for _ in _own(evidence, early, until, own)):
        return True
    forgot = ("flushall", "kill_redis")
    return any(s.kind in forgot and early.start - _COMMIT_SECONDS <= s.at <= until for s in evidence.strikes)


def _own(evidence: Evidence, run: Run, until: float, kinds: tuple[str, ...]) -> Iterator[Strike]:
    """Find the faults of some kinds that befell the worker of a run between its start and a time."""
    life = evidence.life_of(run)
    for strike in evidence.strikes:
        hit = strike.pid == run.pid or (life is not None and _hits(strike, life.name, life.pid))
        if hit and strike.kind in kinds and strike.at <= until and strike.until >= run.start:
            yield strike


def _hits(strike: Strike, name: str, pid: int) -> bool:
    return strike.pid == pid if strike.pid else strike.name.partition(".")[0] == name


def _cause(evidence: Evidence, before: Run, run: Run) -> Strike | None:
    """Find the fault that explains a run after another: what befell the first itself, then what befell all."""
    ended = inf if before.end is None else before.end + _COMMIT_SECONDS
    children = [
        s for s in evidence.strikes if s.kind == "kill_child" and s.pid == before.pid and before.start <= s.at <= ended
    ]
    deaths = [
        s
        for s in _own(evidence, before, min(run.start + _NOTED_SECONDS, ended), _KILLS_OF_WORKERS)
        if s.at >= before.start
    ]
    silences = list(_own(evidence, before, run.start + _NOTED_SECONDS, _SILENCES))
    for found in (children, deaths, silences, _around(evidence, before, run, _FORGETTING)):
        if found:
            return max(found, key=lambda strike: strike.at)
    return max(_around(evidence, before, run, _ELSEWHERE), key=lambda strike: strike.at, default=None)


def _around(evidence: Evidence, before: Run, run: Run, kinds: tuple[str, ...]) -> list[Strike]:
    since = before.start - _BEFORE_SECONDS
    return [s for s in evidence.strikes if s.kind in kinds and s.at <= run.start + _NOTED_SECONDS and s.until >= since]
