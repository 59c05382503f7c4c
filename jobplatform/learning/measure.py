"""A model measured against the rule on what it did not learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobplatform.learning.contest import Foretold, Rates, Score, score

#: Job types that are told of, the most frequent ones.
_TYPES = 20

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """How a model did against the rule, over all and by job type.

    :param told: what was foretold, in the order of the outcomes.
    """

    overall: Score
    by_type: Mapping[str, Score]
    told: Sequence[Foretold]

    def as_row(self) -> dict[str, Any]:
        """Give the scores by name, for people."""
        by_type = {job_type: found.as_row() for job_type, found in self.by_type.items()}
        return {**self.overall.as_row(), "by_type": by_type}


def measure(chances: Sequence[float], rows: Sequence[Row], before: Iterable[Row]) -> Measured:
    """Compare forecasts with those of the rule, as it would have made them then.

    :param chances: what the model foretells of each row.
    :param rows: ``job_type``, ``attempt`` and ``succeeded``, oldest first.
    :param before: what was known before them, oldest first.
    """
    rates: defaultdict[str, Rates] = defaultdict(Rates)
    for row in before:
        rates[row["job_type"]].learn(row["attempt"], row["succeeded"])
    told: list[Foretold] = []
    by_type: defaultdict[str, list[Foretold]] = defaultdict(list)
    for chance, row in zip(chances, rows, strict=True):
        rule = rates[row["job_type"]]
        told.append(Foretold(float(chance), rule.foretell(row["attempt"]), row["succeeded"]))
        by_type[row["job_type"]].append(told[-1])
        rule.learn(row["attempt"], row["succeeded"])
    most = sorted(by_type, key=lambda job_type: -len(by_type[job_type]))[:_TYPES]
    return Measured(score(told), {job_type: score(by_type[job_type]) for job_type in most}, told)
