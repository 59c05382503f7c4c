"""What workers are asked to do: in their rows, on the command line, in Redis, and in their heartbeats."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_line import CliEnvironment

from jobplatform.cli.exits import Exit
from jobplatform.maintenance.duties import Duties
from jobplatform.store import workers
from jobplatform.store.database import Database
from jobplatform.transport import keys
from jobplatform.transport.heart import Heart
from jobplatform.transport.ledger import Ledger


@pytest.fixture
def duties(database: Database, client: Any) -> Duties:
    return Duties(database, client)


def beat(database: Database, *nodes: str, status: str = "alive", **report: Any) -> None:
    """Write what workers said, each under its node's name with ``@host`` behind it."""
    said = {"pid": 1, "status": status, "started_at": time.time(), "last_seen_at": time.time(), "report": report}
    with database.transaction() as transaction:
        rows = [{"worker_id": node, "name": f"{node}@host", **said} for node in nodes]
        workers.record(transaction, rows, datetime(2026, 1, 1, tzinfo=UTC))


def run(duties: Duties) -> dict[str, str]:
    """Run a round, and give what Redis then knows."""
    duties.run_once(datetime.now(UTC))
    return {node.decode(): said.decode() for node, said in duties.client.hgetall(keys.DUTIES).items()}


def test_what_rows_ask_reaches_redis_and_comes_back_after_it_was_emptied(
    cli_environment: CliEnvironment, duties: Duties
) -> None:
    beat(duties.database, "a", "b", "c", "d")
    cli_environment.json("workers", "cordon", "a@host")
    cli_environment.json("workers", "drain", "b@host", "--grace", "1m")
    cli_environment.json("workers", "drain", "c@host")
    asked = {"": "1", "a": "cordon", "b": "drain 60", "c": "drain"}
    assert run(duties) == asked
    assert not duties.run_once(datetime.now(UTC))
    duties.client.flushall()
    assert run(duties) == asked
    cli_environment.json("workers", "uncordon", "a@host")
    beat(duties.database, "b", status="gone")
    assert run(duties) == {"": "1", "c": "drain"}


def test_a_heart_hears_its_own_order_and_nothing_from_a_redis_that_was_emptied(
    cli_environment: CliEnvironment, duties: Duties
) -> None:
    said: list[str] = []
    ledger = Ledger()
    heart = Heart(ledger, duties.client, 5.0, dict, lambda *_: None, lambda: None, said.append)
    heart.beat()
    run(duties)
    heart.beat()
    beat(duties.database, ledger.node)
    cli_environment.json("workers", "cordon", f"{ledger.node}@host")
    run(duties)
    heart.beat()
    duties.client.flushall()
    heart.beat()
    assert said == ["", "work", "cordon", ""]


def test_who_asked_and_why_is_shown(cli_environment: CliEnvironment) -> None:
    report = {"active": 1, "duty": "cordon", "processes": [{"pid": 7, "rss": 1 << 20, "cpu": 0.5}]}
    running = {"job_id": "0", "attempt": 2, "type": "shop.charge", "pid": 7, "since": 5.0}
    beat(cli_environment.database, "a", running=[running], **report)
    (asked,) = cli_environment.json("workers", "cordon", "a@host", "--reason", "disk is full", "--by", "ann")
    assert asked == {"worker_id": "a", "name": "a@host", "status": "alive", "duty": "cordon", "outcome": "asked"}
    shown = cli_environment.json("workers", "show", "a@host")
    assert (shown["duty"], shown["duty_reason"], shown["duty_by"]) == ("cordon", "disk is full", "ann")
    (listed,) = cli_environment.json("workers", "list")["workers"]
    assert (listed["duty"], listed["report"]["processes"]) == ("cordon", report["processes"])
    text = cli_environment.run("workers", "show", "a@host").stdout
    assert "disk is full" in text and "shop.charge" in text and "1970-01-01T00:00:05Z" in text and "1 MiB" in text
    cli_environment.json("workers", "uncordon", "a@host")
    assert cli_environment.json("workers", "show", "a@host")["duty_by"] == getpass.getuser()


def test_a_drain_cannot_be_taken_back_and_unknown_names_are_named(cli_environment: CliEnvironment) -> None:
    beat(cli_environment.database, "a", "b")
    beat(cli_environment.database, "b", status="gone")
    cli_environment.json("workers", "drain", "a@host", "--by", "ann")
    for verb in ("uncordon", "cordon", "drain"):
        result = cli_environment.run("workers", verb, "a@host", "--by", "bob")
        assert result.exit_code == Exit.CONFLICT
        assert "a@host is to drain already" in result.stderr
    assert cli_environment.json("workers", "show", "a@host")["duty_by"] == "ann"
    for name in ("b@host", "c@host"):
        result = cli_environment.run("workers", "drain", name)
        assert result.exit_code == Exit.NOT_FOUND
        assert f"worker {name}: no such worker" in result.stderr
    assert cli_environment.json("workers", "show", "b@host")["status"] == "gone"
    assert cli_environment.run("workers", "show", "c@host").exit_code == Exit.NOT_FOUND
    assert cli_environment.run("workers", "drain", "a@host", "--grace", "-1").exit_code == Exit.USAGE


def test_parked_jobs_are_not_released_for_a_worker_that_takes_none(cli_environment: CliEnvironment) -> None:
    beat(cli_environment.database, "a", "b", types=["shop.charge"], queues=["celery"])
    cli_environment.json("workers", "cordon", "a@host")
    with cli_environment.database.session() as session:
        assert workers.skills(session, cordoned=False) == [(["shop.charge"], ["celery"])]
    cli_environment.json("workers", "drain", "b@host")
    with cli_environment.database.session() as session:
        assert workers.skills(session, cordoned=False) == []
        assert workers.skills(session) == [(["shop.charge"], ["celery"])]


def test_the_group_is_there_under_celery_too(cli_environment: CliEnvironment, tmp_path: Path) -> None:
    beat(cli_environment.database, "a")
    done = cli_environment.spawn(tmp_path, "celery", "-A", "jobplatform", "workers", "cordon", "a@host")
    assert done.returncode == 0, done.stderr
    assert "cordon" in done.stdout
    assert cli_environment.json("workers", "show", "a@host")["duty"] == "cordon"
