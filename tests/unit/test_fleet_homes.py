"""What homes that start workers by themselves are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from jobplatform.errors import SettingsError
from jobplatform.settings import Settings, load_settings
from jobplatform.workers import manifests
from jobplatform.workers.fleet import Member, Stage
from jobplatform.workers.kubernetes_fleet import deletion_costs, wish_body
from jobplatform.workers.procfile_fleet import with_number

SETTINGS = Settings(fleet_min=2, fleet_max=7, drain_seconds=25.0)
PLACE = manifests.Place("shop-worker", "shop", "http://jobs.shop.svc/fleet/wish")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "worker=3\n"),
        ("worker=1\n", "worker=3\n"),
        ("web=2\nworker=9\nbeat=1", "web=2\nworker=3\nbeat=1\n"),
        ("web=2\n", "web=2\nworker=3\n"),
        ("worker=1\nworkers=5\nworker=2\n", "worker=3\nworkers=5\n"),
    ],
)
def test_a_formation_keeps_its_other_lines(before: str, after: str) -> None:
    assert with_number(before, "worker", 3) == after
    assert with_number(after, "worker", 3) == after


def parsed(document: dict[str, Any]) -> dict[str, Any]:
    read = yaml.safe_load(manifests.as_text(document))
    assert read == document
    return dict(read)


def test_keda_makes_as_many_pods_as_the_endpoint_says() -> None:
    made = parsed(manifests.scaled_object(SETTINGS, PLACE))
    assert (made["apiVersion"], made["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    spec = made["spec"]
    assert spec["scaleTargetRef"]["name"] == PLACE.deployment
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 7)
    (trigger,) = spec["triggers"]
    assert (trigger["type"], trigger["metadata"]["url"]) == ("metrics-api", PLACE.url)
    # The answer has what the trigger looks for, and each pod stands for one.
    body = wish_body({"published": 4, "wanted": 3, "reason": "a peak"}, SETTINGS.fleet_min)
    assert body[trigger["metadata"]["valueLocation"]] == 4
    assert trigger["metadata"]["targetValue"] == "1"
    # KEDA wants every value of a trigger as text.
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    json.dumps(body)


def test_an_hpa_takes_the_wish_as_an_external_metric() -> None:
    made = parsed(manifests.horizontal_autoscaler(SETTINGS, PLACE))
    assert (made["apiVersion"], made["kind"]) == ("autoscaling/v2", "HorizontalPodAutoscaler")
    spec = made["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 7)
    assert spec["scaleTargetRef"]["name"] == PLACE.deployment
    external = spec["metrics"][0]["external"]
    assert external["metric"]["name"] == manifests.METRIC
    assert external["target"] == {"type": "AverageValue", "averageValue": "1"}


def test_pods_have_longer_to_end_than_their_jobs() -> None:
    made = parsed(manifests.deployment_patch(SETTINGS, PLACE))
    assert made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > SETTINGS.drain_seconds


def test_nobody_wished_and_the_least_is_published() -> None:
    assert wish_body(None, 2)["workers"] == 2
    assert wish_body({"published": 1, "wanted": 1, "reason": "calm"}, 2)["workers"] == 2


def test_pods_that_take_no_more_go_first_and_busy_ones_last() -> None:
    members = [
        Member("celery@busy", Stage.WORKING, busy=3),
        Member("celery@idle", Stage.WORKING),
        Member("celery@cordoned", Stage.CORDONED),
        Member("celery@ending", Stage.CORDONED, busy=1),
    ]
    costs = deletion_costs(members)
    assert sorted(costs, key=lambda pod: costs[pod]) == ["cordoned", "ending", "idle", "busy"]


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"JOBPLATFORM_FLEET": "heroku"}, "JOBPLATFORM_FLEET"),
        ({"JOBPLATFORM_FLEET_MIN": "6"}, "JOBPLATFORM_FLEET_MAX"),
        ({"JOBPLATFORM_FLEET_POOL": "My Pool"}, "JOBPLATFORM_FLEET_POOL"),
    ],
)
def test_settings_that_make_no_fleet_are_refused(environ: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_settings(environ)
