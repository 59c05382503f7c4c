"""Beats that fire the schedules of the rows: several at once, killed, and told by SQL."""

from __future__ import annotations

import itertools
import json
import random
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import schedule_jobs
from fleet import Fleet, Process
from processes import eventually

from jobplatform.devstack.stack import DevStack


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [schedule_jobs.__name__]) as made:
        yield made


def start_beat(fleet: Fleet, name: str = "beat1") -> Process:
    made = fleet.python("-m", "celery", "-A", "jobplatform", "beat", "-l", "INFO", name=name)
    eventually(lambda: made.says("beat: Starting..."), 30, made.tail)
    return made


def add(fleet: Fleet, marks: Path, name: str, cron: str, **values: Any) -> None:
    """Add a schedule as a person does, by SQL."""
    template = {"args": [str(marks), "{name}", "{fire_at}"], "kwargs": {}}
    columns = {"name": name, "job_type": "schedule_jobs.tell", "cron_expression": cron, **values}
    columns |= {"payload_template": json.dumps(template), "overlap": "allow_all"}
    marks_of = ", ".join(f"%({column})s" for column in columns)
    fleet.rows(f"insert into @job_schedules ({', '.join(columns)}) values ({marks_of}) returning name", **columns)


def fires(fleet: Fleet, name: str) -> list[datetime]:
    found = fleet.rows(
        "select fire_at from @jobs join @job_schedules using (schedule_id) where name = %(name)s order by 1", name=name
    )
    return [row["fire_at"] for row in found]


def assert_without_gap(found: list[datetime], interval: timedelta) -> None:
    assert {later - earlier for earlier, later in itertools.pairwise(found)} == {interval}, found


def test_three_beats_that_are_killed_fire_each_time_once(fleet: Fleet, marks: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    beats = [start_beat(fleet, f"beat{number}") for number in range(3)]
    for number in range(20):
        add(fleet, marks, f"s{number}", "@every 1s", misfire="all")
    chance = random.Random(7)
    for count in range(5, 25, 5):
        eventually(lambda count=count: len(fires(fleet, "s0")) > count, 60, fleet.describe)
        number = chance.randrange(3)
        beats[number].stop(signal.SIGKILL)
        beats[number] = start_beat(fleet, f"again{count}")
    fleet.rows("update @job_schedules set enabled = false where true returning name")
    jobs = fleet.rows("select count(*) as jobs from @jobs")[0]["jobs"]
    assert fleet.wait_final(jobs, 60) == {"COMPLETED": jobs}
    for number in range(20):
        found = fires(fleet, f"s{number}")
        assert_without_gap(found, timedelta(seconds=1))
        assert sorted((marks / f"s{number}").read_text().split()) == [at.isoformat() for at in found]


def test_a_row_is_changed_while_beat_runs(fleet: Fleet, marks: Path) -> None:
    start_beat(fleet)
    add(fleet, marks, "changing", "0 0 1 1 *")
    eventually(lambda: fleet.rows("select 1 as one from @job_schedules where next_run is not null"), 30, fleet.describe)
    fleet.rows(
        "update @job_schedules set cron_expression = %(cron)s where name = 'changing' returning name", cron="@every 1s"
    )
    eventually(lambda: len(fires(fleet, "changing")) > 2, 30, fleet.describe)
    fleet.rows("update @job_schedules set enabled = false where name = 'changing' returning name")
    assert_without_gap(fires(fleet, "changing"), timedelta(seconds=1))


def test_code_declares_a_schedule(fleet: Fleet) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "1")
    start_beat(fleet)
    eventually(lambda: fleet.states()["COMPLETED"] > 2, 30, fleet.describe)
    (row,) = fleet.rows("select name, origin, cron_expression, overlap from @job_schedules")
    assert row == {
        "name": "schedule_jobs.declared", "origin": "code", "cron_expression": "@every 1s", "overlap": "skip",
    }  # fmt: skip


def test_a_beat_outlives_postgresql(stack: DevStack, fleet: Fleet, marks: Path) -> None:
    start_beat(fleet)
    add(fleet, marks, "steady", "@every 1s", misfire="all")
    eventually(lambda: len(fires(fleet, "steady")) > 2, 30, fleet.describe)
    stack.postgres.kill(signal.SIGKILL)
    stack.postgres.start()
    count = len(fires(fleet, "steady"))
    eventually(lambda: len(fires(fleet, "steady")) > count + 2, 30, fleet.describe)
    assert_without_gap(fires(fleet, "steady"), timedelta(seconds=1))
