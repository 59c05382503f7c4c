"""The wish over HTTP, as KEDA and Prometheus read it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings
from jobplatform.store import fleets
from jobplatform.store.database import Database
from jobplatform.workers.kubernetes_fleet import wish_body
from jobplatform.workers.wish_server import WishServer


@contextmanager
def serving(database: Database) -> Iterator[WishServer]:
    def read() -> dict[str, Any]:
        return wish_body(database.once(lambda session: fleets.read(session, "worker")), 2)

    with WishServer(("127.0.0.1", 0), "worker", read) as server, server.serving():
        yield server


def get(url: str) -> tuple[int, str, str]:
    try:
        with urlopen(url, timeout=30) as said:
            return said.status, said.headers["Content-Type"], said.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_keda_and_prometheus_read_what_was_published(database: Database) -> None:
    with serving(database) as server:
        assert json.loads(get(server.url)[2])["workers"] == 2
        with database.transaction() as transaction:
            fleets.wish(transaction, "worker", 4, "a fair", "ann")
            fleets.publish(transaction, "worker", 4)
        status, kind, body = get(f"{server.url}?x=1")
        assert (status, kind, json.loads(body)["workers"]) == (200, "application/json", 4)
        status, kind, body = get(server.url.replace("/fleet/wish", "/metrics"))
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert 'jobplatform_workers_wanted{pool="worker"} 4' in body.splitlines()


def test_other_paths_and_an_outage_are_problems(database: Database, settings: Settings) -> None:
    with serving(database) as server:
        status, kind, body = get(server.url + "es")
        assert (status, kind, json.loads(body)["status"]) == (404, "application/problem+json", 404)
    away = Database(replace(settings, database_url="postgresql://nobody@127.0.0.1:9/none"))
    with serving(away) as server:
        status, kind, body = get(server.url)
        assert (status, kind) == (503, "application/problem+json")
        assert "PostgreSQL cannot be reached" in json.loads(body)["detail"]
    away.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_end(
    database: Database, stack: DevStack, settings: Settings, number: signal.Signals
) -> None:
    environment = {**os.environ, **stack.environment(), "JOBPLATFORM_SCHEMA": settings.schema, "PYTHONUNBUFFERED": "1"}
    program = "from jobplatform.cli import main; main()"
    command = [sys.executable, "-c", program, "fleet", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[4].rstrip(",")
        assert json.loads(get(url)[2])["workers"] == settings.fleet_min
        process.send_signal(number)
        assert process.wait(30) == 0
