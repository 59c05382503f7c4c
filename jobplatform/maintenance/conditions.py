"""What people are told of: conditions, each a pure function of what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: Fewer decisions than these say nothing of a share.
_LEAST_DECISIONS = 50
#: From this share of its limit on, a journal that is not mirrored counts as long.
_LONG_JOURNAL = 0.5


class Finding(NamedTuple):
    """That a condition holds.

    :param subject: of what, such as a queue; empty where there is but one.
    :param message: a sentence for people, with its numbers and what to do next.
    """

    condition: str
    subject: str
    message: str


class Waiting(NamedTuple):
    """A queue in which something waits, and for how many seconds the oldest has."""

    queue: str
    depth: int
    seconds: float


class Lost(NamedTuple):
    """A worker that is silent, for how many seconds, and nobody has its name."""

    name: str
    seconds: float


class Missed(NamedTuple):
    """A schedule, and for how many seconds it should have fired."""

    name: str
    seconds: float


class Open(NamedTuple):
    """A breaker that holds jobs."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen at one time.

    :param letters: dead letters within the minutes of the rule.
    :param wanted: workers that there are to be, None where nobody says; ``alive``: those that there are.
    :param redis: why Redis cannot be used, None if it can.
    :param memory: the share of its memory that Redis uses, 0 where it may use all.
    :param journal: commits that are not mirrored.
    :param decisions: retries that were decided in the last hour while a model is active, and how many by the rule.
    :param broken: the row of the audit log that is not as it was written.
    """

    letters: int = 0
    waiting: Sequence[Waiting] = ()
    wanted: int | None = None
    alive: int = 0
    lost: Sequence[Lost] = ()
    missed: Sequence[Missed] = ()
    breakers: Sequence[Open] = ()
    redis: str | None = None
    memory: float = 0.0
    journal: int = 0
    decisions: tuple[int, int] = (0, 0)
    broken: int | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on a condition holds; times are in seconds, 0 switches off what it is about.

    :param letters: so many dead letters within so many ``minutes``.
    :param fallback: the share of retries that the rule decides although a model is active.
    """

    letters: int = 20
    minutes: float = 10.0
    wait: float = 300.0
    silent: float = 60.0
    late: float = 300.0
    fallback: float = 0.5
    memory: float = 0.7
    journal: int = 100_000


def _letters(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    if limits.letters and seen.letters >= limits.letters:
        text = f"{seen.letters} jobs were given up within {limits.minutes:g} minutes; see: jobplatform clusters list"
        yield Finding("dead letters", "", text)


def _waits(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    for each in seen.waiting:
        if limits.wait and each.seconds > limits.wait:
            text = f"the oldest of {each.depth} jobs in queue {each.queue} has waited for {_age(each.seconds)}"
            yield Finding("long wait", each.queue, f"{text}; see: jobplatform workers list")


def _workers(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    for each in seen.lost:
        if limits.silent and each.seconds > limits.silent:
            text = f"worker {each.name} is silent for {_age(each.seconds)}, and no other took its place"
            yield Finding("worker lost", each.name, f"{text}; its jobs were given to others")
    if seen.wanted is not None and seen.alive < seen.wanted:
        text = f"{seen.alive} workers live, and there are to be {seen.wanted}; see: jobplatform fleet replacements"
        yield Finding("workers missing", "", text)


def _no_worker(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    depth = sum(each.depth for each in seen.waiting)
    if depth and not seen.alive:
        yield Finding("no worker", "", f"{depth} jobs wait, and no worker lives; start one")


def _schedules(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    for each in seen.missed:
        if limits.late and each.seconds > limits.late:
            text = f"schedule {each.name} should have fired {_age(each.seconds)} ago; is a beat running?"
            yield Finding("schedule missed", each.name, text)


def _breakers(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    for each in seen.breakers:
        yield Finding("breaker open", each.cause, f"jobs that need {each.cause} are held: {each.reason}")


def _redis(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    if seen.redis is not None:
        yield Finding("redis unreachable", "", f"Redis cannot be used: {seen.redis}; queued jobs wait in their rows")
    if limits.memory and seen.memory > limits.memory:
        text = f"Redis uses {seen.memory:.0%} of its memory; due jobs wait in their rows until it has room"
        yield Finding("redis full", "", text)


def _journal(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    if seen.journal > _LONG_JOURNAL * limits.journal:
        text = f"{seen.journal} commits wait to be mirrored; workers stop taking jobs at {limits.journal}"
        yield Finding("journal long", "", text)


def _model(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    decided, by_rule = seen.decisions
    if limits.fallback and decided >= _LEAST_DECISIONS and by_rule / decided > limits.fallback:
        text = f"the rule decided {by_rule} of {decided} retries in the last hour although a model is active"
        yield Finding("model fallback", "", f"{text}; see: jobplatform models list")


def _audit(seen: Sight, limits: Thresholds) -> Iterable[Finding]:
    if seen.broken is not None:
        text = f"row {seen.broken} of the audit log is not as it was written, or another before it is missing"
        yield Finding("audit broken", "", f"{text}; compare it with a backup")


_CONDITIONS: tuple[Callable[[Sight, Thresholds], Iterable[Finding]], ...] = (
    _letters, _waits, _workers, _no_worker, _schedules, _breakers, _redis, _journal, _model, _audit,
)  # fmt: skip

#: All conditions, for those who mute one.
NAMES = (
    "dead letters", "long wait", "worker lost", "workers missing", "no worker", "schedule missed", "breaker open",
    "redis unreachable", "redis full", "journal long", "model fallback", "audit broken", "postgresql unreachable",
)  # fmt: skip


def judge(seen: Sight, limits: Thresholds) -> list[Finding]:
    """List what holds of what was seen."""
    return [finding for condition in _CONDITIONS for finding in condition(seen, limits)]


def rules(limits: Thresholds) -> dict[str, str]:
    """Say of each condition when it holds."""
    known = {
        "dead letters": limits.letters and f"{limits.letters} jobs are given up within {limits.minutes:g} minutes",
        "long wait": limits.wait and f"a job waits in a queue for more than {_age(limits.wait)}",
        "worker lost": limits.silent and f"a worker is silent for {_age(limits.silent)} and no other takes its place",
        "workers missing": "fewer workers live than there are to be",
        "no worker": "jobs wait, and no worker lives",
        "schedule missed": limits.late and f"a schedule is late by more than {_age(limits.late)}",
        "breaker open": "a breaker holds jobs",
        "redis unreachable": "Redis cannot be used",
        "redis full": limits.memory and f"Redis uses more than {limits.memory:.0%} of its memory",
        "journal long": f"more than {_LONG_JOURNAL * limits.journal:,.0f} commits wait to be mirrored",
        "model fallback": limits.fallback
        and f"the rule decides more than {limits.fallback:.0%} of retries although a model is active",
        "audit broken": "a row of the audit log is not as it was written",
        "postgresql unreachable": "PostgreSQL cannot be reached",
    }
    return {name: words or "switched off by the settings" for name, words in known.items()}


def _age(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
