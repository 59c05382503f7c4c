"""What a web process tells Prometheus and probes; it reads the stores, so that any number of them tell the same."""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden
from jobplatform.maintenance import gauges
from jobplatform.maintenance.reachable import stores_away
from jobplatform.metrics.reading import CONTENT_TYPE, build, text_of


class Rendered(NamedTuple):
    """A page and its type."""

    content_type: str
    body: bytes


@action("metrics.read", Permission.QUEUES_READ)
def metrics(desk: Desk, actor: Actor) -> Rendered:
    """Give all metrics of the stores, for Prometheus.

    :raises Forbidden: to whoever sees a part of the queues or tenants only: the metrics tell of all.
    """
    if not actor.scope.everywhere:
        raise Forbidden("metrics.read", "a scope of all queues and tenants")
    return render(desk)


def render(desk: Desk) -> Rendered:
    """Give all metrics of the stores, where nobody has to be asked: on an address that only Prometheus reaches."""
    with closing(desk.redis()) as client, desk.look() as session:
        told = gauges.readings(session, client, desk.settings)
    return Rendered(CONTENT_TYPE, text_of([build("web"), *told]))


def unready(desk: Desk) -> list[str]:
    """Say why nothing should be expected of a web process, a sentence each: a store does not answer."""
    with closing(desk.redis()) as client:
        return list(stores_away(desk.database, client))
