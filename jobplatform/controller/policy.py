"""What becomes of failed attempts, decided with everything known: the rule, breakers, a model, and chance."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from jobplatform.controller import words
from jobplatform.controller.case import extra_of, groups_of
from jobplatform.controller.ends import Ends
from jobplatform.decision import Evidence, FailedAttempt, RetryDecision, Seen
from jobplatform.jobs.breaker import Breaker, Release
from jobplatform.jobs.breakers import Breakers
from jobplatform.jobs.budget import FailureBudget, RetryBudget
from jobplatform.jobs.choice import DELAYS, Choice, chance_after, choose, draw
from jobplatform.jobs.retry import RetryRule, ceiling_of, has_had_all_retries, informed, rule, within_deadline
from jobplatform.jobs.symptom import is_answer

#: A job is held for so many seconds at most, and so often without using up a retry.
_HOLD_SECONDS, _MOST_TIMES = 6 * 3600.0, 9
#: A delay that is drawn at random is at most so many times as long, or as short, as the longest backoff; a job that has
#: less time left is not drawn.
_DRAWN, _HURRIED_SECONDS = 16.0, 120.0
#: No job is given up that was not retried so often, or so often with few retries in all: what fails of bad luck cannot
#: be told from what always will.
_TRIED, _TRIED_OF_FEW = 4, 2
#: Of a cause that fails most attempts but not all, each job tries its luck so often, after the delays of the rule.
_BY_CHANCE = 3
Chances = Sequence[tuple[float, float]]


class Adviser(Protocol):
    """A model of the next attempt."""

    def chances(
        self, rows: Sequence[Mapping[str, float | None]], delays: Sequence[float]
    ) -> Sequence[Sequence[float]]: ...
    def eventual(self, rows: Sequence[Mapping[str, float | None]]) -> Sequence[float] | None: ...


class Remembers(Protocol):
    """What became of others."""

    def features(
        self, groups: Mapping[str, str | None], attempt: int, at: float | None, extra: Mapping[str, float | None]
    ) -> dict[str, float | None]: ...
    def expect(self, groups: Mapping[str, str | None]) -> None: ...
    def note(self, groups: Mapping[str, str | None], attempt: int, at: float | None, succeeded: bool) -> None: ...


class InForce(Protocol):
    """A model and its version."""

    @property
    def version(self) -> int: ...
    @property
    def model(self) -> Adviser: ...


@dataclass(frozen=True, slots=True)
class Advice:
    """What a model says of one failed attempt."""

    version: int
    chances: Chances
    choice: Choice
    eventual: float


class Policy:
    """Decide on failed attempts.

    :param breakers: what is held; None holds nothing.
    :param memory: what became of others.
    :param in_force: gives the model in force, None when there is none.
    :param decides: says whether it decides on a job, by job type and id; otherwise it only says what it would do.
    :param explore: the share of retries whose delay is drawn at random.
    """

    def __init__(
        self,
        breakers: Breakers | None,
        memory: Remembers,
        in_force: Callable[[], InForce | None],
        decides: Callable[[str, str], bool],
        explore: float,
        luck: random.Random,
    ) -> None:
        self.breakers = breakers
        self.memory = memory
        self.in_force = in_force
        self.decides = decides
        self.explore = explore
        self.luck = luck
        self.retry_budget = RetryBudget()
        self.failure_budget = FailureBudget()
        self.ends = Ends()

    def decide(self, attempts: Sequence[FailedAttempt]) -> list[RetryDecision]:
        """Decide on each of some attempts that failed."""
        attempts = [replace(each, facts=informed(each.facts, each.error)) for each in attempts]
        rules = [rule(each.job_id, each.attempt, each.error, each.facts) for each in attempts]
        self._tell_breakers(attempts, rules)
        self._note_ends(attempts)
        decisions = [self._hold(failed, decision) for failed, decision in zip(attempts, rules, strict=True)]
        open_ones = [place for place, decision in enumerate(decisions) if decision.flexible and not decision.gate]
        chosen = self._choose([attempts[place] for place in open_ones], [decisions[place] for place in open_ones])
        for place, decision in zip(open_ones, chosen, strict=True):
            decisions[place] = decision
        return [within_deadline(each, failed.facts) for failed, each in zip(attempts, decisions, strict=True)]

    def observe(self, seen: Seen) -> None:
        """Learn from what a batch showed."""
        if self.breakers is not None:
            self.breakers.observe(seen)
        for job_type, jobs in seen.completed.items():
            self.retry_budget.succeeded(job_type, seen.at, jobs)
        for outcome in seen.outcomes:
            if outcome.gate is None:
                groups = groups_of(outcome, outcome.job_type)
                self.memory.note(groups, outcome.attempt + 1, outcome.at, outcome.succeeded)
                if outcome.succeeded:
                    self.ends.note(groups, True)

    def tick(self, now: float, held: Mapping[str, int]) -> list[Release]:
        """Say which jobs that are held go on now.

        :param now: seconds since the epoch.
        :param held: how many are held, by cause.
        """
        return self.breakers.tick(now, held) if self.breakers is not None else []

    def _tell_breakers(self, attempts: Sequence[FailedAttempt], rules: Sequence[RetryDecision]) -> None:
        if self.breakers is None:
            return
        pairs = list(zip(attempts, rules, strict=True))
        self.breakers.answered([failed for failed, _ in pairs if is_answer(failed.error)])
        self.breakers.failed(
            [each for each, ruled in pairs if ruled.flexible or has_had_all_retries(each.error, each.facts)]
        )

    def _note_ends(self, attempts: Sequence[FailedAttempt]) -> None:
        for failed in attempts:
            if has_had_all_retries(failed.error, failed.facts):
                self.ends.note(groups_of(failed, failed.facts.job_type), False)

    def _hold(self, failed: FailedAttempt, decision: RetryDecision) -> RetryDecision:
        facts = failed.facts
        breaker = self.breakers.holding(failed.cause) if self.breakers is not None else None
        if breaker is None or facts.times_held >= _MOST_TIMES:
            return decision
        if not (decision.flexible or has_had_all_retries(failed.error, facts)):
            return decision
        return self._held(failed, decision, breaker)

    @staticmethod
    def _held(failed: FailedAttempt, decision: RetryDecision, breaker: Breaker) -> RetryDecision:
        left = failed.facts.left
        most = _HOLD_SECONDS if left is None else min(_HOLD_SECONDS, left - min(10.0, 0.1 * left))
        if breaker.is_partial and failed.attempt <= _BY_CHANCE and decision.delay is not None:
            most = min(most, decision.delay)
        if most <= decision.least:
            return decision
        reason = words.held(failed, breaker, most)
        return RetryDecision(most, reason, "breaker", free=True, least=decision.least, gate=breaker.cause)

    def _choose(self, attempts: Sequence[FailedAttempt], rules: Sequence[RetryDecision]) -> list[RetryDecision]:
        rows = [
            self.memory.features(groups_of(each, each.facts.job_type), each.attempt + 1, each.at, extra_of(each))
            for each in attempts
        ]
        advice = self._ask(attempts, rules, rows)
        return [
            self._settle(failed, ruled, row, said)
            for failed, ruled, row, said in zip(attempts, rules, rows, advice, strict=True)
        ]

    def _ask(
        self,
        attempts: Sequence[FailedAttempt],
        rules: Sequence[RetryDecision],
        rows: Sequence[Mapping[str, float | None]],
    ) -> list[Advice | None]:
        """Ask the model, once for all."""
        head = self.in_force() if rows else None
        if head is None:
            return [None] * len(rows)
        chances = head.model.chances(rows, DELAYS)
        eventual: Sequence[float | None] = head.model.eventual(rows) or [None] * len(rows)
        return [
            _advise(head.version, failed, ruled, list(zip(DELAYS, row, strict=True)), ever)
            for failed, ruled, row, ever in zip(attempts, rules, chances, eventual, strict=True)
        ]

    def _settle(
        self, failed: FailedAttempt, ruled: RetryDecision, row: Mapping[str, float | None], advice: Advice | None
    ) -> RetryDecision:
        """Choose between chance, the model and the rule."""
        declared = RetryRule.of(failed.facts.retry_rule)
        self.failure_budget.failed(failed.facts.job_type, failed.at)
        decision = self._explored(failed, ruled, declared)
        learned = declared.learned and self.decides(failed.facts.job_type, failed.job_id)
        if decision is None and advice is not None and learned:
            decision = self._advised(failed, ruled, declared, advice)
        decision = decision or ruled
        if decision.delay is not None:
            least = self.retry_budget.put_off(failed.cause, failed.facts.job_type, failed.at, decision.delay)
            decision = replace(decision, delay=max(decision.delay, least))
            self.memory.expect(groups_of(failed, failed.facts.job_type))
        return replace(decision, evidence=_evidence(decision, row, advice, self.explore))

    def _explored(self, failed: FailedAttempt, ruled: RetryDecision, declared: RetryRule) -> RetryDecision | None:
        left = failed.facts.left
        if self.luck.random() >= self.explore or (left is not None and left < _HURRIED_SECONDS):
            return None
        usual = max(ceiling_of(declared, failed.facts.retry_count), 1e-3)
        low, high = max(usual / _DRAWN, ruled.least), min(usual * _DRAWN, _longest(ruled, declared, left))
        if low >= high:
            return None
        delay = max(low, math.exp(self.luck.uniform(math.log(low), math.log(high))))
        evidence = Evidence(propensity=self.explore / math.log(high / low))
        return RetryDecision(delay, words.explores(failed, delay), "chance", evidence=evidence)

    def _advised(
        self, failed: FailedAttempt, ruled: RetryDecision, declared: RetryRule, advice: Advice
    ) -> RetryDecision:
        by, facts = f"model:{advice.version}", failed.facts
        # What is given up can prove nobody wrong: the model says so, this delay does, and what others came to.
        shown = self.ends.share(groups_of(failed, facts.job_type))
        ever = max(advice.eventual, advice.choice.ever, 1.0 if shown is None else shown)
        tried = facts.retry_count >= max(_TRIED_OF_FEW, min(_TRIED, facts.max_retries - 1))
        hopeless = tried and ever < declared.threshold
        if hopeless and self.failure_budget.may_give_up(facts.job_type, failed.at):
            return RetryDecision(None, words.gives_up(failed, ever, declared.threshold), by)
        drawn = draw(advice.chances, max(1, facts.max_retries - facts.retry_count), facts.left, self.luck)
        high = _longest(ruled, declared, facts.left)
        choice = drawn.choice._replace(delay=min(max(ruled.least, drawn.delay), high))
        most = drawn.choice.delay * max(1, facts.max_retries - facts.retry_count)
        evidence = Evidence(propensity=(1.0 - self.explore) * drawn.propensity)
        return RetryDecision(choice.delay, words.waits(failed, choice, most), by, least=ruled.least, evidence=evidence)


def _longest(ruled: RetryDecision, declared: RetryRule, left: float | None) -> float:
    """Give the longest delay that may be chosen, in seconds."""
    return max(ruled.least, min(declared.cap, math.inf if left is None else left / 2))


def _advise(version: int, failed: FailedAttempt, ruled: RetryDecision, chances: Chances, ever: float | None) -> Advice:
    facts = failed.facts
    high = _longest(ruled, RetryRule.of(facts.retry_rule), facts.left)
    fitting = [(delay, chance) for delay, chance in chances if ruled.least <= delay <= high]
    fitting = fitting or [(ruled.least, chance_after(chances, ruled.least))]
    choice = choose(fitting, max(1, facts.max_retries - facts.retry_count), facts.left)
    return Advice(version, fitting, choice, choice.ever if ever is None else ever)


def _evidence(
    decision: RetryDecision, row: Mapping[str, float | None], advice: Advice | None, explore: float
) -> Evidence:
    drawn = decision.evidence.propensity if decision.evidence is not None else None
    propensity = 1.0 - explore if drawn is None else drawn
    if advice is None:
        return Evidence(row, (), propensity)
    chances = [(delay, round(chance, 4)) for delay, chance in advice.chances]
    chance = chance_after(advice.chances, decision.delay) if decision.delay is not None else None
    shadow = {"version": advice.version, "delay": advice.choice.delay, "chance": round(advice.choice.chance, 4)}
    return Evidence(row, chances, propensity, chance, advice.eventual, shadow)
