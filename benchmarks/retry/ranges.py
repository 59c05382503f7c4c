"""What the parameters of worlds are drawn from: narrower for training than for evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ranges:
    """From and to of each parameter; times are in seconds.

    :param hours: simulated.
    :param arrivals: jobs a second.
    :param types: job types of a world, and of the mixed one.
    :param hosts: dependencies of a world, and of the mixed one.
    :param blip: the chance that an attempt fails by itself, a job type each.
    :param slight: the same where blips are not what the world is about.
    :param permanent: the share of jobs that cannot succeed, a job type each.
    :param outage: the mean of memoryless outages.
    :param gap: the mean from an outage to the next, of a dependency.
    :param strength: the share of calls that an outage fails.
    :param window, period: fixed windows.
    :param limit: tokens a second beside the arrivals of the dependency.
    :param after: what ``Retry-After`` says.
    :param spike: how many jobs arrive at once, and the mean seconds to the next such spike.
    :param surge: the same where calls are not refused but become slow.
    :param capacity: calls a second beside the arrivals of the dependency.
    :param waste: the work that a failed call costs, in calls.
    :param brownout: seconds for which capacity is gone; the share of it.
    """

    hours: float = 2.0
    arrivals: Range = (1.3, 1.8)
    types: tuple[int, int] = (8, 14)
    mixed_types: tuple[int, int] = (45, 55)
    hosts: tuple[int, int] = (3, 4)
    mixed_hosts: tuple[int, int] = (8, 10)
    blip: Range = (0.10, 0.35)
    slight: Range = (0.0, 0.05)
    permanent: Range = (0.10, 0.30)
    outage: Range = (120.0, 400.0)
    gap: Range = (1500.0, 2700.0)
    strength: Range = (0.95, 1.0)
    window: Range = (120.0, 400.0)
    period: Range = (1800.0, 2700.0)
    limit: Range = (1.2, 1.8)
    after: Range = (10.0, 40.0)
    spike: Range = (40.0, 120.0)
    spike_gap: Range = (500.0, 900.0)
    surge: Range = (10.0, 40.0)
    capacity: Range = (1.5, 2.0)
    waste: Range = (0.2, 0.5)
    brownout: Range = (90.0, 240.0)
    brownout_gap: Range = (1500.0, 2400.0)
    browned: Range = (0.6, 0.8)

    def as_row(self) -> dict[str, object]:
        """Give all ranges by name."""
        return asdict(self)


TRAINING = Ranges()
EVALUATION = replace(
    TRAINING,
    arrivals=(0.9, 2.3),
    types=(6, 20),
    mixed_types=(40, 60),
    hosts=(2, 6),
    mixed_hosts=(5, 14),
    blip=(0.02, 0.5),
    slight=(0.0, 0.1),
    permanent=(0.03, 0.5),
    outage=(60.0, 700.0),
    gap=(900.0, 3600.0),
    strength=(0.85, 1.0),
    window=(60.0, 700.0),
    period=(1200.0, 3600.0),
    limit=(1.05, 2.5),
    after=(3.0, 90.0),
    spike=(20.0, 300.0),
    spike_gap=(300.0, 1500.0),
    surge=(5.0, 80.0),
    capacity=(1.25, 2.5),
    waste=(0.1, 0.7),
    brownout=(45.0, 420.0),
    brownout_gap=(900.0, 3600.0),
    browned=(0.4, 0.95),
)
