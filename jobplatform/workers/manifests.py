"""The manifests that let Kubernetes run as many workers as were wished for, as values that YAML and JSON can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobplatform.metrics.door import Bind
from jobplatform.metrics.names import WORKERS_WANTED
from jobplatform.settings import Settings

#: What a pod takes to end beyond the time that its running jobs have.
_LEAVING_SECONDS = 15
_LONGEST_GRACE = 3_600
#: The metric, as an adapter has to serve it to a HorizontalPodAutoscaler without KEDA.
METRIC = WORKERS_WANTED.name


@dataclass(frozen=True, slots=True)
class Place:
    """Where the deployment is, and where its wish is read.

    :ivar url: of the endpoint that answers with the wish.
    :ivar container: of a worker, in its pod.
    """

    deployment: str
    namespace: str
    url: str
    container: str = "worker"


def scaled_object(settings: Settings, place: Place) -> dict[str, Any]:
    """Make KEDA's ScaledObject, which sets the number of pods to the wish itself."""
    trigger = {
        "type": "metrics-api",
        # An average of 1 for each pod makes as many pods as the value says.
        "metricType": "AverageValue",
        "metadata": {"url": place.url, "valueLocation": "workers", "targetValue": "1"},
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _named(settings, place),
        "spec": {
            "scaleTargetRef": {"name": place.deployment},
            "pollingInterval": 15,
            "minReplicaCount": settings.fleet_min,
            "maxReplicaCount": settings.fleet_max,
            # Should the endpoint not answer, the deployment stays as large as it may be needed.
            "fallback": {"failureThreshold": 4, "replicas": settings.fleet_max},
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behaviour()}},
            "triggers": [trigger],
        },
    }


def horizontal_autoscaler(settings: Settings, place: Place) -> dict[str, Any]:
    """Make a HorizontalPodAutoscaler that takes the wish from an adapter of external metrics."""
    metric = {"name": METRIC, "selector": {"matchLabels": {"pool": settings.fleet_pool}}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _named(settings, place),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": place.deployment},
            "minReplicas": max(settings.fleet_min, 1),
            "maxReplicas": settings.fleet_max,
            "behavior": _behaviour(),
            "metrics": [
                {
                    "type": "External",
                    "external": {"metric": metric, "target": {"type": "AverageValue", "averageValue": "1"}},
                }
            ],
        },
    }


def deployment_patch(settings: Settings, place: Place) -> dict[str, Any]:
    """Make what the deployment needs for its pods to end in their own time, and to be probed where they can be."""
    drain = _LONGEST_GRACE if math.isinf(settings.drain_seconds) else math.ceil(settings.drain_seconds)
    pod: dict[str, Any] = {"terminationGracePeriodSeconds": drain + _LEAVING_SECONDS}
    if settings.metrics_bind and (bind := Bind(settings.metrics_bind)).host != "127.0.0.1":
        pod["containers"] = [{"name": place.container, **_probes(bind.ports[0])}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": place.deployment, "namespace": place.namespace},
        "spec": {"template": {"spec": pod}},
    }


def as_text(document: Mapping[str, Any]) -> str:
    """Write a document as ``kubectl apply -f -`` takes it; JSON is YAML."""
    return json.dumps(document, indent=2)


def _probes(port: int) -> dict[str, Any]:
    live, ready = ({"httpGet": {"path": path, "port": port}, "timeoutSeconds": 5} for path in ("/live", "/ready"))
    return {
        "startupProbe": {**live, "periodSeconds": 2, "failureThreshold": 30},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {**ready, "periodSeconds": 10, "failureThreshold": 3},
    }


def _named(settings: Settings, place: Place) -> dict[str, Any]:
    return {
        "name": f"{place.deployment}-{settings.fleet_pool}",
        "namespace": place.namespace,
        "labels": {"app.kubernetes.io/managed-by": "jobplatform"},
    }


def _behaviour() -> dict[str, Any]:
    """Follow the wish at once: it waits by itself until nobody who is too many is busy."""
    return {
        "scaleUp": {"stabilizationWindowSeconds": 0},
        "scaleDown": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
    }
