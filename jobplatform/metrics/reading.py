"""What was measured, as plain values, and its text for Prometheus."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from platform import python_version
from typing import NamedTuple

from jobplatform.decision import BOUNDS
from jobplatform.metrics.names import BUILD_INFO, Kind, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: What all types, or queues, are counted as that are not among those which are told apart.
OTHER = "other"


class Reading(NamedTuple):
    """The value of a metric for its labels, in their order."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class Spread(NamedTuple):
    """How often a time was in each part of a distribution, one part more than there are bounds, and the sum of all."""

    metric: Metric
    counts: Sequence[int]
    total: float
    labels: tuple[str, ...] = ()


def build(process: str) -> Reading:
    """Tell what runs here."""
    from importlib.metadata import version

    return Reading(BUILD_INFO, 1.0, (version("jobplatform"), python_version(), process))


def bounded(names: Iterable[tuple[str, float]], most: int) -> set[str]:
    """Name those that count most; the others are told as one.

    :param names: each with how much it counts.
    """
    ranked = sorted(names, key=lambda pair: (-pair[1], pair[0]))
    return {name for name, _ in ranked[:most]}


def text_of(readings: Iterable[Reading | Spread]) -> bytes:
    """Write readings in the text format of Prometheus; those of one metric may be apart."""
    # Imported here: processes that nobody scrapes do without it.
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(list(readings)))  # type: ignore[arg-type]
    return generate_latest(registry)


class _Told:
    """Readings as a registry collects them."""

    def __init__(self, readings: Sequence[Reading | Spread]) -> None:
        self.readings = readings

    def collect(self) -> Iterator[object]:
        found: dict[Metric, list[Reading | Spread]] = {}
        for reading in self.readings:
            found.setdefault(reading.metric, []).append(reading)
        return (_family(metric, each) for metric, each in found.items())


def _family(metric: Metric, readings: Sequence[Reading | Spread]) -> object:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if metric.kind is Kind.HISTOGRAM:
        spreads = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        for each in readings:
            if isinstance(each, Spread):
                spreads.add_metric(each.labels, _parts(each.counts), each.total)
        return spreads
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(metric.name, metric.meaning, labels=metric.labels)
    for each in readings:
        if isinstance(each, Reading):
            family.add_metric(each.labels, each.value)
    return family


def _parts(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Give how many times are below each bound, as Prometheus wants them."""
    names = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    return list(zip(names, map(float, itertools.accumulate(counts)), strict=True))
