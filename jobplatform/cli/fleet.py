"""The group ``fleet``: how many workers there are to be, where they live, and who replaces whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from jobplatform.cli.connect import open_database, require_settings
from jobplatform.cli.exits import mapped
from jobplatform.cli.holding import operator
from jobplatform.cli.output import Output, json_option
from jobplatform.errors import SettingsError
from jobplatform.settings import Settings
from jobplatform.store import fleets
from jobplatform.store import replacements as rows
from jobplatform.store.database import Database

#: Leaves the number to the scaler, which asks under this name.
_AUTO, _SCALER = "auto", "scaler"
_COLUMNS = ("name", "stage", "asked", "asked_by", "pid", "busy", "silent")
_WISH_COLUMNS = ("pool", "wanted", "published", "reason", "asked_by", "asked_at")


@click.group(short_help="Say how many workers there are to be, and see who replaces whom.")
def fleet() -> None:
    """Say how many workers there are to be, and see who replaces whom.

    JOBPLATFORM_FLEET says where they live: as processes of this machine, by a formation file, or in Kubernetes.
    """


@contextmanager
def _members(settings: Settings, database: Database) -> Iterator[list[Any]]:
    """List the workers that were heard; the fleet is made for the time of the block."""
    from jobplatform.journal.writer import connect
    from jobplatform.workers.published_fleet import PublishedFleet
    from jobplatform.workers.roll import Roll

    client = connect(settings.journal_url, timeout=settings.connect_seconds)
    try:
        yield list(PublishedFleet(settings.fleet_pool, Roll(database, client, settings.stale_seconds)).members())
    finally:
        client.close()


@fleet.command("list")
@json_option
@mapped()
def list_members(output: Output) -> None:
    """List the workers that are heard, and what each is asked to do."""
    settings = require_settings()
    with open_database(settings) as database, _members(settings, database) as members:
        found = [asdict(member) for member in sorted(members, key=lambda member: member.name)]
    if output.as_json:
        output.json({"members": found})
    else:
        output.table(
            [{**row, "silent": f"{row['silent']:.1f} s"} for row in found], _COLUMNS, empty="no worker is heard"
        )


class _Size(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A number of workers, or ``auto``."""

    name = "number|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        return value if value == _AUTO else int(click.IntRange(0).convert(value, param, ctx))


@fleet.command("size")
@click.argument("wanted", type=_Size(), required=False)
@click.option("--reason", default="asked by hand", show_default=True, help="Why, kept with the wish.")
@click.option("--by", help="Who asks; who is logged in, if not given.")
@json_option
@mapped()
def size(wanted: int | str | None, reason: str, by: str | None, output: Output) -> None:
    """Show how many workers are wished for, or wish for so many.

    A number holds, whatever a scaler would have, until it is left to the scaler again with: fleet size auto.
    """
    settings = require_settings()
    if isinstance(wanted, int) and not settings.fleet_min <= wanted <= settings.fleet_max:
        raise SettingsError(
            f"{wanted} workers: a fleet has {settings.fleet_min} to {settings.fleet_max}; "
            "ask for so many, or change JOBPLATFORM_FLEET_MIN or JOBPLATFORM_FLEET_MAX"
        )
    with open_database(settings) as database, database.transaction() as transaction:
        if wanted == _AUTO:
            before = fleets.read(transaction, settings.fleet_pool)
            number = before["wanted"] if before else settings.fleet_min
            fleets.wish(transaction, settings.fleet_pool, number, f"left to it by {by or operator()}", _SCALER)
        elif isinstance(wanted, int):
            fleets.wish(transaction, settings.fleet_pool, wanted, reason, by or operator())
        found = fleets.read(transaction, settings.fleet_pool)
    if output.as_json:
        output.json(dict(found) if found else {"pool": settings.fleet_pool, "wanted": settings.fleet_min})
    elif found:
        output.record({name: found[name] for name in _WISH_COLUMNS})
    else:
        output.line(f"nobody has asked; there are to be {settings.fleet_min}, the least")


@fleet.command("replacements")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Replacements at most.")
@json_option
@mapped()
def list_replacements(limit: int, output: Output) -> None:
    """Tell which workers were replaced, why and how that went, the last first; and who is failing and stays."""
    from jobplatform.workers.replacement import sentence
    from jobplatform.workers.replacer import next_choice

    settings = require_settings()
    with open_database(settings) as database, _members(settings, database) as members, database.session() as session:
        found = [{**row, "sentence": sentence(row)} for row in rows.recent(session, limit)]
        choice = next_choice(session, settings, members, datetime.now(UTC))
    stays = choice.reason if choice.stays else None
    if output.as_json:
        output.json({"replacements": found, "stays": stays})
        return
    for line in [stays] if stays else []:
        output.line(line)
    for row in found:
        output.line(row["sentence"])
    if not found:
        output.line("no worker was replaced")


@fleet.command("wish")
@json_option
@mapped()
def wish(output: Output) -> None:
    """Print what Kubernetes is told: how many pods, and which of them may go first."""
    from jobplatform.workers.kubernetes_fleet import deletion_costs, wish_body

    settings = require_settings()
    with open_database(settings) as database, _members(settings, database) as members:
        with database.session() as session:
            body = wish_body(fleets.read(session, settings.fleet_pool), settings.fleet_min)
        costs = deletion_costs(members)
    if output.as_json:
        output.json({**body, "deletion_costs": costs})
        return
    output.record(body)
    for pod, cost in sorted(costs.items()):
        output.line(f"kubectl annotate pod {pod} --overwrite controller.kubernetes.io/pod-deletion-cost={cost}")


@fleet.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9_110, show_default=True, help="0 takes a free one.")
@mapped()
def serve(host: str, port: int) -> None:
    """Answer KEDA and Prometheus with how many workers there are to be, until SIGINT or SIGTERM.

    It tells nothing else and needs no login; let nobody but the cluster reach it.
    """
    from jobplatform.devstack.supervisor import stop_on_signals
    from jobplatform.workers.kubernetes_fleet import wish_body
    from jobplatform.workers.wish_server import METRICS_PATH, WishServer

    settings = require_settings()
    with stop_on_signals() as stop, open_database(settings) as database:

        def read() -> dict[str, Any]:
            return wish_body(
                database.once(lambda session: fleets.read(session, settings.fleet_pool)), settings.fleet_min
            )

        with WishServer((host, port), settings.fleet_pool, read) as server, server.serving():
            click.echo(f"the wish is at {server.url}, as a metric at {METRICS_PATH}")
            stop.wait()


@fleet.command("manifest")
@click.option(
    "--kind",
    type=click.Choice(["keda", "hpa", "patch"]),
    default="keda",
    show_default=True,
    help="Who scales; or the patch of the deployment.",
)
@click.option("--deployment", default="worker", show_default=True, help="The deployment of the workers.")
@click.option("--namespace", default="default", show_default=True, help="Where it is.")
@click.option(
    "--url", default="http://jobplatform-fleet:9110/fleet/wish", show_default=True, help="Where KEDA reads the wish."
)
@mapped()
def manifest(kind: str, deployment: str, namespace: str, url: str) -> None:
    """Print a manifest that lets Kubernetes follow the wish, for: kubectl apply -f -.

    "patch" is for: kubectl patch deployment NAME --patch-file /dev/stdin. It gives pods the time that jobs have to end.
    """
    import os

    from jobplatform.settings import load_settings
    from jobplatform.workers import manifests

    settings, place = load_settings(os.environ), manifests.Place(deployment, namespace, url)
    make = {
        "keda": manifests.scaled_object,
        "hpa": manifests.horizontal_autoscaler,
        "patch": manifests.deployment_patch,
    }
    click.echo(manifests.as_text(make[kind](settings, place)))
