"""Running statistics of retries, from which features are made before an attempt is known and to which its outcome is
added after.

Rates are m-estimates: what a group has shown counts against ``PRIOR`` tries at the rate of the next more general
level, and that of the most general one against all (B. Cestnik, "Estimating Probabilities: A Crucial Task in Machine
Learning", ECAI 1990; D. Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes", SIGKDD
Explorations 3(1), 2001).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

#: What a group has shown counts against so many tries at the rate of the next level.
PRIOR = 4.0
#: So many outcomes alike in a row count in full for the level above.
FRESH = 8.0
#: Later attempts than this share its place in the table of attempts.
LAST_ATTEMPT = 8
#: Of a decayed rate, an outcome keeps this share of its weight with each later one ...
KEPT = 0.8
#: ... or loses half of it in so many seconds.
HALF_LIFE = 1800.0
#: Groups that are kept; about 0.5 kB each.
MOST_GROUPS = 100_000
#: Names of what is known of a group, as ``level.name``.
OF_GROUP = (
    "rate",
    "seen",
    "share",
    "recent",
    "lately",
    "failures",
    "open",
    "at_attempt",
    "since_success",
    "since_failure",
)
#: The level above all others.
ALL = "all"


class _Track:
    """What one group has shown."""

    __slots__ = (
        "attempts", "failed_at", "failures", "late", "late_at", "late_weight", "open", "recent", "recent_weight",
        "streak", "succeeded", "succeeded_at", "tried",
    )  # fmt: skip

    def __init__(self) -> None:
        self.open = 0
        self.tried = self.succeeded = self.failures = self.streak = self.recent = self.recent_weight = self.late = (
            self.late_weight
        ) = 0.0
        self.late_at: float | None = None
        self.succeeded_at: float | None = None
        self.failed_at: float | None = None
        #: For each attempt number, how often it was tried and succeeded.
        self.attempts: dict[int, tuple[float, float]] = {}

    def note(self, attempt: int, at: float | None, succeeded: bool, weight: float) -> float:
        """Add an outcome and return what it weighs in the level above: less, the longer all were like it."""
        self.open = max(0, self.open - 1)
        alike = self.streak if succeeded == (self.failures == 0.0) else 0.0
        self.streak = alike + weight
        self.tried += weight
        self.succeeded += weight * succeeded
        self.failures = 0.0 if succeeded else self.failures + weight
        kept = KEPT**weight
        self.recent = self.recent * kept + weight * succeeded
        self.recent_weight = self.recent_weight * kept + weight
        tried, of_them = self.attempts.get(attempt, (0.0, 0.0))
        self.attempts[attempt] = (tried + weight, of_them + weight * succeeded)
        if at is not None:
            self._note_time(at, succeeded, weight)
        return weight * min(1.0, FRESH / (1.0 + alike))

    def _note_time(self, at: float, succeeded: bool, weight: float) -> None:
        faded = self.faded(at)
        self.late, self.late_weight = self.late * faded + weight * succeeded, self.late_weight * faded + weight
        self.late_at = at if self.late_at is None else max(at, self.late_at)
        if succeeded:
            self.succeeded_at = at
        else:
            self.failed_at = at

    def faded(self, at: float) -> float:
        """Give what is left at a time of the weight that outcomes had when the last one came."""
        return 1.0 if self.late_at is None else math.exp2(min(0.0, self.late_at - at) / HALF_LIFE)


class History:
    """What retries of each group have come to, as far as was noted; it knows nothing of what comes later.

    The group whose last outcome is the longest ago is forgotten when there are more than ``most``.

    :param levels: names of the kinds of groups, from special to general.
    """

    def __init__(self, levels: Sequence[str], most: int = MOST_GROUPS) -> None:
        self.levels = tuple(levels)
        self.most = most
        self._all = _Track()
        self._tracks: OrderedDict[tuple[str, str], _Track] = OrderedDict()
        self._names = {level: tuple(f"{level}.{name}" for name in OF_GROUP) for level in (*self.levels, ALL)}

    def __len__(self) -> int:
        return len(self._tracks)

    @property
    def names(self) -> list[str]:
        """The names of the features, without those that come from elsewhere."""
        return ["attempt", *(name for level in (*self.levels, ALL) for name in self._names[level])]

    def features(
        self, groups: Mapping[str, str | None], attempt: int, at: float | None, extra: Mapping[str, float | None]
    ) -> dict[str, float | None]:
        """Describe an attempt that failed by what was noted until now; None stands for what cannot be known.

        :param groups: its group by level; None, or no entry, where there is none.
        :param attempt: the number of the attempt that would follow.
        :param at: when it failed, in seconds; None where times are not known.
        :param extra: what else is known of it.
        """
        place = min(attempt, LAST_ATTEMPT)
        features: dict[str, float | None] = {"attempt": float(attempt), **extra}
        rate, at_attempt, above = 0.5, 0.5, self._all
        for level, track in self._upwards(groups):
            if track is not None:
                prior = PRIOR + track.open
                rate = (track.succeeded + prior * rate) / (track.tried + prior)
                tried, succeeded = track.attempts.get(place, (0.0, 0.0))
                at_attempt = (succeeded + prior * at_attempt) / (tried + prior)
            features.update(zip(self._names[level], _of_group(track, rate, at_attempt, above, at), strict=True))
            above = track or above
        return features

    def expect(self, groups: Mapping[str, str | None]) -> None:
        """Add that an attempt follows, whose outcome is still to come."""
        self._all.open += 1
        for level in self.levels:
            group = groups.get(level)
            if group is not None:
                self._track(level, group).open += 1

    def note(self, groups: Mapping[str, str | None], attempt: int, at: float | None, succeeded: bool) -> None:
        """Add what came of an attempt that followed a failed one."""
        place = min(attempt, LAST_ATTEMPT)
        weight = 1.0
        for level in self.levels:
            group = groups.get(level)
            if group is not None:
                weight = self._track(level, group).note(place, at, succeeded, weight)
        self._all.note(place, at, succeeded, weight)
        while len(self._tracks) > self.most:
            self._tracks.popitem(last=False)

    def _upwards(self, groups: Mapping[str, str | None]) -> Iterator[tuple[str, _Track | None]]:
        yield ALL, self._all
        for level in reversed(self.levels):
            group = groups.get(level)
            yield level, None if group is None else self._tracks.get((level, group))

    def _track(self, level: str, group: str) -> _Track:
        key = (level, group)
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track()
        else:
            self._tracks.move_to_end(key)
        return track


def _of_group(
    track: _Track | None, rate: float, at_attempt: float, above: _Track, at: float | None
) -> tuple[float | None, ...]:
    if track is None:
        return rate, 0.0, 0.0, rate, rate, 0.0, 0.0, at_attempt, None, None
    prior = 1.0 + track.open
    recent = (track.recent + prior * rate) / (track.recent_weight + prior)
    lately = None
    if at is not None:
        faded = track.faded(at)
        lately = (track.late * faded + prior * rate) / (track.late_weight * faded + prior)
    return (
        rate,
        math.log1p(track.tried),
        track.tried / above.tried if above.tried else 0.0,
        recent,
        lately,
        float(track.failures),
        math.log1p(track.open),
        at_attempt,
        _since(track.succeeded_at, at),
        _since(track.failed_at, at),
    )


def _since(then: float | None, at: float | None) -> float | None:
    return None if then is None or at is None else max(0.0, at - then)
