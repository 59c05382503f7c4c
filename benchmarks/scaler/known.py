"""What a team would have told the platform, or the platform have learned, by the times of a trace.

Google's trace names neither schedules nor expected lengths. Both are taken from what each job's logical name has done
before: it comes again after one of its last gaps, and runs as long as one of its last runs that had ended by then.
"""

from __future__ import annotations

import bisect
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from jobplatform.learning.load import LEAST_SPREAD, MOST_MEDIANS
from jobplatform.learning.scores import Floats

#: So many of the last gaps, and of the last runs, of a name count.
_GAPS, _RUNS = 10, 10
_MOST = 0.9
#: What a name did before says nothing of its next job with the weight of so many jobs.
_DOUBT = 0.5
#: A name that is new is taken to run for as long as all did lately.
_LATELY = 2_000
_FIRST = (120.0, 600.0)
_NEVER = float("inf")
#: Rows that are laid out at once, as that takes memory.
_AT_ONCE = 50_000


class Lengths(NamedTuple):
    """For how many seconds each job was foretold to run when it came: at the median, and at the 9th decile."""

    median: Floats
    most: Floats


class Rhythm(NamedTuple):
    """When each name was to come again, as it was known from one of its jobs until its next.

    :param came: when that job came, and ``following`` when the next did.
    :param gaps: between those before it, the shortest first; zero where there were fewer.
    """

    came: Floats
    following: Floats
    gaps: Floats


def foretold(came: Floats, seconds: Floats, names: Any) -> Lengths:
    """Tell for how long each job was foretold to run when it came."""
    ended: dict[Any, list[tuple[float, float]]] = {}
    everything: deque[float] = deque(maxlen=_LATELY)
    pending = sorted(zip((came + seconds).tolist(), seconds.tolist(), strict=True))
    found, place, usual = np.zeros((len(came), 2)), 0, _FIRST
    for number, (at, ran, name) in enumerate(zip(came.tolist(), seconds.tolist(), names.tolist(), strict=True)):
        while place < len(pending) and pending[place][0] <= at:
            everything.append(pending[place][1])
            place += 1
        if number % 500 == 0 and everything:
            usual = _quantiles(sorted(everything))
        runs = ended.setdefault(name, [])
        until = bisect.bisect_right(runs, (at, _NEVER))
        known = sorted(each for _, each in runs[max(0, until - _RUNS) : until])
        found[number] = _quantiles(known) if known else usual
        bisect.insort(runs, (at + ran, ran))
    return Lengths(found[:, 0], found[:, 1])


def _quantiles(known: list[float]) -> tuple[float, float]:
    """Give the median and the 9th decile of what is sorted."""
    place = _MOST * (len(known) - 1)
    below = int(place)
    above = known[min(below + 1, len(known) - 1)]
    return known[len(known) // 2], known[below] + (place - below) * (above - known[below])


def rhythm(came: Floats, names: Any) -> Rhythm:
    """Tell after which gaps each name came before."""
    order = np.lexsort((came, names))
    at, who = came[order], names[order]
    again = np.append(False, who[1:] == who[:-1])
    gaps = np.where(again, np.diff(at, prepend=at[0]), 0.0)
    following = np.where(np.append(again[1:], False), np.append(at[1:], _NEVER), _NEVER)
    table, owner = (_shifted(series, fill) for series, fill in ((gaps, 0.0), (who, -1)))
    return Rhythm(at, following, np.sort(np.where(owner == who[:, None], table, 0.0), axis=1))


def coming(known: Rhythm, edges: Floats, ahead: float) -> Floats:
    """Tell at some times how many names are to be expected within some seconds.

    That is, for each name, how many of its last gaps would end by then, of those that are not over yet.
    """
    near = (known.came <= edges[-1]) & (known.following > edges[0]) & (known.gaps[:, -1] > 0.0)
    change = np.zeros(len(edges) + 1)
    for begin in range(0, int(near.sum()), _AT_ONCE):
        part = [series[near][begin : begin + _AT_ONCE] for series in known]
        since, until, chances = _spans(Rhythm(*part), ahead)
        np.add.at(change, np.searchsorted(edges, since), chances)
        np.add.at(change, np.searchsorted(edges, until), -chances)
    return np.asarray(np.cumsum(change)[:-1])


def _spans(known: Rhythm, ahead: float) -> tuple[Floats, Floats, Floats]:
    """Cut the time after each job where the chance of its name changes: from when, until when, which chance."""
    ends = np.maximum(0.0, np.concatenate([known.gaps - ahead, known.gaps], axis=1))
    passed = np.sort(np.concatenate([np.zeros((len(ends), 1)), ends], axis=1), axis=1)
    due, left = np.zeros_like(passed), np.zeros_like(passed)
    for place in range(known.gaps.shape[1]):
        gap = known.gaps[:, place : place + 1]
        left += gap > passed
        due += (gap > passed) & (gap <= passed + ahead)
    since = known.came[:, None] + passed
    until = np.concatenate([since[:, 1:], np.full((len(since), 1), _NEVER)], axis=1)
    until = np.minimum(until, known.following[:, None])
    real = (until > since) & (due > 0)
    return since[real], until[real], (due / (left + _DOUBT))[real]


def leaving(came: Floats, ended: Floats, told: Lengths, edges: Floats, ahead: float) -> Floats:
    """Tell at some times how many of the running jobs are foretold to end within some seconds."""
    first, last = np.searchsorted(edges, came), np.searchsorted(edges, ended)
    seen = last - first
    job = np.repeat(np.arange(len(came)), seen)
    edge = np.arange(len(job)) - np.repeat(np.cumsum(seen) - seen - first, seen)
    chances = _chances(edges[edge] - came[job], ahead, told.median[job], told.most[job])
    return np.asarray(np.bincount(edge, chances, len(edges)), dtype=np.float64)


def _chances(ran: Floats, ahead: float, median: Floats, most: Floats) -> Floats:
    """Give what ``chance_of_end`` does, for many."""
    median = np.maximum(1.0, median)
    shape = np.log(9.0) / np.log(np.maximum(LEAST_SPREAD, most / median))
    now, then = (np.minimum(seconds / median, MOST_MEDIANS) ** shape for seconds in (ran, ran + ahead))
    return np.asarray(1.0 - (1.0 + now) / (1.0 + then))


def _shifted(series: Any, fill: float) -> Any:
    """Lay out what each had and what those before it had, a column each."""
    return np.column_stack([np.concatenate([np.full(back, fill), series])[: len(series)] for back in range(_GAPS)])
