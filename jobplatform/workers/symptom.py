"""What speaks against a worker, and what is known beside its own samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from jobplatform.workers.sample import Sample, Worker

MIB = 1024 * 1024


class Health(StrEnum):
    """How a worker is, from best to worst."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"

    @property
    def rank(self) -> int:
        """The place in that order."""
        return list(Health).index(self)


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that speaks against a worker.

    :param rule: what found it.
    :param reason: in words.
    """

    rule: str
    health: Health
    confidence: float
    reason: str


class Ready(NamedTuple):
    """Messages that could be handed out, and how long the oldest of them has waited, in seconds."""

    depth: int
    oldest: float


@dataclass(frozen=True, slots=True)
class View:
    """What is known beside a worker's own samples.

    :param beat_seconds: between two heartbeats.
    :param heard_since: since when all heartbeats are heard without a gap, in seconds since the epoch.
    :param others: the other workers that live, with their samples.
    :param ready: by queue, what waits there; queues that are paused are left out.
    :param hindrance: what keeps messages from being handed out although they wait, in words.
    """

    beat_seconds: float = 5.0
    heard_since: float = 0.0
    others: Mapping[str, tuple[Worker, Sequence[Sample]]] = field(default_factory=dict)
    ready: Mapping[str, Ready] = field(default_factory=dict)
    hindrance: str = ""


def since(samples: Sequence[Sample], at: float) -> list[Sample]:
    """Give the samples from a time on."""
    return [sample for sample in samples if sample.at >= at]


def lasting(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def present(symptoms: Iterable[Symptom | None]) -> list[Symptom]:
    """List what was found, the worst first."""
    found = [symptom for symptom in symptoms if symptom is not None]
    return sorted(found, key=lambda each: (-each.health.rank, -each.confidence))
