"""A model and the rule foretell the same outcomes: who is closer, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

#: The rule's rates forget: an outcome counts half as much after some 280 further ones of the same attempt number.
_FORGETS = 1 / 400
#: An attempt number with few outcomes is foretold like the type as a whole, which weighs as much as so many of them.
_PRIOR = 10.0
_MOST_ATTEMPTS = 10
#: Outcomes of a type before the rule's forecast is worth comparing with; a cold rule would be beaten by anything.
WARM = 50
#: Standard errors that a bound is away: 0.1 % of a normal distribution lie further out. One looks often, so the bounds
#: are strict ones.
_SURE = 3.0
_BINS = 5
#: Each group needs the outcomes of so many jobs for the normal approximation of a share.
_GROUP = 20


class Rates:
    """Foretell as a rule would: by the share of successes so far, by attempt number."""

    def __init__(self) -> None:
        self._all = (0.0, 0.0)
        self._by_attempt: dict[int, tuple[float, float]] = {}
        self.outcomes = 0

    def foretell(self, attempt: int) -> float:
        """Give the chance of success after a failed attempt, from what was learned before."""
        successes, outcomes = self._all
        share = (successes + 1.0) / (outcomes + 2.0)
        successes, outcomes = self._by_attempt.get(min(attempt, _MOST_ATTEMPTS), (0.0, 0.0))
        return (successes + _PRIOR * share) / (outcomes + _PRIOR)

    def learn(self, attempt: int, succeeded: bool) -> None:
        """Take an outcome in."""
        key = min(attempt, _MOST_ATTEMPTS)
        self._all = _discounted(self._all, succeeded)
        self._by_attempt[key] = _discounted(self._by_attempt.get(key, (0.0, 0.0)), succeeded)
        self.outcomes += 1


def _discounted(counts: tuple[float, float], succeeded: bool) -> tuple[float, float]:
    return counts[0] * (1 - _FORGETS) + succeeded, counts[1] * (1 - _FORGETS) + 1.0


class Foretold(NamedTuple):
    """An outcome, and what the model and the rule had foretold."""

    model: float
    rule: float
    succeeded: bool

    @property
    def gain(self) -> float:
        """By how much the model's squared error is below the rule's."""
        return (self.rule - self.succeeded) ** 2 - (self.model - self.succeeded) ** 2


@dataclass(frozen=True, slots=True)
class Score:
    """How a model did against the rule.

    :param rule: the Brier score of the rule's forecasts (G. Brier, Monthly Weather Review 78, 1950).
    :param model: that of the model's.
    :param skill: the share of the rule's error that the model avoids; below 0 it does worse.
    :param low: what the skill is above, for sure (99.9 %).
    :param high: what it is below.
    :param gap: by how much the model's chances differ from the shares that came true, on average over five bins.
    """

    outcomes: int
    rule: float = 0.0
    model: float = 0.0
    skill: float = 0.0
    low: float = 0.0
    high: float = 0.0
    gap: float = 0.0

    def as_row(self) -> dict[str, Any]:
        """Give the numbers by name, rounded for people."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def words(self) -> str:
        """Tell it in words."""
        return (
            f"Brier skill {self.skill:.2f} over the last {self.outcomes} outcomes "
            f"(rule {self.rule:.3f}, model {self.model:.3f})"
        )


def score(foretold: Sequence[Foretold]) -> Score:
    """Compare the forecasts of outcomes, which are in the order of time.

    The bounds are those of Diebold and Mariano, "Comparing Predictive Accuracy", Journal of Business & Economic
    Statistics 13(3), 1995: outcomes of one outage resemble each other.
    """
    count = len(foretold)
    if not count:
        return Score(0)
    rule = sum((each.rule - each.succeeded) ** 2 for each in foretold) / count
    model = sum((each.model - each.succeeded) ** 2 for each in foretold) / count
    unit = max(rule, 1e-9)
    doubt = _SURE * standard_error([each.gain for each in foretold])
    gain = rule - model
    gap = calibration_gap(foretold)
    return Score(count, rule, model, gain / unit, (gain - doubt) / unit, (gain + doubt) / unit, gap)


def standard_error(values: Sequence[float]) -> float:
    """Estimate the standard error of the mean of a series whose neighbours may resemble each other.

    W. Newey and K. West, "A Simple, Positive Semi-Definite, Heteroskedasticity and Autocorrelation Consistent
    Covariance Matrix", Econometrica 55(3), 1987.
    """
    count = len(values)
    mean = sum(values) / count
    apart = [value - mean for value in values]
    lags = int(count ** (1 / 3))
    variance = sum(value * value for value in apart) / count
    for lag in range(1, lags + 1):
        together = sum(one * other for one, other in zip(apart, apart[lag:], strict=False)) / count
        variance += 2 * (1 - lag / (lags + 1)) * together
    return math.sqrt(max(0.0, variance) / count)


def calibration_gap(foretold: Sequence[Foretold]) -> float:
    """Give the mean distance of chances and shares, over bins of as many outcomes each."""
    ordered = sorted(foretold, key=lambda each: each.model)
    edges = [len(ordered) * number // _BINS for number in range(_BINS + 1)]
    bins = [ordered[low:high] for low, high in pairwise(edges)]
    return sum(abs(sum(each.model - each.succeeded for each in part)) for part in bins) / len(ordered)


class Group:
    """What came of the last decisions of one kind.

    :param most: of how many.
    """

    def __init__(self, most: int) -> None:
        self._ends: deque[tuple[str, bool, float]] = deque(maxlen=most)

    def add(self, job_id: str, succeeded: bool, waited: float) -> None:
        """Take an outcome in."""
        self._ends.append((job_id, succeeded, waited))

    def clear(self) -> None:
        """Forget all."""
        self._ends.clear()

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def share(self) -> float:
        """The share of successes."""
        return sum(succeeded for _, succeeded, _ in self._ends) / max(1, len(self))

    @property
    def waited(self) -> float:
        """The mean wait in seconds."""
        return sum(waited for _, _, waited in self._ends) / max(1, len(self))

    def is_worse_than(self, other: Group) -> bool:
        """Tell whether fewer attempts succeed than in another group, and that is hardly by chance."""
        jobs, others = self._by_job(), other._by_job()
        if min(len(jobs), len(others)) < _GROUP:
            return False
        return self.share - other.share < -_SURE * math.sqrt(_variance(jobs) + _variance(others))

    def _by_job(self) -> list[tuple[int, int]]:
        """Count the successes and the attempts of each job."""
        attempts = Counter(job_id for job_id, _, _ in self._ends)
        successes = Counter(job_id for job_id, succeeded, _ in self._ends if succeeded)
        return [(successes[job_id], count) for job_id, count in attempts.items()]


def _variance(jobs: Sequence[tuple[int, int]]) -> float:
    """Estimate the variance of a share of attempts, of which those of one job resemble each other.

    That of a ratio under cluster sampling (W. Cochran, "Sampling Techniques", 3rd edition, 1977, section 9A.1), with a
    success and a failure more, as a group that always fails would seem to vary by nothing (A. Agresti and B. Caffo, The
    American Statistician 54(4), 2000).
    """
    jobs = [*jobs, (1, 1), (0, 1)]
    attempts = sum(count for _, count in jobs)
    share = sum(successes for successes, _ in jobs) / attempts
    apart = sum((successes - share * count) ** 2 for successes, count in jobs)
    return apart * len(jobs) / (len(jobs) - 1) / attempts**2
