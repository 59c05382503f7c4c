"""The command ``capacity``: what would have been with another number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from jobplatform.cli.connect import open_database, require_settings
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DURATION, SINCE
from jobplatform.settings import Settings
from jobplatform.store import models, scaling
from jobplatform.store.database import Transaction
from jobplatform.workers.simulation import Arrival, Policy, Site, fixed, simulate

_COLUMNS = ("policy", "jobs", "late", "late_share", "wait_p50", "wait_p95", "wait_max", "worker_hours", "most_workers")
#: More recorded starts are too many to be run at once.
_MOST = 2_000_000


@click.command(short_help="Say what would have been with another number of workers.")
@click.option("--workers", type=click.IntRange(1, 100_000), multiple=True, help="So many; several are compared.")
@click.option("--queue", help="Only the jobs of this queue.")
@click.option("--from", "since", type=SINCE, default="1d", show_default=True, help="Jobs that were submitted since.")
@click.option("--to", "until", type=SINCE, default="0s", show_default=True, help="Jobs that were submitted before.")
@click.option(
    "--slots", type=click.IntRange(1, 10_000), help="Jobs that a worker runs at once, else the setting, or 1."
)
@click.option("--slo", type=DURATION, help="How long a job may wait, else the setting says.")
@click.option("--start", type=DURATION, help="How long a worker takes to start, else the setting says.")
@click.option("--scaler", is_flag=True, help="Compare the rate rule, the model in force, and the future known.")
@json_option
@mapped()
def capacity(
    workers: tuple[int, ...], queue: str | None, since: datetime, until: datetime, scaler: bool, output: Output,
    slots: int | None, slo: Any, start: Any,
) -> None:  # fmt: skip
    """Run recorded jobs once more in simulated time, and print waits, jobs that waited too long, and worker-hours.

    A start of a job counts as an arrival of its own, and takes as long as it took.
    """
    if not workers and not scaler:
        raise click.UsageError("say what to compare: --workers and a number, --scaler, or both")
    settings = _changed(require_settings(), slots, slo, start)
    with open_database(settings) as database, database.session() as session:
        arrivals = _arrivals(session, queue, since, until)
        policies = dict(_policies(session, settings, arrivals, workers, scaler))
    found = [_row(name, *each, settings, arrivals) for name, each in policies.items()]
    if output.as_json:
        output.json({"queue": queue, "from": since, "to": until, "policies": found})
    else:
        output.table(found, _COLUMNS, empty="")


def _changed(settings: Settings, slots: int | None, slo: Any, start: Any) -> Settings:
    values = {
        "worker_slots": slots,
        "wait_slo_seconds": slo and slo.total_seconds(),
        "worker_start_seconds": start and start.total_seconds(),
    }
    return replace(settings, **{name: value for name, value in values.items() if value is not None})


def _arrivals(session: Transaction, queue: str | None, since: datetime, until: datetime) -> list[Arrival]:
    found = scaling.arrivals(session, queue, since, until, _MOST)
    if not found:
        raise CommandError(
            "no job ran that was submitted in this time; choose another --from, --to or --queue", Exit.NOT_FOUND
        )
    if len(found) == _MOST:
        raise CommandError(f"there are more than {_MOST:,} starts in this time; choose a shorter one", Exit.USAGE)
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
