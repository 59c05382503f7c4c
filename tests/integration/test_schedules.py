"""Schedules as rows: planned, fired and skipped, by any number of tickers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobplatform.scheduling.declared import DEFAULTS
from jobplatform.scheduling.fires import TypeFacts
from jobplatform.scheduling.ticker import Ticker
from jobplatform.store import dependencies, jobs, schedules
from jobplatform.store.database import Database
from jobplatform.store.pauses import Hold

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TEMPLATE = {"args": ["{fire_at}"], "kwargs": {"of": "{name}", "count": 1}}


class Place:
    """The rows, and a ticker."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ticker = Ticker(
            database, lambda job_type: TypeFacts(max_retries=2, timeout=9.0), timedelta(seconds=10), batch=50
        )

    def add(self, name: str, cron: str, **values: Any) -> None:
        row = {**DEFAULTS, "job_type": "t.job", "queue": "celery", "payload_template": TEMPLATE, **values}
        with self.database.transaction() as transaction:
            assert schedules.put(transaction, [{**row, "name": name, "cron_expression": cron}]) == {name}

    def tick(self, now: datetime) -> dict[str, int]:
        """Tick until nothing is left to do."""
        counts: Counter[str] = Counter()
        while found := self.ticker.run_once(now):
            counts += found
        return dict(counts)

    def rows(self, sql: str) -> list[Mapping[str, Any]]:
        with self.database.session() as session:
            text = sql.replace("@", f'"{self.database.schema}".')
            return list(session.connection.exec_driver_sql(text).mappings().all())

    def fires(self, name: str) -> list[datetime]:
        return [
            row["fire_at"]
            for row in self.rows(
                "select fire_at from @jobs join @job_schedules using (schedule_id) "
                f"where name = '{name}' order by fire_at"
            )
        ]

    def schedule(self, name: str) -> Mapping[str, Any]:
        (row,) = self.rows(f"select * from @job_schedules where name = '{name}'")
        return row

    def run(self, sql: str) -> None:
        with self.database.transaction() as transaction:
            transaction.connection.exec_driver_sql(sql.replace("@", f'"{self.database.schema}".'))


@pytest.fixture
def place(database: Database) -> Place:
    return Place(database)


def later(**elapsed: float) -> datetime:
    return NOON + timedelta(**elapsed)


def test_a_new_row_is_planned_and_fires_when_its_time_comes(place: Place) -> None:
    place.add("hourly", "@hourly", priority=4, queue="reports")
    assert place.tick(NOON) == {"planned": 1}
    assert place.schedule("hourly")["next_run"] == later(hours=1)
    assert place.tick(later(minutes=59)) == {}
    assert place.tick(later(hours=1)) == {"fired": 1}
    (job,) = place.rows("select * from @jobs")
    shown = {name: job[name] for name in ("status", "priority", "queue", "max_retries", "timeout", "due_at", "payload")}
    assert shown == {
        "status": "PENDING",
        "priority": 4,
        "queue": "reports",
        "max_retries": 2,
        "timeout": 9.0,
        "due_at": later(hours=1),
        "payload": {"args": [later(hours=1).isoformat()], "kwargs": {"of": "hourly", "count": 1}},
    }
    assert place.schedule("hourly")["last_run"] == later(hours=1)
    assert place.tick(later(hours=1)) == {}


def test_what_is_changed_by_sql_is_planned_anew(place: Place) -> None:
    place.add("changed", "@hourly")
    place.tick(NOON)
    place.run("update @job_schedules set cron_expression = '*/10 * * * *'")
    assert place.tick(later(minutes=1)) == {"planned": 1}
    assert place.schedule("changed")["next_run"] == later(minutes=10)
    place.run("update @job_schedules set timezone = 'Asia/Kathmandu', cron_expression = '0 12 * * *'")
    place.tick(later(minutes=2))
    assert place.schedule("changed")["next_run"] == datetime(2026, 6, 2, 6, 15, tzinfo=UTC)
    place.run("update @job_schedules set priority = 2")
    assert place.tick(later(minutes=3)) == {}


def test_a_row_that_cannot_be_understood_is_disabled_and_the_others_fire(place: Place) -> None:
    place.add("good", "@hourly")
    place.run("insert into @job_schedules (name, job_type, cron_expression) values ('bad', 't.job', '61 * * * *')")
    assert place.tick(NOON) == {"planned": 2}
    bad = place.schedule("bad")
    assert not bad["enabled"]
    assert bad["problem"].startswith("cron_expression: '61 * * * *': minute is not understood")
    assert place.tick(later(hours=1)) == {"fired": 1}
    place.run("update @job_schedules set cron_expression = '0 * * * *', enabled = true where name = 'bad'")
    assert place.tick(later(hours=1)) == {"planned": 1}
    assert place.schedule("bad")["problem"] is None


def test_a_paused_schedule_fires_when_it_goes_on_as_its_policy_says(place: Place) -> None:
    for name, misfire in (("skips", "skip"), ("once", "once"), ("all", "all")):
        place.add(name, "@hourly", misfire=misfire, overlap="allow_all")
    place.tick(NOON)
    with place.database.transaction() as transaction:
        held = schedules.hold(transaction, ["skips", "once", "all"], Hold("a move", "ann", later(hours=4.5)))
    assert sorted(held) == ["all", "once", "skips"]
    assert place.tick(later(hours=3)) == {}
    assert place.tick(later(hours=4.5)) == {"resumed": 3, "fired": 5}
    assert place.fires("skips") == []
    assert place.fires("once") == [later(hours=4)]
    assert place.fires("all") == [later(hours=hour) for hour in (1, 2, 3, 4)]
    assert place.tick(later(hours=5)) == {"fired": 3}


def test_a_fire_is_skipped_while_the_job_before_has_not_ended(place: Place) -> None:
    place.add("slow", "@hourly", overlap="skip")
    place.tick(NOON)
    place.tick(later(hours=1))
    assert place.tick(later(hours=2)) == {"skipped": 1}
    place.run("update @jobs set status = 'COMPLETED'")
    assert place.tick(later(hours=3)) == {"fired": 1}
    assert place.fires("slow") == [later(hours=1), later(hours=3)]
    assert place.schedule("slow")["skipped"] == 1


def states(place: Place) -> dict[float, str]:
    """Give the states of all jobs by the hour that they fired at."""
    rows = place.rows("select fire_at, status from @jobs order by fire_at")
    return {(row["fire_at"] - NOON).total_seconds() / 3600: row["status"] for row in rows}


def end(place: Place, hour: int) -> None:
    """Let the job of an hour complete, as the mirror does, and look at what is new, as the controller does."""
    (row,) = place.rows(f"select job_id::text, attempt from @jobs where fire_at = '{later(hours=hour).isoformat()}'")
    done = [{"job_id": row["job_id"], "status": "COMPLETED", "attempt": row["attempt"], "rank": 4}]
    with place.database.transaction() as transaction:
        jobs.apply_transitions(transaction, done)
        dependencies.settle(transaction, [row["job_id"]])
    examine(place)


def examine(place: Place) -> None:
    with place.database.transaction() as transaction:
        dependencies.examine(transaction, 100, timedelta(), timedelta(hours=1))


def test_buffer_all_lets_each_wait_for_the_one_before(place: Place) -> None:
    place.add("chained", "@hourly", overlap="buffer_all", misfire="all")
    place.tick(NOON)
    place.tick(later(hours=1))
    assert place.tick(later(hours=3)) == {"fired": 2}
    examine(place)
    assert states(place) == {1: "PENDING", 2: "BLOCKED", 3: "BLOCKED"}
    end(place, 1)
    assert states(place) == {1: "COMPLETED", 2: "PENDING", 3: "BLOCKED"}
    end(place, 2)
    assert states(place) == {1: "COMPLETED", 2: "COMPLETED", 3: "PENDING"}


def test_buffer_one_keeps_one_waiting(place: Place) -> None:
    place.add("one", "@hourly", overlap="buffer_one")
    place.tick(NOON)
    for hour in (1, 2, 3, 4):
        place.tick(later(hours=hour))
    examine(place)
    assert states(place) == {1: "PENDING", 2: "BLOCKED"}
    assert place.schedule("one")["skipped"] == 2
    end(place, 1)
    place.tick(later(hours=5))
    assert states(place) == {1: "COMPLETED", 2: "PENDING", 5: "BLOCKED"}


@pytest.mark.parametrize(("overlap", "status"), [("cancel_other", "SCHEDULED"), ("terminate_other", "PENDING")])
def test_the_others_are_cancelled(place: Place, overlap: str, status: str) -> None:
    place.add("newest", "@hourly", overlap=overlap)
    place.tick(NOON)
    place.tick(later(hours=1))
    place.run("update @jobs set status = 'PROCESSING'")
    place.tick(later(hours=2))
    assert states(place) == {1: "CANCELLED", 2: status}
    (job,) = place.rows("select due_at from @jobs where status <> 'CANCELLED'")
    waits = timedelta(seconds=10) if overlap == "cancel_other" else timedelta()
    assert job["due_at"] == later(hours=2) + waits


def test_allow_all_fires_beside_the_others(place: Place) -> None:
    place.add("beside", "@hourly", overlap="allow_all")
    place.tick(NOON)
    for hour in (1, 2, 3):
        place.tick(later(hours=hour))
    assert states(place) == {1: "PENDING", 2: "PENDING", 3: "PENDING"}


def test_spread_and_jitter_delay_a_fire_by_what_is_always_the_same(place: Place) -> None:
    for number in range(20):
        place.add(f"s{number}", "@hourly", spread=600.0, jitter=60.0)
    place.tick(NOON)
    assert place.tick(later(hours=1)) == {"fired": 20}
    jobs = place.rows("select status, due_at - fire_at as delay from @jobs")
    delays = {job["delay"] for job in jobs}
    assert {job["status"] for job in jobs} == {"SCHEDULED"}
    assert len(delays) == 20
    assert timedelta() <= min(delays) < timedelta(seconds=200)
    assert timedelta(seconds=400) < max(delays) <= timedelta(seconds=660)


def test_many_tickers_fire_each_time_once(place: Place) -> None:
    for number in range(100):
        place.add(f"s{number}", "@every 1s", misfire="all", overlap="allow_all")
    place.tick(NOON)
    others = [Place(place.database) for _ in range(4)]

    def fire(other: Place) -> None:
        for second in range(1, 11):
            other.tick(later(seconds=second))

    threads = [threading.Thread(target=fire, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.tick(later(seconds=10))
    found = place.rows("select schedule_id, fire_at from @jobs")
    assert len(found) == 1_000
    assert len({(row["schedule_id"], row["fire_at"]) for row in found}) == 1_000


def test_code_declares_its_schedules_and_what_it_declares_no_more_is_held(place: Place) -> None:
    row = {**DEFAULTS, "job_type": "t.job", "queue": "celery", "payload_template": TEMPLATE}
    first = [{**row, "name": name, "cron_expression": "@hourly"} for name in ("kept", "gone")]
    place.add("by hand", "@hourly")

    def declare(rows: list[dict[str, Any]]) -> list[str]:
        with place.database.transaction() as transaction:
            return schedules.put_declared(transaction, rows)

    assert declare(first) == []
    assert declare(
        [{**first[0], "cron_expression": "@daily"}, {**row, "name": "by hand", "cron_expression": "@daily"}]
    ) == ["gone"]
    assert place.schedule("by hand")["cron_expression"] == "@hourly"
    assert place.schedule("kept")["cron_expression"] == "@daily"
    assert place.schedule("gone")["hold_reason"] == "no code declares it any more"
    assert declare(first) == []
    assert place.schedule("gone")["enabled"]
    with place.database.transaction() as transaction:
        schedules.hold(transaction, ["kept"], Hold("a move", "ann"))
    declare(first)
    assert not place.schedule("kept")["enabled"], "what a person holds stays held"
