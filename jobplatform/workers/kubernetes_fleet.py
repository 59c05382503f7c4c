"""A deployment in Kubernetes, to which the wish is published: what KEDA asks for, and which pods may go first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.workers.fleet import Member, Stage
from jobplatform.workers.published_fleet import PublishedFleet

#: Kubernetes deletes the pods of the lowest cost first; a pod without one costs nothing.
_COSTS = {Stage.CORDONED: -1000, Stage.LEAVING: -1000}
_BUSY_COST = 100


class KubernetesFleet(PublishedFleet):
    """The workers of a deployment whose number an autoscaler sets after what is published here."""


def wish_body(wish: Mapping[str, Any] | None, least: int) -> dict[str, Any]:
    """Give what answers KEDA's ``metrics-api`` trigger: how many workers the deployment is to have.

    What is published shrinks only once the workers that are too many take no more and run nothing.

    :param wish: the row of the wish, None when nobody has wished.
    :param least: the workers that there are in any case.
    """
    if wish is None:
        return {"workers": least, "wanted": least, "reason": "nobody has asked for more than the least"}
    published = max(wish["published"], least)
    return {"workers": published, "wanted": wish["wanted"], "reason": wish["reason"]}


def deletion_costs(members: Sequence[Member]) -> dict[str, int]:
    """Give the ``controller.kubernetes.io/pod-deletion-cost`` of each pod, by the host name in the name of its worker.

    Those that take no more go first, then those that run nothing, and busy ones last.
    """
    return {member.name.partition("@")[2]: _cost(member) for member in members}


def _cost(member: Member) -> int:
    if member.stage in _COSTS:
        return _COSTS[member.stage] + min(member.busy, _BUSY_COST)
    return _BUSY_COST + member.busy if member.busy else 0
