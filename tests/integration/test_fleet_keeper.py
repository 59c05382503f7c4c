"""What the keeper of a fleet writes, with members that a test makes up and real stores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import CliEnvironment

from jobplatform.journal import entry
from jobplatform.settings import Settings
from jobplatform.store import fleets, replacements, verdicts, workers
from jobplatform.store.database import Database
from jobplatform.transport import keys
from jobplatform.transport.census import clock
from jobplatform.transport.rescue import Rescued, evict
from jobplatform.workers.fleet import Member, Stage
from jobplatform.workers.homes import fleet_of, keeper_of
from jobplatform.workers.keeper import FleetKeeper
from jobplatform.workers.local_fleet import LocalFleet
from jobplatform.workers.procfile_fleet import ProcfileFleet
from jobplatform.workers.roll import Roll
from jobplatform.workers.starter import Starter

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Shop:
    """Workers that are nothing but their heartbeats and rows."""

    def __init__(self, database: Database, client: Any) -> None:
        self.database = database
        self.client = client

    def beat(self, name: str, ago: float = 0.0, **report: Any) -> None:
        now = clock(self.client) - ago
        said = {"name": name, "pid": 1, "started_at": now, "active": 0, "waiting": 0, "duty": "work", **report}
        self.client.hset(keys.WORKERS, f"node-{name}", f"{now} {now} {json.dumps(said)}")
        row = {"worker_id": f"node-{name}", "name": name, "status": "alive", "started_at": now, "last_seen_at": now}
        with self.database.transaction() as transaction:
            workers.record(transaction, [{**row, "pid": 1, "report": said}], NOW)

    def duties(self) -> dict[str, str]:
        with self.database.session() as session:
            return {node: row["duty"] for node, row in fleets.duties(session).items()}


@pytest.fixture
def shop(database: Database, client: Any) -> Shop:
    return Shop(database, client)


def make_keeper(shop: Shop, settings: Settings, path: Path) -> FleetKeeper:
    roll = Roll(shop.database, shop.client, settings.stale_seconds)
    return FleetKeeper(shop.database, shop.client, ProcfileFleet("worker", roll, path), settings)


def wish(shop: Shop, wanted: int) -> None:
    with shop.database.transaction() as transaction:
        fleets.wish(transaction, "worker", wanted, "a test", "test")


def test_a_formation_grows_at_once_and_shrinks_when_enough_run_nothing(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "formation"
    path.write_text("web=1\nworker=2\n")
    keeper = make_keeper(shop, replace(settings, fleet_min=1), path)
    wish(shop, 3)
    for name in ("a", "b"):
        shop.beat(name)
    keeper.run_once(NOW)
    assert path.read_text() == "web=1\nworker=3\n"
    shop.beat("c", active=1)
    wish(shop, 1)
    keeper.run_once(NOW)
    # Two that run nothing are to take no more; until they have heard so, nobody may go.
    assert shop.duties() == {"node-a": "cordon", "node-b": "cordon"}
    keeper.run_once(NOW)
    assert path.read_text() == "web=1\nworker=3\n"
    shop.beat("a", duty="cordon")
    keeper.run_once(NOW)
    assert path.read_text() == "web=1\nworker=2\n"
    shop.beat("b", duty="cordon", active=1)
    keeper.run_once(NOW)
    assert path.read_text() == "web=1\nworker=2\n"
    shop.beat("b", duty="cordon")
    keeper.run_once(NOW)
    assert path.read_text() == "web=1\nworker=1\n"


def test_a_lease_that_a_heartbeat_does_not_tell_of_yet_keeps_a_worker(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "formation"
    keeper = make_keeper(shop, replace(settings, fleet_min=1), path)
    wish(shop, 2)
    for name in ("a", "b"):
        shop.beat(name)
    wish(shop, 1)
    keeper.run_once(NOW)
    (asked,) = shop.duties()
    shop.beat(asked.removeprefix("node-"), duty="cordon")
    shop.client.hset(keys.LEASES, f"{asked}:1", "[]")
    keeper.run_once(NOW)
    assert path.read_text() == "worker=2\n"
    shop.client.hdel(keys.LEASES, f"{asked}:1")
    keeper.run_once(NOW)
    assert path.read_text() == "worker=1\n"


def test_without_a_wish_there_are_the_least_and_never_more_than_the_most(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    keeper = make_keeper(shop, replace(settings, fleet_min=2, fleet_max=4), tmp_path / "formation")
    assert keeper.wish.size() == 2
    for wanted, found in ((9, 4), (0, 2), (3, 3)):
        wish(shop, wanted)
        assert keeper.wish.size() == found


def test_a_replacement_where_the_home_starts_workers(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    keeper = make_keeper(shop, replace(settings, fleet_min=2), tmp_path / "formation")
    for name in ("a", "b"):
        shop.beat(name)
    with shop.database.transaction() as transaction:
        assert replacements.ask(transaction, "worker", ["node-a"], "old code", "ann@desk") == ["a"]
        assert replacements.ask(transaction, "worker", ["node-a"], "old code", "ann@desk") == []
    keeper.run_once(NOW)
    assert shop.duties() == {"node-a": "cordon"}
    shop.beat("a", duty="cordon", active=1)
    keeper.run_once(NOW)
    assert shop.duties() == {"node-a": "drain"}
    shop.beat("a", gone=True)
    keeper.run_once(NOW)
    with shop.database.session() as session:
        (row,) = replacements.recent(session, 5)
    assert (row["name"], row["outcome"]) == ("a", "replaced")


def test_the_last_worker_is_not_cordoned(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    keeper = make_keeper(shop, replace(settings, fleet_min=1), tmp_path / "formation")
    shop.beat("a")
    with shop.database.transaction() as transaction:
        replacements.ask(transaction, "worker", ["node-a"], "old code", "ann@desk")
    keeper.run_once(NOW)
    assert shop.duties() == {}


def test_leases_of_one_worker_are_taken_whatever_their_age(client: Any) -> None:
    message = json.dumps({"headers": {"task": "t"}, "properties": {"correlation_id": "j", "priority": 0}})
    start = entry.started(entry.attempt_head("j", 1, "w1", 5, None, ""), 1.0)
    for tag in ("one:1", "one:2", "other:1"):
        client.hset(keys.LEASES, tag, f'[{message},"","celery"]')
        client.zadd(keys.LEASE_TIMES, {tag: clock(client)})
    client.hset(keys.STARTS, "one:1", start)
    assert evict(client, "one", "stood still and was replaced", 100) == Rescued(1, 1, [])
    assert client.hkeys(keys.LEASES) == [b"other:1"]
    assert client.llen("celery") == 1
    ((_, fields),) = client.xrange(keys.JOURNAL)
    (raw,) = fields.values()
    found = entry.parse(raw)
    assert found.error is not None
    assert found.error["message"] == "worker w1 stood still and was replaced before the job ended"
    assert found.error["interrupted"]
    assert "died" not in found.error


def test_homes_follow_the_settings(database: Database, client: Any, settings: Settings) -> None:
    assert fleet_of(settings, database, client) is None
    assert keeper_of(settings, database, client) is None
    for home in ("local", "procfile", "kubernetes"):
        made = fleet_of(replace(settings, fleet=home), database, client)
        assert made is not None
        assert (made.pool, made.starts_members) == ("worker", home == "local")


def test_the_command_line_steers_the_fleet(cli_environment: CliEnvironment, client: Any, settings: Settings) -> None:
    shop = Shop(cli_environment.database, client)
    shop.beat("worker1@here", active=2)
    assert cli_environment.json("fleet", "size") == {"pool": "worker", "wanted": 2}
    assert cli_environment.json("fleet", "size", "4", "--reason", "a fair")["wanted"] == 4
    assert cli_environment.run("fleet", "size", "9").exit_code == 2
    (member,) = cli_environment.json("fleet", "list")["members"]
    assert (member["name"], member["stage"], member["busy"]) == ("worker1@here", "working", 2)
    assert cli_environment.json("fleet", "wish") == {
        "workers": 4, "wanted": 4, "reason": "a fair", "deletion_costs": {"here": 102},
    }  # fmt: skip
    assert cli_environment.run("workers", "replace", "worker1@here").exit_code == 4
    local = {"JOBPLATFORM_FLEET": "local"}
    assert cli_environment.run("workers", "replace", "nobody@here", **local).exit_code == 3
    said = cli_environment.run("workers", "replace", "worker1@here", "--reason", "it is old", **local)
    assert said.stdout == "worker1@here: is being replaced\n"
    (row,) = cli_environment.json("fleet", "replacements")["replacements"]
    assert "asked for worker1@here to be replaced: it is old; it is under way" in row["sentence"]
    assert 'kind": "ScaledObject' in cli_environment.run("fleet", "manifest").stdout


def test_members_are_made_of_what_workers_say(shop: Shop, settings: Settings) -> None:
    shop.beat("a", active=1, waiting=2, loop_wait=3.5)
    shop.beat("b", gone=True)
    found: Sequence[Member] = Roll(shop.database, shop.client, settings.stale_seconds).members()
    (member,) = found
    assert (member.name, member.busy, member.loop_wait, member.takes) == ("a", 3, 3.5, True)


def judged(shop: Shop, name: str, in_a_row: int, rule: str = "memory") -> None:
    """Write a verdict as the judge of workers does."""
    features = {"rule": rule, "in_a_row": in_a_row}
    row = {"worker_id": f"node-{name}", "verdict": "failing", "confidence": 0.95, "reason": "its memory grows"}
    rows = [{**row, "decided_by": "rules", "features": features}]
    with shop.database.transaction() as transaction:
        at = NOW + timedelta(seconds=in_a_row)
        verdicts.add(transaction, rows, at)
        verdicts.stamp(transaction, rows, at)


def replaced(shop: Shop) -> list[str]:
    with shop.database.session() as session:
        return [row["name"] for row in replacements.recent(session, 5)]


def test_a_second_verdict_in_a_row_replaces_a_worker_and_one_soon_after_waits(
    shop: Shop, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = make_keeper(shop, replace(settings, fleet="procfile"), tmp_path / "formation")
    for name in ("a", "b"):
        shop.beat(name)
    shop.beat("c")
    judged(shop, "a", 1)
    keeper.run_once(NOW)
    assert replaced(shop) == []
    judged(shop, "a", 2)
    keeper.run_once(NOW)
    assert replaced(shop) == ["a"]
    shop.beat("a", gone=True)
    keeper.run_once(NOW)
    judged(shop, "b", 2)
    for _ in range(3):
        keeper.run_once(NOW)
    assert replaced(shop) == ["a"]
    (told,) = [each.getMessage() for each in caplog.records if "it stays for now" in each.getMessage()]
    assert told.startswith("b is failing (confidence 0.95, 2 verdicts in a row): its memory grows; it stays for now")


def test_a_verdict_that_was_not_given_again_for_long_replaces_nobody(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    keeper = make_keeper(shop, replace(settings, fleet="procfile"), tmp_path / "formation")
    for name in ("a", "b"):
        shop.beat(name)
    judged(shop, "a", 2)
    keeper.run_once(NOW + timedelta(hours=1))
    assert replaced(shop) == []


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, "it stays, as JOBPLATFORM_FLEET is off"),
        ({"JOBPLATFORM_FLEET": "procfile", "JOBPLATFORM_REPLACE": "off"}, "it stays, as JOBPLATFORM_REPLACE is off"),
        ({"JOBPLATFORM_FLEET": "procfile"}, "it stays, as it is the last worker"),
    ],
)
def test_the_command_line_says_why_a_failing_worker_stays(
    cli_environment: CliEnvironment, client: Any, environment: dict[str, str], why: str
) -> None:
    shop = Shop(cli_environment.database, client)
    shop.beat("a")
    judged(shop, "a", 2)
    with shop.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(f"update {transaction.schema}.workers set judged_at = now()")
    said = cli_environment.run("fleet", "replacements", **environment)
    assert said.stdout.splitlines() == [
        f"a is failing (confidence 0.95, 2 verdicts in a row): its memory grows; {why}",
        "no worker was replaced",
    ]


class Home(ProcfileFleet):
    """A home in which processes can be started and killed, which all seem to live."""

    starts_members = True

    def __init__(self, pool: str, roll: Roll, path: Path) -> None:
        super().__init__(pool, roll, path)
        self.killed: list[str] = []

    def members(self) -> Sequence[Member]:
        return [member for member in self.roll.members() if member.name not in self.killed]

    def spawn(self, besides: Sequence[Member]) -> str | None:
        return "d"

    def kill(self, member: Member) -> None:
        self.killed.append(member.name)


def test_of_workers_that_are_silent_together_one_is_replaced_once_its_successor_is_heard(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    home = Home("worker", Roll(shop.database, shop.client, settings.stale_seconds), tmp_path / "formation")
    clock = [0.0]
    local = replace(settings, fleet="local", fleet_min=3)
    keeper = FleetKeeper(shop.database, shop.client, home, local, lambda: clock[0])
    for name in ("a", "b", "c"):
        shop.beat(name, ago=40.0)
    for _ in range(20):
        clock[0] += 1.0
        keeper.run_once(NOW)
    (first,) = replaced(shop)
    assert home.killed == []
    shop.beat("d")
    keeper.run_once(NOW)
    assert home.killed == [first]


def test_a_worker_that_was_killed_is_no_member_while_it_takes_its_time_to_die(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll = Roll(shop.database, shop.client, settings.stale_seconds)
    local = LocalFleet("worker", roll, Starter("jobplatform", "", {}, Path.cwd(), signal.SIGKILL, forks=False), "here")
    with subprocess.Popen(["sleep", "600"]) as dying, subprocess.Popen(["sleep", "600"]) as other:
        try:
            shop.beat("worker1@here", pid=dying.pid, started_at=time.time())
            shop.beat("worker2@here", pid=other.pid, started_at=time.time())
            first, _ = sorted(local.members(), key=lambda member: member.name)
            # As on a machine that has no time for it.
            monkeypatch.setattr(psutil.Process, "kill", lambda self: None)
            local.kill(first)
            assert [member.name for member in local.members()] == ["worker2@here"]
            os.kill(dying.pid, signal.SIGKILL)
            dying.wait()
            assert [member.name for member in local.members()] == ["worker2@here"]
        finally:
            for process in (dying, other):
                process.kill()


@pytest.mark.parametrize("beat", [0.5, 5.0])
def test_what_is_not_heard_in_a_pause_of_the_keeper_speaks_against_nobody(
    shop: Shop, settings: Settings, tmp_path: Path, beat: float
) -> None:
    clock = [0.0]
    ours = replace(settings, fleet="local", fleet_min=2, heartbeat_seconds=beat)
    home = Home("worker", Roll(shop.database, shop.client, ours.stale_seconds), tmp_path / "formation")
    keeper = FleetKeeper(shop.database, shop.client, home, ours, lambda: clock[0])

    def look(after: float, heard: float) -> None:
        clock[0] += after
        for name in ("a", "b"):
            shop.beat(name, ago=heard)
        keeper.run_once(NOW)

    for _ in range(17):
        look(keeper.interval, heard=0.0)
    # Redis answered nobody for a while, neither the workers, one of which was to speak just then, nor us.
    for pause in (2.1, 3.5):
        look(pause * beat, heard=(pause + 0.99) * beat)
        assert replaced(shop) == []
        for _ in range(17):
            look(keeper.interval, heard=0.0)
    # A silence that was listened to does.
    for silent in range(17):
        look(keeper.interval, heard=silent * keeper.interval)
    assert len(replaced(shop)) == 1


def test_a_silence_that_began_before_anybody_listened_is_no_longer_than_that() -> None:
    silent = Member("w1@here", Stage.SILENT, 1, "node1", silent=40.0)
    assert (silent.heard(10.0, 15.0).stage, silent.heard(10.0, 15.0).silent) == (Stage.WORKING, 10.0)
    assert (silent.heard(16.0, 15.0).stage, silent.heard(16.0, 15.0).silent) == (Stage.SILENT, 16.0)
    assert silent.heard(60.0, 15.0) == silent
