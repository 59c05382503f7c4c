"""Schedules by actions: within a scope, and times that are long past made up for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import CliEnvironment

from jobplatform.actions import schedule_edits, schedules
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.errors import Forbidden, InvalidPayload, JobOptionError, ScheduleNotFound, TransitionRefused
from jobplatform.masking import MASK
from jobplatform.scheduling.fires import TypeFacts
from jobplatform.scheduling.ticker import Ticker
from jobplatform.settings import Settings
from jobplatform.store import audit
from jobplatform.store import schedules as rows
from jobplatform.store.pauses import Hold

ROOT = at_terminal("root")
NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


@pytest.fixture
def desk(settings: Settings, cli_environment: CliEnvironment) -> Desk:
    return Desk(settings, cli_environment.database, lambda: None, lambda: None, lambda: NOW)


def actor(role: str, scope: Scope | None = None) -> Actor:
    return Actor(role, Via.PAGE, ROLES[role], scope or Scope(), "192.0.2.1")


def test_a_schedule_out_of_scope_is_not_there(desk: Desk) -> None:
    for name in ("mail", "celery"):
        schedule_edits.add(desk, ROOT, name, "shop.report", "@every 1h", {"queue": name})
    who = actor("operator", Scope(frozenset({"mail"})))
    assert [row["name"] for row in schedules.list_schedules(desk, who, 10).rows] == ["mail"]
    assert schedules.check(desk, who).schedules == 1
    verbs: list[Callable[[str], Any]] = [
        lambda name: schedules.show_schedule(desk, who, name),
        lambda name: schedules.preview(desk, who, name, "UTC", 1),
        lambda name: schedules.pause(desk, who, [name], Hold("no", "ann")),
        lambda name: schedules.resume(desk, who, [name]),
        lambda name: schedules.resume(desk, who, [name], dry_run=True),
        lambda name: schedules.run(desk, who, [name]),
        lambda name: schedule_edits.change_schedule(desk, who, name, "@daily", {}),
        lambda name: schedule_edits.backfill(desk, who, name, NOW - timedelta(hours=2), NOW),
        lambda name: schedules.remove(desk, who, [name]),
    ]
    for verb in verbs:
        with pytest.raises(ScheduleNotFound):
            verb("celery")
        verb("mail")
    with pytest.raises(Forbidden, match="of queue celery"):
        schedule_edits.add(desk, who, "more", "shop.report", "@daily", {})
    schedule_edits.add(desk, who, "more", "shop.report", "@daily", {"queue": "mail"})
    with pytest.raises(Forbidden, match="of queue celery"):
        schedule_edits.change_schedule(desk, who, "more", None, {"queue": "celery"})
    with pytest.raises(TransitionRefused, match="there already"):
        schedule_edits.add(desk, who, "celery", "shop.report", "@daily", {"queue": "mail"})
    assert not schedules.list_schedules(desk, actor("viewer", Scope(tenants=frozenset({"a"}))), 10).rows
    assert schedules.show_schedule(desk, ROOT, "celery").schedule["enabled"]


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ({"colour": 1}, "colour: a schedule does not say this"),
        ({"priority": 9}, "priority: 9 is out of range"),
        ({"payload_template": {"arguments": []}}, "no such part of a payload"),
        ({"misfire": "shrug"}, "'shrug' is not known"),
    ],
)
def test_what_a_schedule_cannot_say_is_refused(desk: Desk, says: dict[str, Any], problem: str) -> None:
    with pytest.raises((JobOptionError, InvalidPayload), match=problem):
        schedule_edits.add(desk, ROOT, "bad", "shop.report", "@daily", says)
    assert not schedules.list_schedules(desk, ROOT, 10).rows


def test_a_mask_that_was_seen_keeps_what_is_stored_and_is_refused_elsewhere(desk: Desk) -> None:
    stored = {"args": [1], "kwargs": {"token": "tk-4711-4711"}}
    schedule_edits.add(desk, ROOT, "hidden", "shop.report", "@daily", {"payload_template": stored})
    seen = schedules.show_schedule(desk, ROOT, "hidden").schedule["payload_template"]
    assert seen["kwargs"]["token"] == MASK
    schedule_edits.change_schedule(desk, ROOT, "hidden", None, {"payload_template": {**seen, "args": [2]}})
    with desk.look() as session:
        (row,) = rows.listed(session, ["hidden"], 1)
    assert row["payload_template"] == {**stored, "args": [2]}
    with pytest.raises(InvalidPayload, match=r"payload_template\.args\[0\]"):
        schedule_edits.change_schedule(desk, ROOT, "hidden", None, {"payload_template": {**seen, "args": [MASK]}})


def test_past_times_are_made_up_for_once_and_in_turn_if_asked(desk: Desk, cli_environment: CliEnvironment) -> None:
    """The ticker fires at 11:00 and 12:00; five times from 8:00 on are left to two backfills."""
    schedule_edits.add(desk, ROOT, "hourly", "shop.report", "0 * * * *", {"misfire": "all", "overlap": "allow_all"})
    ticker = Ticker(desk.database, lambda job_type: TypeFacts(), timedelta())
    ticker.run_once(NOW - timedelta(hours=2))
    assert ticker.run_once(NOW)["fired"] == 2
    span = NOW - timedelta(hours=4, minutes=30), NOW
    found = schedule_edits.backfill(desk, ROOT, "hourly", *span, dry_run=True)
    assert (found.times, found.known, found.made) == (5, 2, 3)
    assert (found.first, found.last) == (NOW.replace(hour=8, minute=0), NOW.replace(hour=10, minute=0))
    assert schedule_edits.backfill(desk, ROOT, "hourly", *span, in_turn=True) == found
    assert schedule_edits.backfill(desk, ROOT, "hourly", *span).made == 0
    fires = schedules.show_schedule(desk, ROOT, "hourly").last_fires
    assert [(row["fire_at"].hour, row["status"]) for row in fires] == [
        (12, "PENDING"), (11, "PENDING"), (10, "BLOCKED"), (9, "BLOCKED"), (8, "PENDING"),
    ]  # fmt: skip
    (edge,) = cli_environment.json("jobs", "show", fires[3]["job_id"])["dependencies"][:1]
    assert (edge["job_id"], edge["depends_on_job_id"]) == (fires[3]["job_id"], fires[4]["job_id"])
    assert schedule_edits.backfill(desk, ROOT, "hourly", NOW - timedelta(hours=6, minutes=30), NOW).made == 2
    for since, until, problem in (
        (NOW, NOW + timedelta(hours=1), "not between since and now"),
        (NOW, NOW - timedelta(hours=1), "not between since and now"),
        (NOW - timedelta(days=1000), NOW, "more than 10000 times"),
    ):
        with pytest.raises(JobOptionError, match=problem):
            schedule_edits.backfill(desk, ROOT, "hourly", since, until)
    with desk.look() as session:
        made = [row["outcome"]["made"] for row in audit.listed(session, 10, action="schedules.backfill")]
    assert made == [2, 0, 3]


def test_the_command_asks_back_before_it_makes_many(desk: Desk, cli_environment: CliEnvironment) -> None:
    command = ("schedules", "backfill", "often", "--since", "3h")
    cli_environment.json("schedules", "add", "often", "shop.report", "* * * * *")
    result = cli_environment.run(*command)
    assert (result.exit_code, "jobs would be made; go on?" in result.stderr) == (1, True)
    wanted = cli_environment.json(*command, "--dry-run")["made"]
    assert wanted in (180, 181)
    assert cli_environment.json(*command, "--yes")["made"] in (wanted, wanted + 1)
    assert len(schedules.show_schedule(replace(desk, now=lambda: NOW), ROOT, "often").last_fires) == 5
