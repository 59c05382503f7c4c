"""Which faults strike when: a pure function of the seed and the minutes, so that a run can be repeated.

One fault at a time is what the platform promises to survive, and any sequence of them. So stores never fail within
seconds of each other (the gaps below), nothing else but the death of a client comes near a FLUSHALL, and while a worker
dies in a *calm* nothing is in the way of its rescue, which makes the recovery time measurable.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

WORKERS = ("w0", "w1", "w2")
CONTROLLER = "controller"
BEATS = ("b0", "b1")
CLIENTS = ("c0", "c1", "c2")
#: Who reaches the stores by links of its own.
PARTIES = (*WORKERS, CONTROLLER, "clients", "beats")
#: Seconds at the start and at the end of a run without faults.
LEAD, TAIL = 5.0, 5.0
#: How long nothing but children and clients is struck after the worker that dies in a calm, in seconds.
CALM = 27.0
#: How long all must have been well before a calm, but for stores, which need longer, in seconds.
WELL = 6.0
#: Seconds that a store must have been well before the next one fails.
AFTER_POSTGRES, AFTER_REDIS, AROUND_FLUSH, BEFORE_CALM = 15.0, 8.0, 25.0, 10.0


class Kind(StrEnum):
    """What a fault does."""

    KILL_CHILD = "kill_child"
    KILL_WORKER = "kill_worker"
    KILL_TREE = "kill_tree"
    KILL_CONTROLLER = "kill_controller"
    KILL_CLIENT = "kill_client"
    KILL_BEAT = "kill_beat"
    KILL_REDIS = "kill_redis"
    KILL_POSTGRES = "kill_postgres"
    STOP_WORKER = "stop_worker"
    STOP_TREE = "stop_tree"
    STOP_CONTROLLER = "stop_controller"
    STOP_BEAT = "stop_beat"
    CLIENT_KILL = "client_kill"
    FLUSHALL = "flushall"
    CUT = "cut"
    STALL = "stall"


KILLS = frozenset(kind for kind in Kind if kind.startswith("kill_"))
#: Faults of each kind in a minute; the deaths of workers in a calm come on top.
RATES = {
    Kind.KILL_CHILD: 5.0,
    Kind.KILL_WORKER: 1.0,
    Kind.KILL_TREE: 0.8,
    Kind.KILL_CONTROLLER: 1.8,
    Kind.KILL_CLIENT: 2.8,
    Kind.STOP_WORKER: 0.5,
    Kind.STOP_TREE: 0.5,
    Kind.STOP_CONTROLLER: 0.5,
    Kind.CLIENT_KILL: 1.0,
    Kind.CUT: 1.0,
    Kind.STALL: 0.8,
    Kind.KILL_BEAT: 1.2,
    Kind.STOP_BEAT: 0.4,
}
STORE_RATES = {Kind.KILL_REDIS: 1.1, Kind.KILL_POSTGRES: 1.0, Kind.FLUSHALL: 0.4}
CALM_RATE = 0.8


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the plan.

    :param at: seconds since the load began.
    :param lasts: seconds until it is undone: the process started again or continued, the link healed.
    :param target: the link or process that is meant; where there are several of a kind, ``luck`` chooses.
    :param luck: from 0 to 1, an index into what lives at that moment.
    """

    at: float
    kind: Kind
    lasts: float = 0.0
    target: str = ""
    luck: float = 0.0

    @property
    def until(self) -> float:
        """When it is undone."""
        return self.at + self.lasts


Interval = tuple[float, float]


def links() -> list[str]:
    """Name the links that a fault can cut: from each party to each store."""
    return [f"{party}.{store}" for party in PARTIES for store in ("redis", "postgres")]


def plan(seed: int, minutes: float) -> list[Fault]:
    """Plan the faults of a run, in the order of their times."""
    luck = random.Random(f"chaos:{seed}")
    stores, calms = _plan_stores(luck, minutes)
    flushes = [fault.at for fault in stores if fault.kind is Kind.FLUSHALL]
    faults = [*stores, *(_calm_death(luck, start) for start, _ in calms)]
    for kind, rate in RATES.items():
        span = (LEAD, minutes * 60 - TAIL)
        faults += _spread(luck, kind, _count(rate, minutes), span, lambda fault: _allowed(fault, calms, flushes))
    return sorted(faults, key=lambda fault: fault.at)


def count_kills(faults: Iterable[Fault]) -> Counter[str]:
    """Count the planned kills by kind."""
    return Counter(str(fault.kind) for fault in faults if fault.kind in KILLS)


def _count(rate: float, minutes: float) -> int:
    return max(round(rate * minutes), 1 if minutes >= 1 and rate >= 0.8 else 0)


def _plan_stores(luck: random.Random, minutes: float) -> tuple[list[Fault], list[Interval]]:
    """Lay out what strikes the stores, and the calms, one after the other with their gaps."""
    room = minutes * 60 - LEAD - TAIL
    calms = _count(CALM_RATE, minutes)
    wanted = [kind for kind, rate in STORE_RATES.items() for _ in range(_count(rate, minutes))]
    while wanted or calms:
        for _ in range(200):
            order: list[Kind | None] = [*wanted, *[None] * calms]
            luck.shuffle(order)
            faults = [_store_fault(luck, kind) for kind in order]
            gaps = [0.0, *itertools.starmap(_gap, itertools.pairwise(order))]
            spare = room - sum(gaps) - sum(fault.lasts if fault else CALM for fault in faults)
            if spare >= 0:
                return _lay_out(luck, faults, gaps, spare)
        # Too little time for all: first the calms give way, then the faults.
        calms, wanted = (calms - 1, wanted) if calms else (0, wanted[:-1])
    return [], []


def _gap(before: Kind | None, after: Kind | None) -> float:
    """Give the seconds between the end of one and the start of the next; None is a calm."""
    if before is None:
        return 0.0
    if after is None:
        return BEFORE_CALM
    if Kind.FLUSHALL in (before, after):
        return AROUND_FLUSH
    return AFTER_POSTGRES if before is Kind.KILL_POSTGRES else AFTER_REDIS


def _store_fault(luck: random.Random, kind: Kind | None) -> Fault | None:
    if kind is None:
        return None
    return Fault(0.0, kind, 0.0 if kind is Kind.FLUSHALL else luck.uniform(0.5, 4.0))


def _lay_out(
    luck: random.Random, faults: Sequence[Fault | None], gaps: Sequence[float], spare: float
) -> tuple[list[Fault], list[Interval]]:
    shares = sorted(luck.uniform(0.0, spare) for _ in faults)
    at, given, laid, calms = LEAD, 0.0, list[Fault](), list[Interval]()
    for fault, gap, share in zip(faults, gaps, shares, strict=True):
        at += gap + share - given
        given = share
        if fault is None:
            calms.append((at, at + CALM))
            at += CALM
        else:
            laid.append(Fault(at, fault.kind, fault.lasts))
            at += fault.lasts
    return laid, calms


def _calm_death(luck: random.Random, start: float) -> Fault:
    kind = luck.choice((Kind.KILL_WORKER, Kind.KILL_TREE))
    return Fault(start + luck.uniform(0.0, 3.0), kind, luck.uniform(0.3, 2.0), luck=luck.random())


def _spread(
    luck: random.Random, kind: Kind, count: int, span: Interval, allowed: Callable[[Fault], bool]
) -> list[Fault]:
    """Spread faults of a kind over the run, each in a part of its own if it is allowed there."""
    made: list[Fault] = []
    part = (span[1] - span[0]) / count if count else 0.0
    for number in range(count):
        own = (span[0] + number * part, span[0] + (number + 1) * part)
        for attempt in range(400):
            fault = _draw(luck, kind, own if attempt < 100 else span)
            if fault.until <= span[1] and allowed(fault):
                made.append(fault)
                break
    return made


def _draw(luck: random.Random, kind: Kind, span: Interval) -> Fault:
    return Fault(luck.uniform(*span), kind, _lasts(luck, kind), _target(luck, kind), luck.random())


def _lasts(luck: random.Random, kind: Kind) -> float:
    if kind in (Kind.STOP_WORKER, Kind.STOP_TREE, Kind.STALL):
        # Some are longer than three heartbeats, so that the worker is taken for dead and comes back.
        return luck.uniform(17.0, 23.0) if luck.random() < 0.4 else luck.uniform(1.0, 8.0)
    if kind in (Kind.STOP_CONTROLLER, Kind.STOP_BEAT):
        return luck.uniform(2.0, 10.0)
    if kind is Kind.CUT:
        return luck.uniform(0.5, 6.0)
    if kind in KILLS and kind is not Kind.KILL_CHILD:
        return luck.uniform(0.3, 2.0)
    return 0.0


def _target(luck: random.Random, kind: Kind) -> str:
    return luck.choice(links()) if kind in (Kind.CUT, Kind.STALL) else ""


def _allowed(fault: Fault, calms: Sequence[Interval], flushes: Sequence[float]) -> bool:
    harmless = fault.kind in (Kind.KILL_CHILD, Kind.KILL_CLIENT)
    if not harmless and any(_meets(fault, (start - WELL, end)) for start, end in calms):
        return False
    if fault.kind is Kind.KILL_CLIENT:
        return True
    before = 15.0 if fault.kind in (Kind.KILL_CONTROLLER, Kind.STOP_CONTROLLER) else 5.0
    before = AROUND_FLUSH if fault.target.endswith(".postgres") else before
    return not any(_meets(fault, (flush - before, flush + 10.0)) for flush in flushes)


def _meets(fault: Fault, interval: Interval) -> bool:
    return fault.at <= interval[1] and fault.until >= interval[0]
