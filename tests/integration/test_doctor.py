"""What the doctor finds on real servers, and how it judges what it reads."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import NOWHERE, CliEnvironment

from jobplatform.cli.exits import Exit
from jobplatform.devstack.redis import redis_program
from jobplatform.journal.inspection import RedisReading
from jobplatform.maintenance.doctor import Finding, Level, PostgresReading, Readings, judge
from jobplatform.store import quarantine


@contextmanager
def redis_server(directory: Path, *options: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [
        str(redis_program()),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(directory),
        "--save",
        "",
        *options,
    ]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def test_doctor_names_an_evicting_policy_and_fails(cli_environment: CliEnvironment, tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru") as url:
        result = cli_environment.run("doctor", "--json", REDIS_URL=url)
        text = cli_environment.run("doctor", REDIS_URL=url).stdout
    assert result.exit_code == Exit.FAILED
    findings = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert findings["Redis maxmemory-policy"]["level"] == "fail"
    assert "allkeys-lru" in findings["Redis maxmemory-policy"]["found"]
    assert "noeviction" in findings["Redis maxmemory-policy"]["fix"]
    assert [name for name, finding in findings.items() if finding["level"] == "fail"] == ["Redis maxmemory-policy"]
    assert findings["controller"]["level"] == findings["Redis appendonly"]["level"] == "warn"
    assert re.search(r"fail +Redis maxmemory-policy", text)


@pytest.mark.owner
def test_doctor_says_what_is_away_and_what_is_behind(cli_environment: CliEnvironment) -> None:
    cli_environment.json("migrate", "--down", "base")
    findings = cli_environment.json("doctor", code=1)
    assert [each["fix"] for each in findings if each["check"] == "migration"] == ["run: jobplatform migrate"]
    result = cli_environment.run("doctor", DATABASE_URL=NOWHERE, REDIS_URL="redis://127.0.0.1:1/0")
    assert result.exit_code == Exit.FAILED
    assert len(re.findall("it cannot be (reached|read)", result.stdout)) == 2


REDIS = RedisReading((7, 2, 4), "noeviction", True, 10, 100, 0.0, True)
POSTGRES = PostgresReading(180_004, "0001", 0.0)


def judged(
    postgres: PostgresReading | str = POSTGRES, redis: RedisReading | str = REDIS, **packages: str
) -> dict[str, Finding]:
    packages = {"celery": "5.7.0", "kombu": "5.6.2", **packages}
    return {finding.check: finding for finding in judge(Readings(postgres, redis, "0001", packages))}


def test_the_doctor_is_content_with_a_sound_platform() -> None:
    findings = judged()
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert len(findings) == 13


@pytest.mark.parametrize(
    ("changes", "check", "level"),
    [
        ({"version": (6, 0, 16)}, "Redis", Level.FAIL),
        ({"eviction_policy": "volatile-ttl"}, "Redis maxmemory-policy", Level.FAIL),
        ({"eviction_policy": None}, "Redis maxmemory-policy", Level.WARN),
        ({"appendonly": False}, "Redis appendonly", Level.WARN),
        ({"memory_used": 71}, "Redis memory", Level.WARN),
        ({"memory_limit": 0}, "Redis memory", Level.WARN),
        ({"clock_skew": -2.1}, "Redis clock", Level.FAIL),
        ({"controller_alive": False}, "controller", Level.WARN),
    ],
)
def test_the_doctor_judges_redis(changes: dict[str, Any], check: str, level: Level) -> None:
    findings = judged(redis=replace(REDIS, **changes))
    assert {name for name, finding in findings.items() if finding.level is not Level.OK} == {check}
    assert findings[check].level is level and findings[check].fix


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"version": 130_011}, "PostgreSQL"),
        ({"revision": None}, "migration"),
        ({"clock_skew": 5.0}, "PostgreSQL clock"),
        ({"read_only": True}, "PostgreSQL writes"),
    ],
)
def test_the_doctor_judges_postgres(changes: dict[str, Any], check: str) -> None:
    findings = judged(postgres=replace(POSTGRES, **changes))
    assert {name for name, finding in findings.items() if finding.level is Level.FAIL} == {check}
    assert findings[check].fix


def test_the_doctor_mentions_what_waits_for_people(cli_environment: CliEnvironment) -> None:
    row = {
        "stream_id": "1-1",
        "field": "e1",
        "kind": "message",
        "queue": "celery",
        "size": 1,
        "raw": "YQ==",
        "reason": "no",
    }
    with cli_environment.database.transaction() as transaction:
        quarantine.add(transaction, [row])
    cli_environment.run("queues", "pause", "celery")
    found = {each["check"]: (each["level"], each["found"]) for each in cli_environment.json("doctor")}
    assert found["quarantine"] == ("warn", "1 messages or journal entries could not be read")
    assert found["paused"] == ("warn", "queue celery")
    cli_environment.run("quarantine", "discard", "1")
    cli_environment.run("queues", "resume", "celery")
    found = {each["check"]: (each["level"], each["found"]) for each in cli_environment.json("doctor")}
    assert found["quarantine"] == ("ok", "empty")
    assert "paused" not in found


@pytest.mark.parametrize(
    ("name", "installed"), [("celery", "5.6.2"), ("celery", "5.8.0"), ("kombu", "5.5.4"), ("kombu", "6.0.0")]
)
def test_the_doctor_refuses_versions_that_are_not_supported(name: str, installed: str) -> None:
    finding = judged(**{name: installed})[f"{name} version"]
    assert finding.level is Level.FAIL and finding.fix.startswith("run: pip install")


def test_the_doctor_says_why_it_could_not_look() -> None:
    findings = judged(postgres="it is away", redis="it is away")
    assert findings["PostgreSQL"].level is findings["Redis"].level is Level.FAIL
    assert "migration" not in findings
