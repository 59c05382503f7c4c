"""The group ``fleet``: how many workers there are to be, where they live, and who replaces whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from jobplatform.actions import fleet as actions
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import mapped
from jobplatform.cli.output import Output, json_option

#: Leaves the number to the scaler.
_AUTO = "auto"
_COLUMNS = ("name", "stage", "asked", "asked_by", "pid", "busy", "silent")
_WISH_COLUMNS = ("pool", "wanted", "published", "reason", "asked_by", "asked_at")


@click.group(short_help="Say how many workers there are to be, and see who replaces whom.")
def fleet() -> None:
    """Say how many workers there are to be, and see who replaces whom.

    JOBPLATFORM_FLEET says where they live: as processes of this machine, by a formation file, or in Kubernetes.
    """


@fleet.command("list")
@json_option
@mapped()
def list_members(output: Output) -> None:
    """List the workers that are heard, and what each is asked to do."""
    with open_desk() as (desk, actor):
        found = [asdict(member) for member in actions.list_members(desk, actor)]
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
    with open_desk() as (desk, actor):
        if wanted is None:
            found = actions.show_size(desk, actor)
        else:
            found = actions.set_size(desk, actor, wanted if isinstance(wanted, int) else None, reason, by)
    if output.as_json:
        output.json(dict(found.wish) if found.wish else {"pool": found.pool, "wanted": found.least})
    elif found.wish:
        output.record({name: found.wish[name] for name in _WISH_COLUMNS})
    else:
        output.line(f"nobody has asked; there are to be {found.least}, the least")


@fleet.command("replacements")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Replacements at most.")
@json_option
@mapped()
def list_replacements(limit: int, output: Output) -> None:
    """Tell which workers were replaced, why and how that went, the last first; and who is failing and stays."""
    with open_desk() as (desk, actor):
        found, stays = actions.list_replacements(desk, actor, limit)
    if output.as_json:
        output.json({"replacements": list(found), "stays": stays})
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
    with open_desk() as (desk, actor):
        body, costs = actions.wish(desk, actor)
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
    from jobplatform.workers.wish_server import METRICS_PATH, WishServer

    with stop_on_signals() as stop, open_desk() as (desk, _):
        place = (host, port)
        with WishServer(place, desk.settings.fleet_pool, lambda: actions.read_wish(desk)) as server, server.serving():
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
@click.option("--container", default="worker", show_default=True, help="The container of a worker, for its probes.")
@mapped()
def manifest(kind: str, deployment: str, namespace: str, url: str, container: str) -> None:
    """Print a manifest that lets Kubernetes follow the wish, for: kubectl apply -f -.

    "patch" is for: kubectl patch deployment NAME --patch-file /dev/stdin. It gives pods the time that jobs have to end,
    and probes where JOBPLATFORM_METRICS_BIND lets others ask.
    """
    import os

    from jobplatform.settings import load_settings
    from jobplatform.workers import manifests

    settings, place = load_settings(os.environ), manifests.Place(deployment, namespace, url, container)
    make = {
        "keda": manifests.scaled_object,
        "hpa": manifests.horizontal_autoscaler,
        "patch": manifests.deployment_patch,
    }
    click.echo(manifests.as_text(make[kind](settings, place)))
