"""The worlds in which policies are compared; everything random about them is drawn from the seed alone."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from numpy.random import Generator, default_rng

from benchmarks.retry.calendar import Calendar, fixed_windows, random_spans, synthetic_durations
from benchmarks.retry.errors import CLIENTS
from benchmarks.retry.ranges import Range, Ranges
from benchmarks.retry.world import CAP, Bucket, Capacity, Dependency, Job, JobType, Luck, Trouble, World

#: Streams of random numbers that do not depend on each other.
_TYPES, _CALENDARS, _ARRIVALS, _LUCK, _DURATIONS = range(5)
#: Job types that depend on nothing.
_LOCAL = 0.15
#: The deviation of the logarithm of how long a job runs.
_RUN_DEVIATION = 0.4


@dataclass(frozen=True, slots=True)
class Draft:
    """A world that is being drawn.

    :param durations: of real outages, in seconds.
    :param spikes: hosts whose jobs also arrive many at once.
    """

    name: str
    seed: int
    ranges: Ranges
    durations: Sequence[float]
    types: tuple[JobType, ...] = ()
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    spikes: frozenset[str] = frozenset()
    arrivals: float = 1.0

    @property
    def horizon(self) -> float:
        """Give the seconds in which jobs arrive."""
        return self.ranges.hours * 3600.0

    def stream(self, purpose: int, name: str = "") -> Generator:
        """Give the random numbers of one purpose."""
        return default_rng([self.seed, zlib.crc32(self.name.encode()), purpose, zlib.crc32(name.encode())])

    def rate_of(self, host: str) -> float:
        """Give the jobs a second that depend on a host."""
        total = sum(each.weight for each in self.types)
        return self.arrivals * sum(each.weight for each in self.types if each.host == host) / total


#: Makes the dependency of a host what its world is about.
Shape = Callable[[Draft, str, Generator], Dependency]


def draw_world(name: str, seed: int, ranges: Ranges, durations: Sequence[float] = ()) -> World:
    """Draw a world.

    :param durations: of real outages, in seconds; synthetic ones without.
    """
    draft = Draft(name, seed, ranges, durations)
    draft = replace(draft, durations=durations or synthetic_durations(draft.stream(_DURATIONS)))
    return _populate(WORLDS[name](draft))


def _uniform(draw: Generator, bounds: Range) -> float:
    return float(draw.uniform(*bounds))


def _integer(draw: Generator, bounds: tuple[int, int]) -> int:
    return int(draw.integers(bounds[0], bounds[1] + 1))


def _settle(draft: Draft, hosts: tuple[int, int], types: tuple[int, int], blip: Range, permanent: Range) -> Draft:
    """Draw the job types and what they depend on."""
    draw = draft.stream(_TYPES)
    names = [f"{_word(draw)}{number}.local" for number in range(_integer(draw, hosts))]
    many = max(len(names), _integer(draw, types))
    kinds = tuple(_job_type(draw, number, names, blip, permanent) for number in range(many))
    return replace(draft, types=kinds, arrivals=_uniform(draw, draft.ranges.arrivals))


def _word(draw: Generator) -> str:
    return str(draw.choice(["api", "billing", "search", "mail", "stock", "ledger", "media", "geo"]))


def _job_type(draw: Generator, number: int, hosts: Sequence[str], blip: Range, permanent: Range) -> JobType:
    host = hosts[number] if number < len(hosts) else str(draw.choice(hosts))
    return JobType(
        name=f"{_word(draw)}.job{number}",
        host=None if number >= len(hosts) and draw.random() < _LOCAL else host,
        weight=float(draw.lognormal(0.0, 0.7)),
        seconds=float(draw.lognormal(0.0, 0.8)),
        blip=_uniform(draw, blip),
        permanent=_uniform(draw, permanent) if permanent[1] > 0 else 0.0,
        client=str(draw.choice(CLIENTS)),
        telling=bool(draw.random() < 0.5),
    )


def _shape(draft: Draft, shape: Shape) -> Draft:
    hosts = sorted({each.host for each in draft.types if each.host is not None})
    return replace(draft, dependencies={host: shape(draft, host, draft.stream(_CALENDARS, host)) for host in hosts})


def _plain(draft: Draft, host: str, draw: Generator) -> Dependency:
    return Dependency(host)


def _memoryless(draft: Draft, host: str, draw: Generator) -> Dependency:
    mean = _uniform(draw, draft.ranges.outage)
    return Dependency(host, _outages(draft, draw, lambda: float(draw.exponential(mean))))


def _real(draft: Draft, host: str, draw: Generator) -> Dependency:
    return Dependency(host, _outages(draft, draw, lambda: float(draw.choice(draft.durations))))


def _outages(draft: Draft, draw: Generator, length: Callable[[], float]) -> Calendar:
    gap = _uniform(draw, draft.ranges.gap)
    return random_spans(draw, draft.horizon, gap, length, lambda: _uniform(draw, draft.ranges.strength))


def _windowed(draft: Draft, host: str, draw: Generator) -> Dependency:
    period, length = _uniform(draw, draft.ranges.period), _uniform(draw, draft.ranges.window)
    return Dependency(host, fixed_windows(draft.horizon, float(draw.uniform(0.0, period)), period, length))


def _limited(draft: Draft, host: str, draw: Generator) -> Dependency:
    rate = draft.rate_of(host) * _uniform(draw, draft.ranges.limit) + _spike_rate(draft, draft.ranges.spike)
    low = _uniform(draw, draft.ranges.after)
    high = max(low + 1.0, _uniform(draw, draft.ranges.after))
    return Dependency(host, bucket=Bucket(rate, max(5.0, 10.0 * rate), (low, high)))


def _spike_rate(draft: Draft, size: Range) -> float:
    """Give the mean jobs a second that spikes add to a host."""
    return sum(size) / sum(draft.ranges.spike_gap)


def _overloaded(draft: Draft, host: str, draw: Generator) -> Dependency:
    ranges = draft.ranges
    rate = (draft.rate_of(host) + _spike_rate(draft, ranges.surge)) * _uniform(draw, ranges.capacity)
    gap, mean = _uniform(draw, ranges.brownout_gap), _uniform(draw, ranges.brownout)
    browned = random_spans(
        draw, draft.horizon, gap, lambda: float(draw.exponential(mean)), lambda: _uniform(draw, ranges.browned)
    )
    return Dependency(host, capacity=Capacity(rate, waste=_uniform(draw, ranges.waste), brownouts=browned))


def _any(draft: Draft, host: str, draw: Generator) -> Dependency:
    """Make a dependency of any kind, as they come together in one platform."""
    shapes: Sequence[Shape] = (_plain, _memoryless, _windowed, _real, _limited, _overloaded)
    return shapes[int(draw.integers(len(shapes)))](draft, host, draw)


def _of_one_kind(shape: Shape, spiky: bool = False) -> Callable[[Draft], Draft]:
    def make(draft: Draft) -> Draft:
        ranges = draft.ranges
        shaped = _shape(_settle(draft, ranges.hosts, ranges.types, ranges.slight, (0.0, 0.0)), shape)
        return replace(shaped, spikes=frozenset(shaped.dependencies) if spiky else frozenset())

    return make


def _blips(draft: Draft) -> Draft:
    ranges = draft.ranges
    return _shape(_settle(draft, ranges.hosts, ranges.types, ranges.blip, (0.0, 0.0)), _plain)


def _permanent(draft: Draft) -> Draft:
    ranges = draft.ranges
    return _shape(_settle(draft, ranges.hosts, ranges.types, ranges.slight, ranges.permanent), _plain)


def _mixed(draft: Draft) -> Draft:
    ranges = draft.ranges
    bounds = (0.0, ranges.permanent[1] / 4)
    settled = _settle(draft, ranges.mixed_hosts, ranges.mixed_types, (0.0, ranges.blip[1] / 2), bounds)
    shaped = _shape(settled, _any)
    spiky = (host for host, each in shaped.dependencies.items() if each.bucket or each.capacity)
    return replace(shaped, spikes=frozenset(spiky))


#: By name, in the order of the report.
WORLDS: dict[str, Callable[[Draft], Draft]] = {
    "blips": _blips,
    "outages": _of_one_kind(_memoryless),
    "windows": _of_one_kind(_windowed),
    "real": _of_one_kind(_real),
    "limits": _of_one_kind(_limited, spiky=True),
    "permanent": _permanent,
    "overload": _of_one_kind(_overloaded, spiky=True),
    "mixed": _mixed,
}


def _populate(draft: Draft) -> World:
    """Draw the jobs and the luck of all their attempts."""
    draw = draft.stream(_ARRIVALS)
    arrivals = sorted((*_steady(draft, draw), *_spiked(draft)), key=lambda pair: pair[0])
    jobs = tuple(_job(draw, draft.seed, index, kind, at) for index, (at, kind) in enumerate(arrivals))
    return World(
        name=draft.name,
        seed=draft.seed,
        horizon=draft.horizon,
        types=draft.types,
        dependencies=draft.dependencies,
        jobs=jobs,
        luck=draw_luck(draft.stream(_LUCK), len(jobs), CAP),
    )


def _steady(draft: Draft, draw: Generator) -> list[tuple[float, JobType]]:
    times = draw.uniform(0.0, draft.horizon, int(draw.poisson(draft.arrivals * draft.horizon)))
    weights = [each.weight for each in draft.types]
    kinds = draw.choice(len(weights), size=len(times), p=[weight / sum(weights) for weight in weights])
    return [(float(at), draft.types[int(kind)]) for at, kind in zip(times, kinds, strict=True)]


def _spiked(draft: Draft) -> list[tuple[float, JobType]]:
    """Draw jobs that arrive many within a second, as a scheduled batch does."""
    found = []
    for host in sorted(draft.spikes):
        draw = draft.stream(_ARRIVALS, host)
        kinds = [each for each in draft.types if each.host == host]
        size = draft.ranges.surge if draft.dependencies[host].capacity else draft.ranges.spike
        at = float(draw.exponential(_uniform(draw, draft.ranges.spike_gap)))
        while at < draft.horizon:
            kind = kinds[int(draw.integers(len(kinds)))]
            found += [(at + float(draw.random()), kind) for _ in range(int(_uniform(draw, size)))]
            at += 1.0 + float(draw.exponential(_uniform(draw, draft.ranges.spike_gap)))
    return found


def _job(draw: Generator, seed: int, index: int, kind: JobType, at: float) -> Job:
    doomed, disguised, run = draw.random(), draw.random(), float(draw.lognormal(0.0, _RUN_DEVIATION))
    trouble = None
    if doomed < kind.permanent:
        trouble = Trouble.DISGUISED if disguised < kind.disguised else Trouble.REFUSED
    return Job(index, job_id(seed, index), kind, at, kind.seconds * run, trouble)


def job_id(seed: int, index: int) -> str:
    """Name a job by its place."""
    return f"{seed % 2**32:08x}-0000-7000-8000-{index:012x}"


def draw_luck(draw: Generator, jobs: int, attempts: int) -> list[list[Luck]]:
    """Draw the luck of each attempt of each job."""
    return [[Luck(*attempt) for attempt in job] for job in draw.random((jobs, attempts, 4)).tolist()]
