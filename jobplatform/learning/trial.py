"""Where a model may decide: each job type tries it against the rule, for as long as there are outcomes.

The models of one kind follow each other faster than outcomes come. So the trial is that of their line: what was
foretold, by whichever version was in force, before the outcome was known (P. Dawid, "The Prequential Approach", Journal
of the Royal Statistical Society A 147, 1984).
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from jobplatform.decision import Outcome
from jobplatform.learning.contest import WARM, Foretold, Group, Rates, Score, score

#: Outcomes that a trial looks back on; no job type is promoted on fewer.
OUTCOMES = 200
#: A trial is looked at after so many outcomes of the type: how they come in batches makes no difference.
_STRIDE = 10
_LEAST_SKILL = 0.02
_MOST_GAP = 0.1
#: A mean squared error above the rule's by so much is bad before all outcomes are in.
_BADLY = 0.05
#: Under this name a score keeps why a model that is on trial again had lost.
_LOST = "lost"
#: The share of jobs on which the rule goes on deciding, so that there is something to compare with.
CONTROL = 0.1
#: Who decided, as ``retry_decisions.decided_by`` names a model, with the version behind it, and the rule.
MODEL, RULE = "model", "static"


class State(StrEnum):
    """Who decides on a job type: the rule while models only say what they would do, a model, or the rule for good."""

    SHADOW = "shadow"
    ACTIVE = "active"
    RETIRED = "retired"


def decided_by(version: int) -> str:
    """Name a model version as the one that decided."""
    return f"{MODEL}:{version}"


def in_control(job_id: str) -> bool:
    """Tell whether the rule decides on a job although its type has a model; the same job is always told the same."""
    return zlib.crc32(job_id.encode()) % 1_000 < CONTROL * 1_000


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job type's trial stands.

    :param since: when it came into this state, in seconds since the epoch.
    :param reason: why it is in this state, in words.
    :param score: the numbers behind it.
    :param forced: an operator wanted it so.
    """

    job_type: str
    state: State = State.SHADOW
    since: float = 0.0
    reason: str = "no outcomes yet"
    score: Mapping[str, Any] = field(default_factory=dict)
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A job type's trial came into another state."""

    before: State
    after: Standing


class Trial:
    """What the trial of one job type rests on.

    :param outcomes: how many it looks back on.
    """

    def __init__(self, standing: Standing, outcomes: int) -> None:
        self.standing = standing
        self.outcomes = outcomes
        self.rates = Rates()
        self.foretold: deque[Foretold] = deque(maxlen=outcomes)
        self.of_model, self.of_rule = Group(outcomes), Group(outcomes)
        self._known: dict[tuple[str, int], None] = {}
        self._looks = 0

    def add(self, outcome: Outcome) -> bool:
        """Take an outcome in, once; returns whether it is time to look at the trial."""
        key = (outcome.job_id, outcome.attempt)
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > 2 * self.outcomes:
            del self._known[next(iter(self._known))]
        if outcome.chance is not None and self.rates.outcomes >= WARM:
            rule = self.rates.foretell(outcome.attempt)
            self.foretold.append(Foretold(outcome.chance, rule, outcome.succeeded))
            self._looks += 1
        self.rates.learn(outcome.attempt, outcome.succeeded)
        self._add_to_group(outcome)
        return outcome.chance is not None and self._looks > 0 and self._looks % _STRIDE == 0

    def _add_to_group(self, outcome: Outcome) -> None:
        if self.standing.state is not State.ACTIVE or outcome.at < self.standing.since:
            return
        if outcome.decided_by.startswith(MODEL):
            self.of_model.add(outcome.job_id, outcome.succeeded, outcome.waited)
        elif outcome.decided_by == RULE and in_control(outcome.job_id):
            self.of_rule.add(outcome.job_id, outcome.succeeded, outcome.waited)

    def enter(self, standing: Standing) -> None:
        """Come into another state; a job type that left a model has to win anew."""
        if standing.state is not State.ACTIVE:
            self.foretold.clear()
        self.of_model.clear()
        self.of_rule.clear()
        self.standing = standing

    def look(self) -> tuple[State, str, Mapping[str, Any]]:
        """Judge: the state that the outcomes speak for, why, and the numbers."""
        found = score(self.foretold_so_far)
        numbers = {**found.as_row(), **self._groups()}
        if self.standing.state is State.RETIRED:
            return State.RETIRED, self.standing.reason, numbers
        if self.standing.state is State.SHADOW:
            return self._look_at_model_on_trial(found, numbers)
        lost = self._why_lost(found)
        if lost:
            return State.SHADOW, lost, {**numbers, _LOST: lost}
        return State.ACTIVE, self.standing.reason, numbers

    def _look_at_model_on_trial(self, found: Score, numbers: Mapping[str, Any]) -> tuple[State, str, Mapping[str, Any]]:
        missing, lost = what_is_missing(found, self.outcomes), self.standing.score.get(_LOST)
        if not missing:
            return State.ACTIVE, f"won: {found.words()}", numbers
        if not lost:
            return State.SHADOW, missing, numbers
        return State.SHADOW, f"{missing}; before that it {lost}", {**numbers, _LOST: lost}

    @property
    def foretold_so_far(self) -> Sequence[Foretold]:
        """The outcomes that were foretold, in their order."""
        return list(self.foretold)

    def _why_lost(self, found: Score) -> str | None:
        if found.outcomes >= self.outcomes and found.skill < 0:
            return f"lost: {found.words()}"
        # What goes badly wrong shows before all outcomes are in; who is worse at what both foretell well is not.
        lately = score(self.foretold_so_far[-self.outcomes // 4 :])
        if lately.outcomes >= self.outcomes // 4 and lately.high < 0 and lately.model - lately.rule > _BADLY:
            return f"lost: {lately.words()}"
        if self.of_model.is_worse_than(self.of_rule):
            return (
                f"lost: {self.of_model.share:.0%} of {len(self.of_model)} attempts succeeded that it had chosen the "
                f"time of, and {self.of_rule.share:.0%} of {len(self.of_rule)} that were left to the rule"
            )
        return None

    def _groups(self) -> dict[str, Any]:
        groups = {"model": self.of_model, "rule": self.of_rule}
        return {
            f"{name}_{what}": round(value, 4)
            for name, group in groups.items()
            if len(group)
            for what, value in (("decided", len(group)), ("succeeded", group.share), ("waited", group.waited))
        }


def what_is_missing(found: Score, outcomes: int) -> str | None:
    """Say what keeps a model from deciding, None when nothing does."""
    if found.outcomes < outcomes:
        return f"on trial: {found.outcomes} of {outcomes} outcomes"
    if found.skill <= _LEAST_SKILL:
        return f"on trial: {found.words()}; it has to be above {_LEAST_SKILL}"
    if found.low <= 0:
        return f"on trial: {found.words()}; that may be chance"
    if found.gap > _MOST_GAP:
        return f"on trial: {found.words()}; its chances are {found.gap:.2f} off, {_MOST_GAP} is allowed"
    return None


class Trials:
    """The trials of all job types; one thread feeds them, others read and steer.

    :param outcomes: how many each looks back on, and how many there must be before a promotion.
    :param promotes: without it models only say what they would do.
    """

    def __init__(self, outcomes: int = OUTCOMES, promotes: bool = True) -> None:
        self.outcomes = outcomes
        self.promotes = promotes
        self._trials: dict[str, Trial] = {}
        self._lock = threading.Lock()

    def state(self, job_type: str) -> State:
        """Tell who decides on a job type."""
        state = self.standing(job_type).state
        return State.SHADOW if state is State.ACTIVE and not self.promotes else state

    def standing(self, job_type: str) -> Standing:
        """Tell where the trial of a job type stands."""
        trial = self._trials.get(job_type)
        return trial.standing if trial else Standing(job_type)

    def observe(self, outcomes: Iterable[Outcome]) -> list[Change]:
        """Take outcomes in, in the order in which they came, and return what changed by them."""
        with self._lock:
            changes = [self._take(outcome) for outcome in outcomes]
        return [change for change in changes if change]

    def force(self, job_type: str, state: State, reason: str = "forced", at: float = 0.0) -> Change | None:
        """Put a job type into a state; one that was promoted so is demoted all the same when it loses.

        :param at: seconds since the epoch.
        """
        return self.adopt(Standing(job_type, state, at, reason, forced=state is not State.SHADOW))

    def adopt(self, standing: Standing) -> Change | None:
        """Take over what is known elsewhere of a job type's trial."""
        with self._lock:
            trial = self._of(standing.job_type)
            before = trial.standing.state
            if before is standing.state:
                trial.standing = standing
                return None
            trial.enter(standing)
            return Change(before, standing)

    def restore(self, standings: Iterable[Standing], outcomes: Iterable[Outcome]) -> None:
        """Begin anew from what is stored.

        :param outcomes: the last of each job type, oldest first; twice as many as a trial looks back on teach the rule.
        """
        trials = {each.job_type: Trial(each, self.outcomes) for each in standings}
        for outcome in outcomes:
            trial = trials.setdefault(outcome.job_type, Trial(Standing(outcome.job_type), self.outcomes))
            left = trial.standing.state is not State.ACTIVE and outcome.at <= trial.standing.since
            # What lies before a demotion speaks for no promotion; it teaches the rule.
            trial.add(replace(outcome, chance=None) if left else outcome)
        with self._lock:
            self._trials = trials

    def standings(self) -> list[Standing]:
        """List where the trials stand."""
        with self._lock:
            return [trial.standing for trial in self._trials.values()]

    def _of(self, job_type: str) -> Trial:
        if job_type not in self._trials:
            self._trials[job_type] = Trial(Standing(job_type), self.outcomes)
        return self._trials[job_type]

    def _take(self, outcome: Outcome) -> Change | None:
        trial = self._of(outcome.job_type)
        if not trial.add(outcome):
            return None
        before = trial.standing
        state, reason, numbers = trial.look()
        if state is State.ACTIVE and not self.promotes and before.state is State.SHADOW:
            state, reason = State.SHADOW, f"{reason}; models are not to decide (JOBPLATFORM_RETRY_MODEL=shadow)"
        if state is before.state:
            trial.standing = replace(before, reason=before.reason if before.forced else reason, score=numbers)
            return None
        trial.enter(Standing(outcome.job_type, state, outcome.at, reason, numbers))
        return Change(before.state, trial.standing)
