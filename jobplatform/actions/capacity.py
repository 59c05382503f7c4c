"""What would have been with another number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden, JobNotFound, JobOptionError
from jobplatform.settings import Settings
from jobplatform.store import models, scaling
from jobplatform.store.database import Transaction
from jobplatform.store.shapes.capacity import Simulated
from jobplatform.workers.simulation import Arrival, Policy, Site, fixed, simulate

#: More recorded starts are too many to be run at once.
MOST = 2_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be compared, over which jobs.

    :param since: jobs that were submitted since, and before ``until``.
    :param workers: numbers of workers.
    :param scaler: compare the rate rule, the model in force, and the future known as well.
    :param queue: only the jobs of this queue.
    :param slots: jobs that a worker runs at once; the setting says if None.
    :param slo: seconds for which a job may wait; the setting says if None.
    :param start: seconds that a worker takes to start; the setting says if None.
    :param most: the most starts of jobs that are run once more.
    """

    since: datetime
    until: datetime
    workers: tuple[int, ...] = ()
    scaler: bool = False
    queue: str | None = None
    slots: int | None = None
    slo: float | None = None
    start: float | None = None
    most: int = MOST


@action("capacity.ask", Permission.WORKERS_READ)
def ask(desk: Desk, actor: Actor, question: Question) -> list[Annotated[Mapping[str, Any], Simulated]]:
    """Run recorded jobs once more in simulated time: waits, jobs that waited too long, and worker-hours by policy.

    :raises JobNotFound: when no job ran in this time.
    :raises JobOptionError: when nothing is to be compared, or there are too many starts.
    :raises Forbidden: when the queue is out of the actor's scope.
    """
    if not question.workers and not question.scaler:
        raise JobOptionError("workers: nothing says what to compare; give numbers of workers, the scaler, or both")
    _admit(actor, question.queue)
    settings = _changed(desk.settings, question)
    with desk.look() as session:
        arrivals = _arrivals(session, question)
        policies = dict(_policies(session, settings, arrivals, question.workers, question.scaler))
    return [_row(name, *each, settings, arrivals) for name, each in policies.items()]


def _admit(actor: Actor, queue: str | None) -> None:
    """Keep to the actor's scope: counts of jobs are told of queues that are in it, all tenants together."""
    scope = actor.scope
    if scope.tenants is not None or (scope.queues is not None and queue not in scope.queues):
        where = "jobs of all tenants" if scope.tenants is not None else f"queue {queue or 'of any name; name one'}"
        raise Forbidden("capacity.ask", str(Permission.WORKERS_READ), where)


def _changed(settings: Settings, question: Question) -> Settings:
    values: dict[str, Any] = {
        "worker_slots": question.slots,
        "wait_slo_seconds": question.slo,
        "worker_start_seconds": question.start,
    }
    return replace(settings, **{name: value for name, value in values.items() if value is not None})


def _arrivals(session: Transaction, question: Question) -> list[Arrival]:
    most = min(question.most, MOST)
    found = scaling.arrivals(session, question.queue, question.since, question.until, most)
    if not found:
        raise JobNotFound("no job ran that was submitted in this time; choose another --from, --to or --queue")
    if len(found) == most:
        raise JobOptionError(f"there are more than {most:,} starts in this time; choose a shorter one")
    return [
        Arrival(row["at"], max(0.0, row["seconds"]), row["priority"], row["foretold"], row["most"]) for row in found
    ]


def _policies(
    session: Transaction, settings: Settings, arrivals: Sequence[Arrival], workers: Sequence[int], scaler: bool
) -> Iterator[tuple[str, tuple[Policy, Site]]]:
    """Give the policies to compare, and where they run, by name."""
    site = Site(settings.worker_slots or 1, settings.worker_start_seconds, settings.scale_seconds)
    for count in workers:
        yield f"{count} workers", (fixed(count), replace(site, first=count))
    if not scaler:
        return
    from jobplatform.learning.view import ahead_of
    from jobplatform.workers.policies import ByForecast, ByRate, Foreseen
    from jobplatform.workers.scaler import bounds_of

    ahead = ahead_of(settings)
    bounds, first = bounds_of(settings), replace(site, first=settings.fleet_min)
    yield "rate rule", (ByRate(bounds, ahead), first)
    model = _model(session)
    if model is not None:
        yield "model", (ByForecast(bounds, ahead, settings.late_cost, model), first)
    yield "future known", (Foreseen(bounds, site, arrivals), first)


def _model(session: Transaction) -> Any:
    head = models.in_force(session, models.DEMAND)
    found = None if head is None else models.artifact(session, head["version"])
    if found is None:
        return None
    from jobplatform.learning.demand import Demand

    return Demand.from_bytes(*found)


def _row(name: str, policy: Policy, site: Site, settings: Settings, arrivals: Sequence[Arrival]) -> Mapping[str, Any]:
    """Run one policy; the time that counts ends when the last job could have begun in time."""
    until = arrivals[-1].at + settings.wait_slo_seconds + site.interval
    ran = simulate(arrivals, policy, site, arrivals[0].at, until)
    waits = sorted(ran.waits)
    late = ran.misses(settings.wait_slo_seconds)
    return {
        "policy": name,
        "jobs": len(waits),
        "late": late,
        "late_share": round(late / len(waits), 4),
        **{f"wait_p{level}": _seconds(waits[int(len(waits) * level / 100)]) for level in (50, 95)},
        "wait_max": _seconds(waits[-1]),
        "worker_hours": round(ran.worker_hours, 2),
        "most_workers": max(ran.workers, default=site.first),
    }


def _seconds(wait: float) -> float:
    return round(wait, 1)
