"""The scaler on real tables: what it reads, decides, writes down and asks for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import CliEnvironment

from jobplatform.learning.demand_lesson import teach
from jobplatform.learning.forecaster import Usual
from jobplatform.learning.load import chance_of_end
from jobplatform.maintenance.current_model import of_demand
from jobplatform.maintenance.demand_learner import DEMAND_COMMAND, DemandLearner
from jobplatform.maintenance.training import Training
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.settings import Settings
from jobplatform.store import executions, models, new_jobs, samples, scaling, schedules
from jobplatform.store.database import Database
from jobplatform.workers.known import read_known
from jobplatform.workers.scaler import Scaler
from jobplatform.workers.wish import Wish

PATIENCE = 120.0


class Homes:
    """A wish that is fulfilled at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: list[tuple[int, str]] = []

    def size(self) -> int:
        return self.count

    def holder(self) -> str:
        return ""

    def ask(self, wanted: int, reason: str) -> None:
        self.asked.append((wanted, reason))
        self.count = wanted


@pytest.fixture
def wanted(settings: Settings) -> Settings:
    return replace(settings, scaler="auto", fleet_min=1, fleet_max=8, worker_slots=1, scale_horizon_seconds=0.0)


def add_samples(database: Database, count: int, until: datetime, queue: str = "celery", arrived: int = 3) -> None:
    """Write samples of a queue in which each job runs for two steps, and every tenth step brings five times as many."""
    rows, before = [], [arrived, arrived]
    for number in range(count):
        came = arrived * (5 if number % 10 == 0 else 1)
        at = until - timedelta(seconds=30.0 * (count - 1 - number))
        rows.append((queue, at, 30.0, 0, 0.0, came, came, before[0], came + before[1]))
        before = [before[1], came]
    insert = (
        "insert into {}.queue_samples (queue, sampled_at, seconds, depth, oldest_seconds, arrived, started, finished, "
        "running) select * from unnest(%s::text[], %s::timestamptz[], %s::real[], %s::int[], %s::real[], %s::int[], "
        "%s::int[], %s::int[], %s::int[])"
    )
    with database.transaction() as transaction:
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        transaction.connection.exec_driver_sql(insert.format(database.schema), columns)


def decisions(database: Database) -> list[dict[str, Any]]:
    with database.session() as session:
        return [dict(row) for row in scaling.decisions(session, 100, every=True)][::-1]


def add_schedule(database: Database, next_run: datetime, job_type: str = "shop.import", name: str = "nightly") -> int:
    row = {"name": name, "job_type": job_type, "cron_expression": "0 3 * * *", "timezone": "UTC"}
    row |= {"payload_template": {"args": [], "kwargs": {}}, "priority": 1, "queue": "celery", "misfire": "once"}
    row |= {"misfire_grace": 60, "misfire_window": 60, "misfire_cap": 1, "overlap": "skip", "jitter": 0, "spread": 0}
    with database.transaction() as transaction:
        schedules.put(transaction, [row])
        (found,) = [each for each in schedules.listed(transaction, None, 100) if each["name"] == name]
        schedules.put_plans(
            transaction,
            [{"schedule_id": found["schedule_id"], "next_run": next_run.timestamp(), "last_run": None, "skipped": 0,
              "problem": None}],
        )  # fmt: skip
    return int(found["schedule_id"])


def add_fire(database: Database, schedule_id: int, at: datetime, children: int, seconds: float) -> None:
    """Write a fire of the past, and the jobs that its job had submitted."""
    fire, rows = new_job_id(), []
    for job_id in (fire, *(new_job_id() for _ in range(children))):
        row = row_of(NewJob(job_id, "shop.import", "{}", "celery", root_id=None if job_id == fire else fire))
        rows.append(row)
    with database.transaction() as transaction:
        new_jobs.insert(transaction, rows)
        schema = database.schema
        transaction.connection.exec_driver_sql(
            f"update {schema}.jobs set schedule_id = %s, fire_at = %s where job_id = %s", (schedule_id, at, fire)
        )
        transaction.connection.exec_driver_sql(
            f"update {schema}.jobs set created_at = %s, started_at = %s, completed_at = %s, status = 'COMPLETED'"
            " where %s in (job_id, root_id)",
            (at, at, at + timedelta(seconds=seconds), fire),
        )


def test_without_a_model_the_rule_decides_and_says_so(database: Database, wanted: Settings) -> None:
    now, homes = datetime.now(UTC), Homes(1)
    add_samples(database, 150, now)
    Scaler(database, wanted, homes).run_once(now)
    (row,) = decisions(database)
    assert (row["decided_by"], row["had"], row["dry_run"], row["queues"]) == ("rule", 1, False, ["celery"])
    assert row["wanted"] > 1
    assert "No model is in force" in row["reason"]
    assert homes.asked == [(row["wanted"], row["reason"])]
    assert row["acted_at"] is not None


def test_a_dry_run_asks_for_nothing_and_off_writes_nothing(database: Database, wanted: Settings) -> None:
    now, homes = datetime.now(UTC), Homes(1)
    add_samples(database, 150, now)
    Scaler(database, replace(wanted, scaler="off"), homes).run_once(now)
    assert decisions(database) == []
    Scaler(database, replace(wanted, scaler="dry"), homes).run_once(now)
    (row,) = decisions(database)
    assert (row["dry_run"], row["acted_at"], homes.asked) == (True, None, [])
    assert row["wanted"] > 1


def test_what_a_person_asked_for_holds_until_it_is_left_to_the_scaler(
    cli_environment: CliEnvironment, database: Database, wanted: Settings
) -> None:
    now = datetime.now(UTC)
    add_samples(database, 150, now)
    bounds = {"JOBPLATFORM_FLEET_MIN": "1", "JOBPLATFORM_FLEET_MAX": "8"}
    wish = Wish(database, wanted, Scaler.name)
    scaler = Scaler(database, wanted, wish)
    assert cli_environment.run("fleet", "size", "1", "--by", "ann@desk", **bounds).exit_code == 0
    scaler.run_once(now)
    (held,) = decisions(database)
    assert held["reason"].startswith("held by ann@desk at 1; else it were ")
    assert (held["wanted"], held["acted_at"], wish.size()) == (1, None, 1)
    # Nor does a scaler that had not seen it yet take her word back.
    wish.ask(8, "a race")
    assert (wish.size(), wish.holder()) == (1, "ann@desk")
    assert cli_environment.run("fleet", "size", "auto", "--by", "ann@desk", **bounds).exit_code == 0
    assert (wish.size(), wish.holder()) == (1, "")
    scaler.run_once(now)
    _, free = decisions(database)
    assert free["wanted"] == wish.size() > 1
    assert f"else it were {free['wanted']}: {free['reason']}" in held["reason"]
    assert cli_environment.run("fleet", "size", "many", **bounds).exit_code == 2


def test_workers_say_how_many_jobs_each_runs_unless_the_setting_does(database: Database, wanted: Settings) -> None:
    now = datetime.now(UTC)
    add_samples(database, 150, now)
    with database.transaction() as transaction:
        samples.add_workers(
            transaction,
            [{"worker_id": name, "sampled_at": now.timestamp(), "seconds": 30.0, "cpu": 0.0, "slots": 3,
              "rss": 1, "tree_rss": 1, "processes": [], "active": 0, "waiting": 0, "started": 0, "finished": 0,
              "failed": 0}
             for name in "ab"],
        )  # fmt: skip
    found = []
    for slots in (1, 3, 0):
        homes = Homes(1)
        Scaler(database, replace(wanted, worker_slots=slots), homes).run_once(now)
        found.append(homes.count)
    assert found[0] > found[1] == found[2]


def test_a_model_decides_and_the_rule_is_the_counterfactual(database: Database, wanted: Settings) -> None:
    now, homes = datetime.now(UTC), Homes(4)
    add_samples(database, 1_200, now)
    taught = teach(database, wanted)
    assert taught.state == "active", taught.reason
    current = of_demand(database)
    assert current.refresh()["loaded"] == 1
    scaler = Scaler(database, wanted, homes, current.in_force)
    scaler.run_once(now)
    (row,) = decisions(database)
    assert row["decided_by"] == f"model {taught.version}"
    assert row["counterfactual"].startswith("the rate rule would have wanted")
    assert set(row["forecast"]["queues"]) == {"celery"}
    add_samples(database, 1, now + timedelta(seconds=30))
    scaler.run_once(now + timedelta(seconds=30))
    assert len(decisions(database)) == 2


def test_a_model_of_other_settings_leaves_it_to_the_rule(database: Database, wanted: Settings) -> None:
    now = datetime.now(UTC)
    add_samples(database, 1_200, now)
    teach(database, wanted)
    current = of_demand(database)
    current.refresh()
    Scaler(database, replace(wanted, worker_start_seconds=300.0), Homes(1), current.in_force).run_once(now)
    (row,) = decisions(database)
    assert row["decided_by"] == "rule"
    assert "otherwise than the settings say" in row["reason"]


def test_an_announced_load_brings_workers_before_it_comes_and_keeps_them(database: Database, wanted: Settings) -> None:
    now, homes = datetime.now(UTC), Homes(1)
    add_samples(database, 150, now, arrived=0)
    schedule_id = add_schedule(database, now + timedelta(seconds=45))
    add_fire(database, schedule_id, now - timedelta(days=1), children=12, seconds=20.0)
    scaler = Scaler(database, wanted, homes)
    scaler.run_once(now)
    # Each place ends two of the thirteen within 30 s.
    assert homes.count == 7
    assert "schedule nightly fires" in homes.asked[-1][1]
    with database.transaction() as transaction:
        transaction.connection.exec_driver_sql(
            f"update {database.schema}.job_schedules set next_run = %s", (now + timedelta(days=1),)
        )
    later = now + timedelta(seconds=60)
    add_samples(database, 1, later, arrived=0)
    scaler.run_once(later)
    assert homes.count == 7
    gone = now + timedelta(seconds=120)
    add_samples(database, 1, gone, arrived=0)
    scaler.run_once(gone)
    assert homes.count == 1


def test_schedules_with_a_job_each_are_announced_together_unless_they_always_come(
    database: Database, wanted: Settings
) -> None:
    now = datetime.now(UTC)
    for number in range(11):
        schedule_id = add_schedule(database, now + timedelta(seconds=45), name=f"tenant {number}")
        add_fire(database, schedule_id, now - timedelta(days=1), children=0, seconds=20.0)
    often = add_schedule(database, now + timedelta(seconds=45), name="every minute")
    add_fire(database, often, now - timedelta(minutes=1), children=0, seconds=20.0)
    add_schedule(database, now + timedelta(seconds=44), name="never yet")
    with database.transaction() as transaction:
        known = read_known(transaction, now, now + timedelta(seconds=60))
    (announced,) = known.announced(lambda queue: Usual(0.0, 8.0))
    until = now + timedelta(seconds=45)
    assert announced == (12.0, 19.0, f"schedules that bring 12 jobs to celery fire by {until:%H:%M:%S}")
    assert known.coming("celery") == 12.0


def test_jobs_that_are_due_soon_count_beyond_the_usual(database: Database, wanted: Settings) -> None:
    now, homes = datetime.now(UTC), Homes(1)
    add_samples(database, 150, now, arrived=0)
    due = now.timestamp() + 20
    with database.transaction() as transaction:
        rows = [
            row_of(NewJob(new_job_id(), "shop.mail", "{}", "celery", status="SCHEDULED", scheduled_at=due, due_at=due))
            for _ in range(5)
        ]
        new_jobs.insert(transaction, rows)
        transaction.connection.exec_driver_sql(f"update {database.schema}.jobs set predicted_p50 = 60")
    Scaler(database, wanted, homes).run_once(now)
    assert homes.count == 5
    assert "5 jobs and retries of celery are due" in homes.asked[-1][1]


def test_running_jobs_leave_by_how_long_they_were_foretold_to_run(database: Database) -> None:
    now = datetime.now(UTC)
    jobs = ((10.0, 60.0, 90.0), (200.0, 60.0, 90.0), (5.0, 0.1, 0.1), (3e9, 1.0, 1.0))
    with database.transaction() as transaction:
        made = [NewJob(new_job_id(), "shop.mail", "{}", "celery") for _ in jobs]
        new_jobs.insert(transaction, [row_of(job) for job in made])
        for job, (ran, median, most) in zip(made, jobs, strict=True):
            transaction.connection.exec_driver_sql(
                f"update {database.schema}.jobs set status = 'PROCESSING', started_at = %s, predicted_p50 = %s,"
                " predicted_p90 = %s where job_id = %s",
                (now - timedelta(seconds=ran), median, most, job.job_id),
            )
        told = scaling.leaving(transaction, now, now + timedelta(seconds=40))
    assert told["celery"] == pytest.approx(sum(chance_of_end(ran, 40.0, *of) for ran, *of in jobs), rel=1e-5)


@pytest.fixture
def learner(database: Database, wanted: Settings) -> Iterator[DemandLearner]:
    made = DemandLearner(database, wanted, of_demand(database), Training(wanted, DEMAND_COMMAND))
    yield made
    made.close()


def test_a_child_trains_and_the_model_is_loaded(database: Database, learner: DemandLearner) -> None:
    add_samples(database, 1_200, datetime.now(UTC))
    deadline = time.monotonic() + PATIENCE
    while learner.current.in_force() is None:
        assert time.monotonic() < deadline
        counts = learner.run_once(datetime.now(UTC))
        assert not counts["failed"]
    with database.session() as session:
        (row,) = models.newest(session)
    assert row["kind"] == models.DEMAND
    assert row["metrics"]["skill"] > 0.0


def add_runs(database: Database, count: int, seconds: float) -> None:
    """Write jobs of one minute that came a second apart and waited for one."""
    begin = time.time() - 600
    job_ids = [new_job_id() for _ in range(count)]
    news = [
        {"job_id": job_id, "attempt": 1, "worker_id": "w1", "started_at": begin + number + 1,
         "completed_at": begin + number + 1 + seconds, "status": "COMPLETED", "error_type": None, "error_message": None,
         "traceback": None, "metrics": {"wait": 1.0, "run": seconds}}
        for number, job_id in enumerate(job_ids)
    ]  # fmt: skip
    with database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(NewJob(each, "shop.import", "{}", "imports")) for each in job_ids])
        executions.record(transaction, news)


def test_capacity_runs_what_was_recorded_once_more(cli_environment: CliEnvironment, database: Database) -> None:
    add_runs(database, 60, 2.0)
    found = cli_environment.json(
        "capacity", "--workers", "1", "--workers", "2", "--queue", "imports", "--from", "1h", "--slo", "5s", "--scaler"
    )
    one, two, *others = found["policies"]
    assert (one["policy"], one["jobs"], one["wait_p50"], one["wait_max"]) == ("1 workers", 60, 30.0, 59.0)
    assert one["late"] == 54
    assert (two["late"], two["wait_max"]) == (0, 0.0)
    assert two["worker_hours"] == pytest.approx(2 * one["worker_hours"], abs=0.011)
    assert [each["policy"] for each in others] == ["rate rule", "future known"]
    assert cli_environment.run("capacity", "--workers", "3").exit_code == 0
    assert cli_environment.run("capacity", "--workers", "1", "--queue", "none").exit_code == 3
    assert cli_environment.run("capacity").exit_code == 2


def test_decisions_are_listed_and_shown_as_sentences(
    cli_environment: CliEnvironment, database: Database, wanted: Settings
) -> None:
    now = datetime.now(UTC)
    add_samples(database, 150, now)
    homes = Homes(1)
    scaler = Scaler(database, wanted, homes)
    for _ in range(2):
        scaler.run_once(now)
    (row,) = cli_environment.json("scale", "list")["decisions"]
    assert row["wanted"] == homes.count
    assert row["reason"].endswith("; the rate rule decided.")
    assert len(cli_environment.json("scale", "list", "--all")["decisions"]) == 2
    shown = cli_environment.run("scale", "show", str(row["decision_id"]))
    assert shown.stdout.startswith(row["reason"])
    assert "celery" in shown.stdout
    assert cli_environment.run("scale", "show", "999").exit_code == 3
