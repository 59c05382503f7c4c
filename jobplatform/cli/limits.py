"""The group ``limits``: how much runs at once, how much begins in a time, and in which order queues are served."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from jobplatform.actions import limits as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import Duration
from jobplatform.limits import Limit, parse_rate

_COLUMNS = ("name", "slots", "used", "rate", "burst", "waiting", "declared")
_ORDER_COLUMNS = ("queue", "fair", "age_seconds", "weights")


@click.group(short_help="Say how much runs at once, and in which order.")
def limits() -> None:
    """Say how much runs at once, how much begins in a time, and in which order queues are served.

    A limit is named after what it bounds: queue:NAME, type:NAME, key:NAME, or key:PREFIX:* for each such key. A change
    counts within a second, without a restart.
    """


@limits.command("list")
@json_option
@mapped()
def list_limits(output: Output) -> None:
    """List the limits and what is held of them, and the queues that are served in an order of their own."""
    with open_desk() as (desk, actor):
        found, orders = actions.list_limits(desk, actor)
    if output.as_json:
        output.json({"limits": list(found), "queues": list(orders)})
        return
    output.table(found, _COLUMNS, empty="there are no limits")
    if orders:
        output.section("queues", orders, _ORDER_COLUMNS)


@limits.command("set")
@click.argument("name")
@click.option("--slots", type=int, help="Units that may be held at once, over all workers.")
@click.option("--rate", help="Units that may begin in a time, such as 100/s, 20/m or 30/10s.")
@click.option("--burst", type=float, help="Units that may begin at once after a pause.  [default: those of a second]")
@json_option
@mapped()
def set_limit(name: str, slots: int | None, rate: str | None, burst: float | None, output: Output) -> None:
    """Set a limit; what runs already counts, and is not stopped."""
    limit = Limit(name, slots, None if rate is None else parse_rate(rate), burst)
    with open_desk() as (desk, actor):
        actions.set_limit(desk, actor, limit)
    _report({"name": name, "slots": slots, "rate": limit.rate, "burst": burst}, f"{name} is limited", output)


@limits.command("remove")
@click.argument("names", nargs=-1, required=True)
@json_option
@mapped()
def remove_limits(names: tuple[str, ...], output: Output) -> None:
    """Remove limits; what they held back goes on."""
    with open_desk() as (desk, actor):
        removed = list(actions.remove_limits(desk, actor, names))
    _report({"removed": removed}, f"removed: {', '.join(removed) or 'none'}", output)
    for name in sorted(set(names) - set(removed)):
        raise CommandError(f"there is no limit {name}; see: jobplatform limits list", Exit.NOT_FOUND)


@limits.command("order")
@click.argument("queue")
@click.option("--fair/--first-come", default=False, help="By tenants and their weights, or first come, first served.")
@click.option("--age", type=Duration(), help="What waits is one step of priority more urgent each so often.")
@json_option
@mapped()
def set_order(queue: str, fair: bool, age: timedelta | None, output: Output) -> None:
    """Say in which order a queue is served."""
    with open_desk() as (desk, actor):
        actions.set_order(desk, actor, queue, fair, None if age is None else age.total_seconds())
    how = "by tenants and their weights" if fair else "first come, first served"
    _report(
        {"queue": queue, "fair": fair, "age_seconds": age and age.total_seconds()}, f"{queue} is served {how}", output
    )


@limits.command("weight")
@click.argument("queue")
@click.argument("tenant")
@click.argument("weight", type=click.FloatRange(0.001, 1_000_000))
@json_option
@mapped()
def set_weight(queue: str, tenant: str, weight: float, output: Output) -> None:
    """Say how much of a queue in fair order a tenant gets; others weigh 1."""
    with open_desk() as (desk, actor):
        actions.set_weight(desk, actor, queue, tenant, weight)
    _report({"queue": queue, "tenant": tenant, "weight": weight}, f"{tenant} weighs {weight:g} in {queue}", output)


def _report(value: dict[str, Any], words: str, output: Output) -> None:
    if output.as_json:
        output.json(value)
    else:
        output.line(words)
