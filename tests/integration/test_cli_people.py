"""Users, tokens and the audit log on the command line, and how often somebody may try to come in."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from command_line import CliEnvironment

from jobplatform.actions import entry
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.cli import main
from jobplatform.cli.exits import Exit
from jobplatform.errors import SignInRefused, TooOften
from jobplatform.settings import Settings
from jobplatform.store import audit, sign_ins
from jobplatform.store.database import Database

PASSWORD = "correct horse battery"


@pytest.fixture
def told(cli_environment: CliEnvironment) -> Callable[..., Result]:
    """Run a command that reads a password from standard input."""

    def run(*arguments: str, password: str = PASSWORD) -> Result:
        return CliRunner().invoke(main, arguments, env=cli_environment.env, input=f"{password}\n")

    return run


@pytest.fixture
def desk(settings: Settings, database: Database) -> Desk:
    return Desk(settings, database, lambda: None, lambda: None)


def later(desk: Desk, **span: float) -> Desk:
    now = desk.now() + timedelta(**span)
    return replace(desk, now=lambda: now)


def test_a_user_is_added_changed_and_signed_out_by_it(
    cli_environment: CliEnvironment, told: Callable[..., Result], desk: Desk
) -> None:
    added = told("users", "add", "ann", "--role", "operator", "--may", "jobs.payload", "--queue", "mail")
    assert (added.exit_code, PASSWORD in added.output) == (Exit.OK, False), added.output
    assert told("users", "add", "ann").exit_code == Exit.USAGE
    assert told("users", "add", "bob", password="short").exit_code == Exit.USAGE
    assert told("users", "add", "bob", "--may", "jobs.fly").exit_code == Exit.USAGE
    (row,) = cli_environment.json("users", "list")["users"]
    assert (row["name"], row["role"], row["more"], row["queues"]) == ("ann", "operator", ["jobs.payload"], ["mail"])
    assert "password" not in row
    first, before = (entry.sign_in(desk, "ann", PASSWORD, None) for _ in range(2))
    second = entry.sign_in(desk, "ann", PASSWORD, None, before)
    assert [entry.of_session(desk, each, None) is not None for each in (first, before, second)] == [True, False, True]
    ann = entry.of_session(desk, second, None)
    assert ann is not None
    assert ann.permissions == ROLES["operator"] | {Permission.JOBS_PAYLOAD}
    assert entry.sign_out_everywhere(desk, ann) == 2
    third = entry.sign_in(desk, "ann", PASSWORD, None)
    changed = told("users", "change", "ann", "--role", "viewer", "--no-more", "--everywhere", "--password")
    assert changed.exit_code == Exit.OK, changed.output
    assert entry.of_session(desk, third, None) is None
    (row,) = cli_environment.json("users", "list")["users"]
    assert (row["role"], row["more"], row["queues"]) == ("viewer", [], None)
    cli_environment.json("users", "change", "ann", "--disable")
    with pytest.raises(SignInRefused):
        entry.sign_in(desk, "ann", PASSWORD, None)
    for wrong, code in (((), 2), (("--may", "jobs.read", "--no-more"), 2)):
        assert cli_environment.run("users", "change", "ann", *wrong).exit_code == code
    assert cli_environment.run("users", "change", "eve", "--enable").exit_code == Exit.NOT_FOUND


def test_a_token_is_shown_once_and_counts_until_it_is_revoked(
    cli_environment: CliEnvironment, told: Callable[..., Result], desk: Desk
) -> None:
    told("users", "add", "ann")
    made = cli_environment.json("tokens", "add", "ci", "--user", "ann", "--may", "jobs.read", "--queue", "mail")
    program = entry.of_token(desk, made["secret"], None)
    assert program is not None
    assert (program.permissions, program.scope.queues) == ({Permission.JOBS_READ}, {"mail"})
    listed = cli_environment.run("tokens", "list", "--json")
    assert made["secret"] not in listed.output
    (row,) = json.loads(listed.stdout)["tokens"]
    assert (row["name"], row["user"], row["permissions"]) == ("ci", "ann", ["jobs.read"])
    assert cli_environment.json("tokens", "revoke", str(made["token_id"]))["name"] == "ci"
    assert entry.of_token(desk, made["secret"], None) is None
    assert cli_environment.run("tokens", "revoke", str(made["token_id"])).exit_code == Exit.NOT_FOUND
    assert cli_environment.run("tokens", "add", "x", "--user", "eve", "--may", "jobs.read").exit_code == Exit.NOT_FOUND
    assert cli_environment.run("tokens", "add", "x", "--user", "ann").exit_code == Exit.USAGE


@pytest.mark.owner
def test_the_log_is_listed_exported_and_checked(
    cli_environment: CliEnvironment, database: Database, told: Callable[..., Result]
) -> None:
    assert cli_environment.json("audit", "verify") == {"broken": None, "last": None}
    told("users", "add", "ann")
    for queue in ("mail", "celery"):
        cli_environment.json("queues", "pause", queue, "--reason", f"{queue} is slow")
    page = cli_environment.json("audit", "list", "--limit", "2")
    assert [(row["action"], row["reason"]) for row in page["deeds"]] == [
        ("queues.pause", "celery is slow"), ("queues.pause", "mail is slow")
    ]  # fmt: skip
    rest = cli_environment.json("audit", "list", "--page", page["next"], "--since", "1h")
    assert ([row["action"] for row in rest["deeds"]], rest["next"]) == (["users.add"], None)
    assert not cli_environment.json("audit", "list", "--actor", "eve")["deeds"]
    lines = cli_environment.run("audit", "export", "--action", "queues.pause").stdout.splitlines()
    assert [json.loads(line)["about"]["queues"] for line in lines] == [["celery"], ["mail"]]
    sound = cli_environment.json("audit", "verify")
    assert (sound["broken"], sound["last"]["audit_id"]) == (None, 4)
    with database.transaction() as transaction:
        table = f"{database.schema}.audit_log"
        transaction.connection.exec_driver_sql(f"alter table {table} disable trigger user")
        transaction.connection.exec_driver_sql(f"update {table} set actor = 'eve' where audit_id = 2")
        transaction.connection.exec_driver_sql(f"alter table {table} enable trigger user")
    assert cli_environment.json("audit", "verify", code=Exit.FAILED)["broken"] == 2
    assert "row 2" in cli_environment.run("audit", "verify").stdout


def test_who_tries_too_often_is_told_when_to_come_again(
    desk: Desk, told: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "NAME_TRIES", 3)
    told("users", "add", "ann")
    refusals = set()
    for name in ("ann", "nobody"):
        for _ in range(entry.NAME_TRIES):
            with pytest.raises(SignInRefused) as refused:
                entry.sign_in(desk, name, "wrong horse battery", None)
            refusals.add(str(refused.value))
        with pytest.raises(TooOften) as stopped:
            entry.sign_in(desk, name, PASSWORD, None)
        assert 0 < stopped.value.retry_after <= entry.NAME_SECONDS
        refusals.add(type(stopped.value).__name__)
    assert len(refusals) == 2
    soon = later(desk, seconds=stopped.value.retry_after + 1)
    # Who was let in may try as often as before.
    assert [bool(entry.sign_in(soon, "ann", PASSWORD, None)) for _ in range(2)] == [True, True]
    assert sum(row["outcome"] == {"refused": True} for row in _deeds(desk)) == 2 * entry.NAME_TRIES


def test_an_address_has_tries_of_its_own_and_an_ipv6_site_is_one(desk: Desk) -> None:
    now = desk.now()

    def tries(address: str, count: int, at: datetime = now) -> list[float]:
        buckets = [entry._buckets(f"name {address} {each}", address)[1] for each in range(count)]
        return [_attempt(desk, [bucket], at) for bucket in buckets]

    assert tries("192.0.2.1", entry.ADDRESS_TRIES) == [0.0] * entry.ADDRESS_TRIES
    assert tries("192.0.2.1", 1) == [entry.ADDRESS_SECONDS]
    assert tries("::ffff:192.0.2.1", 1) == [entry.ADDRESS_SECONDS]
    assert tries("192.0.2.2", 1) == [0.0]
    assert tries("192.0.2.1", 2, now + timedelta(seconds=entry.ADDRESS_SECONDS)) == [0.0, entry.ADDRESS_SECONDS]
    assert tries("2001:db8::1", entry.ADDRESS_TRIES)[-1] == 0.0
    assert tries("2001:db8::2:3", 1) == [entry.ADDRESS_SECONDS]
    assert tries("2001:db8:0:1::1", 1) == [0.0]


def test_those_who_try_at_once_get_no_more_tries(desk: Desk) -> None:
    buckets, now = entry._buckets("ann", "192.0.2.9"), desk.now()
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: _attempt(desk, buckets, now), range(3 * entry.NAME_TRIES)))
    assert waits.count(0.0) == entry.NAME_TRIES
    assert set(waits) == {0.0, entry.NAME_SECONDS}


def test_what_is_kept_of_tries_does_not_grow(desk: Desk, database: Database) -> None:
    buckets = {bucket.slot for each in range(20_000) for bucket in entry._buckets(f"n{each}", f"10.0.{each}")}
    assert max(buckets) < 2 * sign_ins.SLOTS
    assert len(buckets) > sign_ins.SLOTS


def test_a_session_is_noted_once_a_minute_and_ends_by_itself(
    desk: Desk, database: Database, told: Callable[..., Result]
) -> None:
    told("users", "add", "ann")
    secret = entry.sign_in(desk, "ann", PASSWORD, None)

    def version() -> Any:
        with database.transaction() as transaction:
            sql = f"select xmin::text, used_at from {database.schema}.sessions"
            return transaction.connection.exec_driver_sql(sql).one()

    begun = version()
    assert entry.of_session(later(desk, seconds=50), secret, None)
    assert version() == begun
    assert entry.of_session(later(desk, seconds=70), secret, None)
    assert version() != begun
    assert entry.of_session(later(desk, seconds=70 + entry.IDLE_SECONDS - 5), secret, None)
    assert entry.of_session(later(desk, seconds=80 + 2 * entry.IDLE_SECONDS), secret, None) is None
    assert entry.of_session(later(desk, seconds=entry.MOST_SECONDS + 1), secret, None) is None


def _attempt(desk: Desk, buckets: list[sign_ins.Bucket], at: datetime) -> float:
    with desk.database.transaction() as transaction:
        return sign_ins.attempt(transaction, buckets, at)


def _deeds(desk: Desk) -> list[Any]:
    with desk.look() as session:
        return list(audit.listed(session, 100))
