"""Features of past retries as they were when each was decided on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobplatform.learning.history import History


@dataclass(frozen=True, slots=True)
class Retry:
    """An attempt that followed a failed one.

    :param groups: its group by level of the history.
    :param attempt: its number.
    :param decided: its place in the order of time, in seconds where times are real.
    :param known: the place at which its outcome was known; ``decided`` itself stands for right after.
    :param extra: what else was known when it was decided on.
    :param timed: whether both places are times.
    """

    groups: Mapping[str, str | None]
    attempt: int
    decided: float
    known: float
    succeeded: bool
    extra: Mapping[str, float | None] = field(default_factory=dict)
    timed: bool = True


def replay(history: History, retries: Sequence[Retry]) -> list[dict[str, float | None]]:
    """Give the features of each retry as of its decision, noting each outcome when it was known and not before."""
    features: list[dict[str, float | None]] = [{} for _ in retries]
    for decided, index in _events(retries):
        retry = retries[index]
        if decided:
            at = retry.decided if retry.timed else None
            features[index] = history.features(retry.groups, retry.attempt, at, retry.extra)
            history.expect(retry.groups)
        else:
            history.note(retry.groups, retry.attempt, retry.known if retry.timed else None, retry.succeeded)
    return features


def _events(retries: Sequence[Retry]) -> Iterator[tuple[bool, int]]:
    """Give decisions and outcomes in order; of one instant, the decisions come first: they cannot know the outcomes."""
    decisions = [(retry.decided, 0, index) for index, retry in enumerate(retries)]
    outcomes = [(max(retry.known, retry.decided), 1, index) for index, retry in enumerate(retries)]
    for _, kind, index in sorted([*decisions, *outcomes]):
        yield kind == 0, index
