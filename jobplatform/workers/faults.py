"""Workers on which more attempts fail than the same job types do elsewhere; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from jobplatform.workers.sample import Sample
from jobplatform.workers.symptom import Health, Symptom, View, lasting, since

_SPAN = 300.0
#: So many attempts of a job type must have ended elsewhere for its failures there to say something.
_FEWEST_ELSEWHERE = 10
#: Failures beyond what is expected: how many, which share of all, and how many standard errors.
_MORE, _SHARE, _ERRORS = 5.0, 0.3, 5.0
_SOME_MORE, _SOME_SHARE, _SOME_ERRORS = 3.0, 0.1, 3.5


class Excess(NamedTuple):
    """Attempts, how many failed, how many would have elsewhere, and by how many standard errors that is more."""

    attempts: int
    failed: int
    expected: float
    errors: float


def faults(samples: Sequence[Sample], view: View) -> Symptom | None:
    """See failures beyond what the job types do elsewhere: a dependency that is down is no fault of a worker."""
    recent = since(samples, samples[-1].at - _SPAN)
    bursts = sum(after.failed > before.failed for before, after in pairwise(recent))
    if bursts < 2:
        return None
    mine = _counted(recent)
    elsewhere = _summed(_counted(since(theirs, recent[0].at)) for _, theirs in view.others.values())
    compared = {kind: counts for kind, counts in mine.items() if elsewhere[kind][0] >= _FEWEST_ELSEWHERE}
    span = lasting(recent[-1].at - recent[0].at)
    if not compared:
        return _alone(mine, span, bool(view.others))
    found = excess(compared, elsewhere)
    more, share = found.failed - found.expected, (found.failed - found.expected) / found.attempts
    reason = (
        f"{found.failed} of {found.attempts} attempts failed in {span}, "
        f"where the same job types on other workers let expect {found.expected:.1f}"
    )
    if more >= _MORE and share >= _SHARE and found.errors >= _ERRORS:
        return Symptom("errors", Health.FAILING, 0.9, reason)
    if more >= _SOME_MORE and share >= _SOME_SHARE and found.errors >= _SOME_ERRORS:
        return Symptom("errors", Health.DEGRADED, 0.7, reason)
    return None


def excess(mine: dict[str, tuple[int, int]], elsewhere: Mapping[str, tuple[int, int]]) -> Excess:
    """Compare failures with those of others, type by type; the rates of others are not known exactly either."""
    expected = spread = 0.0
    for kind, (attempts, _) in mine.items():
        others, failed = elsewhere[kind]
        rate = (failed + 0.5) / (others + 1)
        expected += attempts * rate
        spread += rate * (1 - rate) * attempts * (1 + attempts / (others + 1))
    attempts, failed = sum(counts[0] for counts in mine.values()), sum(counts[1] for counts in mine.values())
    return Excess(attempts, failed, expected, (failed - expected - 0.5) / math.sqrt(max(spread, 1e-9)))


def _alone(mine: dict[str, tuple[int, int]], span: str, others: bool) -> Symptom | None:
    attempts, failed = sum(counts[0] for counts in mine.values()), sum(counts[1] for counts in mine.values())
    if failed < _MORE or failed < _SHARE * attempts:
        return None
    why = "no other worker runs these job types" if others else "there is no other worker to compare with"
    reason = f"{failed} of {attempts} attempts failed in {span}; {why}, so it may be what they depend on"
    return Symptom("errors", Health.DEGRADED, 0.5, reason)


def _counted(samples: Sequence[Sample]) -> dict[str, tuple[int, int]]:
    """Count by job type the attempts that ended, and those that failed, from the first sample to the last."""
    counts: dict[str, list[int]] = {}
    if samples and samples[-1].deeds is not None:
        before = samples[0].deeds or {}
        for (queue, kind), (_, ended, failed) in samples[-1].deeds.items():
            _, ended_before, failed_before = before.get((queue, kind), (0, 0, 0))
            summed = counts.setdefault(kind, [0, 0])
            summed[0] += ended - ended_before
            summed[1] += failed - failed_before
    return {kind: (ended, failed) for kind, (ended, failed) in counts.items() if ended > 0}


def _summed(parts: Iterable[dict[str, tuple[int, int]]]) -> _Sums:
    sums = _Sums()
    for part in parts:
        for kind, (ended, failed) in part.items():
            before = sums[kind]
            sums[kind] = before[0] + ended, before[1] + failed
    return sums


class _Sums(dict[str, tuple[int, int]]):
    def __missing__(self, kind: str) -> tuple[int, int]:
        return 0, 0
