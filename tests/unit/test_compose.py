"""docker-compose.yml and the Procfile run what ``jobplatform up`` runs, with the same durability."""

from __future__ import annotations

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobplatform.devstack.redis import SAVE, SETTINGS
from jobplatform.devstack.up import Sizes, process_specs
from jobplatform.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
OURS = {spec.name: ["python", *spec.argv[1:]] for spec in process_specs({})}
DATABASES = ("postgres", "redis")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return dict(compose["services"])


def flags(command: list[str]) -> dict[str, str]:
    return {name.removeprefix("--"): value for name, value in zip(command[1::2], command[2::2], strict=True)}


def test_process_specs_run_this_python() -> None:
    assert {spec.argv[0] for spec in process_specs({})} == {sys.executable}


def test_a_controller_that_keeps_the_workers_is_told_how_many() -> None:
    specs = {spec.name: spec for spec in process_specs({}, app="shop", concurrency=3, fleet=Sizes(2, 4))}
    assert set(specs) == {"controller", "beat", "web"}
    settings = load_settings({name: value for name, value in specs["controller"].env.items() if "JOB" in name})
    assert (settings.fleet, settings.fleet_min, settings.fleet_max, settings.fleet_app) == ("local", 2, 4, "shop")
    assert settings.fleet_options.startswith("-c 3 ")
    assert settings.fleet_at_exit == "drain"


def test_process_specs_pass_app_concurrency_and_environment() -> None:
    worker = process_specs({"REDIS_URL": "redis://x"}, app="shop", concurrency=7)[0]
    assert worker.argv[1:] == ("-m", "celery", "-A", "shop", "worker", "-c", "7", "-l", "INFO")
    assert worker.env["REDIS_URL"] == "redis://x"


def test_compose_has_exactly_our_processes(services: dict[str, Any]) -> None:
    assert set(services) == {*DATABASES, "migrate", *OURS}
    assert services["migrate"]["command"] == ["jobplatform", "migrate"]


@pytest.mark.parametrize("name", OURS)
def test_compose_runs_the_same_command(services: dict[str, Any], name: str) -> None:
    assert services[name]["command"] == OURS[name]


def test_procfile_runs_the_same_commands() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    named = dict(line.split(": ", 1) for line in lines)
    assert {name: shlex.split(command) for name, command in named.items()} == OURS


def test_dockerfile_runs_the_worker_as_a_plain_user() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert lines[0] == "FROM python:3.11-slim"
    assert "USER jobplatform" in lines
    assert yaml.safe_load(lines[-1].removeprefix("CMD ")) == OURS["worker"]


@pytest.mark.parametrize("name", ["migrate", *OURS])
def test_compose_names_known_settings_with_good_values(services: dict[str, Any], name: str) -> None:
    environment = services[name]["environment"]
    assert set(environment) <= {item.metadata["env"] for item in fields(Settings)}
    settings = load_settings(environment)
    assert settings.database_url and settings.redis_url


def test_compose_redis_is_as_durable_as_ours(services: dict[str, Any]) -> None:
    ours = {name: value for name, value in SETTINGS.items() if name != "bind"}
    assert flags(services["redis"]["command"]) == {**ours, "save": " ".join(SAVE)}


def test_compose_publishes_the_dashboard_alone_and_to_this_machine(services: dict[str, Any]) -> None:
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "web": ["127.0.0.1:8700:8700"]
    }
    assert load_settings(services["web"]["environment"]).web_address[1] == 8700


@pytest.mark.parametrize("name", ["migrate", *OURS])
def test_compose_gives_our_containers_no_more_than_they_need(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    settings = load_settings(service["environment"])
    assert name == "migrate" or int(service["stop_grace_period"].rstrip("s")) > settings.drain_seconds


def test_compose_keeps_what_is_exported(services: dict[str, Any]) -> None:
    export = services["controller"]["environment"]["JOBPLATFORM_EXPORT_DIR"]
    assert services["controller"]["volumes"] == [f"export:{export}"]
    assert f"install -d -o jobplatform -m 700 {export}" in (ROOT / "Dockerfile").read_text()


def test_compose_services_restart_wait_and_keep_their_data(services: dict[str, Any]) -> None:
    assert all(services[name]["restart"] == "unless-stopped" for name in (*DATABASES, *OURS))
    assert services["migrate"]["restart"] == "no"
    assert all("healthcheck" in services[name] and services[name]["volumes"] for name in DATABASES)
    assert "http://localhost:8700/ready" in services["web"]["healthcheck"]["test"][-1]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in OURS:
        conditions = {key: value["condition"] for key, value in services[name]["depends_on"].items()}
        assert conditions == {"migrate": "service_completed_successfully", "redis": "service_healthy"}


def test_compose_uses_the_versions_that_we_promise(services: dict[str, Any]) -> None:
    assert (services["postgres"]["image"], services["redis"]["image"]) == ("postgres:18", "redis:7")
