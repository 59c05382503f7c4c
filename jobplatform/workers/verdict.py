"""How a worker is: what the rules find in its samples, and what a model adds; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobplatform.workers.faults import faults
from jobplatform.workers.sample import Sample, Worker
from jobplatform.workers.standstill import standstills
from jobplatform.workers.strain import strains
from jobplatform.workers.symptom import Health, Symptom, View, lasting, present

#: A worker is replaced when it is failing with more confidence than this.
SURE = 0.8
#: And when so many verdicts in a row said so: a single one proves nothing.
VERDICTS = 2
#: Who judges without a model.
RULES = "rules"
#: Fewer samples than these say little, unless they stop.
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a worker is.

    :param reason: in words.
    :param decided_by: ``rules``, or ``model:`` and its version.
    :param rules: what spoke against it, by name.
    :param features: the numbers behind it.
    """

    health: Health
    confidence: float
    reason: str
    decided_by: str = RULES
    rules: tuple[str, ...] = ()
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_sure(self) -> bool:
        """Tell whether the worker is to be replaced."""
        return self.health is Health.FAILING and self.confidence > SURE


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a model says of a worker.

    :param chance: that it fails before long.
    :param alarm: from which chance on it is taken for failing.
    :param seconds: what "before long" means.
    :param counts: whether it may decide, or only says what it would.
    """

    version: int
    chance: float
    alarm: float
    seconds: float
    counts: bool
    features: Mapping[str, float] = field(default_factory=dict)


def verdict(
    worker: Worker, samples: Sequence[Sample], now: float, view: View | None = None, foretold: Foretold | None = None
) -> Verdict:
    """Judge a worker by its samples, oldest first, and by what is known beside them.

    :param now: seconds since the epoch, by the clock of the samples.
    :param foretold: what a model says, if one is there.
    """
    view = view or View()
    if not samples:
        return Verdict(Health.HEALTHY, 0.0, "nothing was heard of it yet")
    if worker.duty == "drain":
        return Verdict(Health.HEALTHY, 0.5, "it ends what it runs and leaves")
    found = standstills(worker, samples, now, view)
    if len(samples) >= _FEWEST:
        found += [*strains(samples), faults(samples, view), _of_model(foretold)]  # type: ignore[list-item]
    return _combined(present(found), samples, view, foretold)


def _of_model(foretold: Foretold | None) -> Symptom | None:
    if foretold is None or not foretold.counts or foretold.chance < foretold.alarm:
        return None
    reason = (
        f"model {foretold.version} says that it fails within {lasting(foretold.seconds)} with a chance of "
        f"{foretold.chance:.0%}, "
        f"from {foretold.alarm:.0%} on it warns"
    )
    return Symptom("model", Health.FAILING, 0.85, reason)


def _combined(found: Sequence[Symptom], samples: Sequence[Sample], view: View, foretold: Foretold | None) -> Verdict:
    features = _numbers(samples, foretold)
    if not found:
        few = len(samples) < _FEWEST
        words = f"{len(samples)} samples say little yet" if few else _well(samples, view)
        return Verdict(Health.HEALTHY, 0.5 if few else 0.9, words, features=features)
    worst, *others = found
    reason = "; also, ".join([worst.reason, *(each.reason for each in others[:2])])
    if worst.rule == "silence" and not others:
        reason += "; nothing spoke against it before, so no warning was possible"
    by = f"model:{foretold.version}" if foretold is not None and worst.rule == "model" else RULES
    return Verdict(worst.health, worst.confidence, reason, by, tuple(each.rule for each in found), features)


def _well(samples: Sequence[Sample], view: View) -> str:
    beside = f"beside {len(view.others)} others" if view.others else "without others to compare with"
    return (
        f"nothing speaks against it in {len(samples)} samples over {lasting(samples[-1].at - samples[0].at)}, {beside}"
    )


def _numbers(samples: Sequence[Sample], foretold: Foretold | None) -> dict[str, float]:
    last = samples[-1]
    known = {
        "tree_rss": last.tree_rss,
        "memory_left": last.memory_left,
        "loop_wait": last.loop_wait,
        "jitter": last.jitter,
        "samples": len(samples),
    }
    if foretold is not None:
        known.update(chance=round(foretold.chance, 4), alarm=round(foretold.alarm, 4), model=foretold.version)
    return {name: value for name, value in known.items() if value is not None}
