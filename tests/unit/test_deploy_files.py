"""What deploy/ holds fits the settings and the commands, and gives our processes no more than they need."""

from __future__ import annotations

import configparser
import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from celery.bin.beat import beat
from celery.bin.worker import worker

from jobplatform.cli import main, plugin
from jobplatform.settings import load_settings
from jobplatform.workers.manifests import Place, deployment_patch, scaled_object

ROOT = Path(__file__).parents[2]
SYSTEMD, KUBERNETES = ROOT / "deploy/systemd", ROOT / "deploy/kubernetes"
SECRET = {"DATABASE_URL": "postgresql://u@db/jobs", "REDIS_URL": "redis://redis:6379/0"}
CELERY: dict[str, click.Command] = {"worker": worker, "beat": beat, "controller": plugin.controller}
HARDENED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "User": "jobplatform",
    "UMask": "0077",
}


def command_of(words: list[str]) -> str:
    """Parse a command as its program would, and name it.

    :raises click.UsageError: when there is no such command or option.
    """
    program, *rest = words
    if Path(program).name == "python":
        assert rest.pop(0) == "-m"
        program = rest.pop(0)
    if Path(program).name == "celery":
        assert rest[:2] == ["-A", "jobplatform"]
        name, *arguments = rest[2:]
        CELERY[name].make_context(name, arguments, resilient_parsing=True)
        return name
    assert Path(program).name in ("jobplatform", "jobplatform.cli")
    group: click.Command = main
    path = []
    while isinstance(group, click.Group):
        path.append(rest.pop(0))
        with click.Context(group) as context:
            found = group.get_command(context, path[-1])
        assert found is not None, f"there is no command {path}"
        group = found
    group.make_context(path[-1], rest, resilient_parsing=True)
    return " ".join(path)


def test_commands_of_celery_are_those_that_are_installed() -> None:
    installed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["celery.commands"]
    assert installed["controller"] == "jobplatform.cli.plugin:controller"


def units() -> dict[str, configparser.SectionProxy]:
    found = {}
    for path in sorted(SYSTEMD.glob("*.service")):
        parser = configparser.ConfigParser(interpolation=None, strict=True)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(path.read_text())
        found[path.name] = parser["Service"]
    return found


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    lines = (SYSTEMD / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", units())
def test_units_run_our_commands_with_little_power(name: str, environment: dict[str, str]) -> None:
    unit = units()[name]
    assert unit.items() >= HARDENED.items()
    assert unit["EnvironmentFile"] == "/etc/jobplatform/environment"
    assert command_of(shlex.split(unit["ExecStart"])) in name
    settings = load_settings(environment)
    assert settings.database_url and settings.redis_url
    if "worker" in name:
        assert int(unit["TimeoutStopSec"]) > settings.drain_seconds
        assert unit["KillMode"] == "mixed"
    if "controller" in name:
        assert settings.export_dir.startswith(f"/var/lib/{unit['StateDirectory']}/")


def test_the_target_starts_all_units() -> None:
    wanted = re.findall(r"jobplatform-[\w@]+\.service", (SYSTEMD / "jobplatform.target").read_text())
    assert {re.sub(r"@\d", "@", name) for name in wanted} | {"jobplatform-migrate.service"} == set(units())


def documents() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (document["kind"], document["metadata"].get("name", "")): document
        for path in sorted(KUBERNETES.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if "metadata" in document
    }


DOCUMENTS = documents()
PODS = {key: doc["spec"]["template"] for key, doc in DOCUMENTS.items() if key[0] in ("Deployment", "Job")}
CONFIG = DOCUMENTS["ConfigMap", "jobplatform"]["data"]


def own(pod: dict[str, Any]) -> dict[str, str]:
    """Give the settings that a pod of ours has."""
    (container,) = pod["spec"]["containers"]
    more = {each["name"]: each["value"] for each in container.get("env", ())}
    return {**SECRET, **CONFIG, **more}


def test_all_manifests_are_applied() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in KUBERNETES.iterdir())
    assert {name for _, name in PODS} == {"worker", "controller", "beat", "web", "migrate", "jobplatform-fleet"}


@pytest.mark.parametrize("key", PODS, ids=" ".join)
def test_pods_run_our_commands_with_little_power(key: tuple[str, str]) -> None:
    pod = PODS[key]
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert command_of(container["command"]).split()[0] in (key[1], "fleet")
    settings = load_settings(own(pod))
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 10001
    assert "--uid 10001" in (ROOT / "Dockerfile").read_text()
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    if key[1] == "worker":
        assert spec["terminationGracePeriodSeconds"] > settings.drain_seconds
        assert key[1] == settings.fleet_pool


def ports() -> Iterator[tuple[str, dict[str, int]]]:
    for (_, name), pod in PODS.items():
        (container,) = pod["spec"]["containers"]
        yield name, {port["name"]: port["containerPort"] for port in container.get("ports", ())}


def test_ports_agree() -> None:
    named = dict(ports())
    metrics = int(CONFIG["JOBPLATFORM_METRICS_BIND"].rpartition(":")[2])
    assert named["worker"] == named["controller"] == {"metrics": metrics}
    assert named["web"] == {"http": load_settings(own(PODS["Deployment", "web"])).web_address[1]}
    for (kind, name), document in DOCUMENTS.items():
        if kind == "Service":
            assert {port["targetPort"] for port in document["spec"]["ports"]} <= set(named[name])
    rules = {name: doc["spec"] for (kind, name), doc in DOCUMENTS.items() if kind == "NetworkPolicy"}
    let_in = {port["port"] for rule in rules.values() for each in rule.get("ingress", ()) for port in each["ports"]}
    assert let_in == {port for each in named.values() for port in each.values()}
    assert "ingress" not in rules["nobody"] and rules["nobody"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("name", ["worker", "controller"])
def test_probes_ask_what_is_served(name: str) -> None:
    (container,) = PODS["Deployment", name]["spec"]["containers"]
    asked = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": {"path": "/live", "port": "metrics"},
        "livenessProbe": {"path": "/live", "port": "metrics"},
        "readinessProbe": {"path": "/ready", "port": "metrics"},
    }


def test_the_patch_of_a_deployment_probes_as_the_manifest_does() -> None:
    (container,) = PODS["Deployment", "worker"]["spec"]["containers"]
    (port,) = (each["containerPort"] for each in container["ports"])
    made = deployment_patch(load_settings({**SECRET, **CONFIG}), Place("worker", "jobplatform", ""))
    (patched,) = made["spec"]["template"]["spec"]["containers"]
    assert patched.pop("name") == container["name"]
    assert patched == {
        kind: {**container[kind], "httpGet": {**container[kind]["httpGet"], "port": port}}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    alone = load_settings({**SECRET, **CONFIG, "JOBPLATFORM_METRICS_BIND": "9464"})
    pod = deployment_patch(alone, Place("worker", "jobplatform", ""))["spec"]["template"]["spec"]
    assert "containers" not in pod, "nobody else can ask it"


def test_the_dashboard_is_probed_by_a_name_that_it_goes_by() -> None:
    (container,) = PODS["Deployment", "web"]["spec"]["containers"]
    asked = {kind: container[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe")}
    host = [{"name": "Host", "value": "localhost"}]
    assert asked == {
        "livenessProbe": {"path": "/live", "port": "http", "httpHeaders": host},
        "readinessProbe": {"path": "/ready", "port": "http", "httpHeaders": host},
    }


def test_keda_asks_for_the_wish() -> None:
    place = Place("worker", "jobplatform", "http://jobplatform-fleet:9110/fleet/wish")
    assert DOCUMENTS["ScaledObject", "worker-worker"] == scaled_object(load_settings({**SECRET, **CONFIG}), place)
    (port,) = DOCUMENTS["Service", "jobplatform-fleet"]["spec"]["ports"]
    assert port["port"] == 9110
    assert "replicas" not in DOCUMENTS["Deployment", "worker"]["spec"]


def test_a_drain_of_a_node_leaves_some_of_each() -> None:
    budgets = {name: doc["spec"] for (kind, name), doc in DOCUMENTS.items() if kind == "PodDisruptionBudget"}
    assert set(budgets) == {"worker", "controller", "beat", "web"}
    assert all(budget["selector"]["matchLabels"]["app.kubernetes.io/name"] == name for name, budget in budgets.items())


def test_indexes_that_are_made_before_an_upgrade_are_those_of_the_migration() -> None:
    migration = runpy.run_path(str(ROOT / "migrations/versions/0025_search.py"))
    told = re.findall(r"create index concurrently (\w+)_next on jobs (.*);", (ROOT / "DEPLOYMENT.md").read_text())
    assert dict(told) == migration["INDEXES"]
