"""Forecasts of retries that a model has not seen: later ones, and those of owners that it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.traces.trace import Trace, fold_of
from jobplatform.learning.baselines import Forecast, attempt_table, base_rate, group_rate, outcomes, the_rule
from jobplatform.learning.scores import Floats, auc, brier_skill, ece
from jobplatform.learning.training import Example, train

#: The earlier share of a trace, which teaches.
EARLIER = 0.7
FOLDS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """How one forecast did on what it had not seen.

    :param skill: Brier skill beside the base rate of the test part, which no forecast knows: the harder of the two.
    :param skill_before: beside the base rate of the training part, which is what one would have foretold.
    """

    auc: float
    skill: float
    skill_before: float
    ece: float


@dataclass(frozen=True, slots=True)
class Split:
    """All forecasts of one test part, by name."""

    taught: int
    tested: int
    base_rate: float
    rule: str
    lines: dict[str, Line]


def by_time(trace: Trace, seed: int) -> Split:
    """Teach with the earlier part, as far as its outcomes were known by then, and test on the later."""
    examples = trace.examples()
    begins = int(len(trace) * EARLIER)
    lesson = known_by(trace, examples, begins)
    return _split(trace, [(lesson, examples[begins:])], seed)


def by_owner(trace: Trace, seed: int, strict: bool) -> Split:
    """Hold each third of the owners out: teach with the earlier part of the others, test on the later part of theirs.

    :param strict: nothing is known of the owners' own history; else what came since the test began is.
    """
    parts = []
    begins = int(len(trace) * EARLIER)
    for fold in range(FOLDS):
        held = [fold_of(owner, FOLDS) == fold for owner in trace.owners]
        seen = trace.among([place >= begins or not hide for place, hide in enumerate(held)])
        tested = [hide for place, hide in enumerate(held) if place >= begins or not hide]
        examples = (seen.anonymous(tested) if strict else seen).examples()
        first = next((place for place, test in enumerate(tested) if test), len(examples))
        cut = min(first, sum(not hide for hide in held[:begins]))
        parts.append(
            (known_by(seen, examples, cut), [each for each, test in zip(examples, tested, strict=True) if test])
        )
    return _split(trace, parts, seed)


def known_by(trace: Trace, examples: Sequence[Example], begins: int) -> list[Example]:
    """List the examples before a place whose outcomes were known when that was decided on."""
    if begins >= len(trace):
        return list(examples)
    now = trace.retries[begins].decided
    known = zip(examples[:begins], trace.retries[:begins], strict=True)
    return [replace(each, eventually=None) for each, retry in known if retry.known < now]


def _split(trace: Trace, parts: Sequence[tuple[list[Example], list[Example]]], seed: int) -> Split:
    said: dict[str, list[Floats]] = {}
    rules = set()
    for lesson, tests in parts:
        name, rule = the_rule(lesson, trace.levels)
        rules.add(name)
        forecasts = {
            "base rate": base_rate(lesson),
            "attempt table": attempt_table(lesson),
            **{f"{level} rate": group_rate(level) for level in trace.levels},
            "best rule": rule,
            "model": _learned(lesson, seed),
        }
        for name, forecast in forecasts.items():
            said.setdefault(name, []).append(forecast(tests))
    came = np.concatenate([outcomes(tests) for _, tests in parts])
    before = np.concatenate(said["base rate"])
    lines = {name: line(came, np.concatenate(chances), before) for name, chances in said.items()}
    taught = sum(len(lesson) for lesson, _ in parts)
    return Split(taught, len(came), float(came.mean()), ", ".join(sorted(rules)), lines)


def _learned(lesson: list[Example], seed: int) -> Forecast:
    model = train(lesson, seed).model
    return lambda tests: np.array([chance for (chance,) in model.chances([each.features for each in tests], [0.0])])


def line(came: Floats, chances: Floats, before: Floats) -> Line:
    """Measure a forecast."""
    skills = (brier_skill(came, chances, float(came.mean())), brier_skill(came, chances, before))
    return Line(auc(came, chances), *skills, ece(came, chances))
