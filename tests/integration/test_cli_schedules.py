"""The group ``schedules`` of the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from command_line import CliEnvironment

from jobplatform.scheduling.fires import TypeFacts
from jobplatform.scheduling.ticker import Ticker


def tick(place: CliEnvironment, now: datetime) -> dict[str, int]:
    ticker = Ticker(place.database, lambda job_type: TypeFacts(), timedelta(seconds=10))
    return dict(ticker.run_once(now))


def test_a_schedule_from_its_beginning_to_its_end(cli_environment: CliEnvironment) -> None:
    place = cli_environment
    options = ("--timezone", "Europe/Berlin", "--payload", '{"day": "{fire_at}"}', "--overlap", "allow_all")
    added = place.json("schedules", "add", "nightly", "shop.report", "30 2 * * *", *options, "--misfire", "all")
    assert added == [{"name": "nightly", "outcome": "added"}]
    assert place.run("schedules", "add", "nightly", "shop.report", "@daily").exit_code == 4
    tick(place, datetime.now(UTC))
    shown = place.json("schedules", "show", "nightly")
    assert (shown["timezone"], shown["misfire"], shown["origin"]) == ("Europe/Berlin", "all", "hand")
    assert shown["payload_template"] == {"args": [], "kwargs": {"day": "{fire_at}"}}
    assert len(shown["next_runs"]) == 5
    assert shown["next_runs"][0]["utc"] == shown["next_run"]
    place.json("schedules", "change", "nightly", "--cron", "@every 1h", "--jitter", "5m", "--priority", "4")
    (listed,) = place.json("schedules", "list")["schedules"]
    assert (listed["cron_expression"], listed["jitter"], listed["priority"]) == ("@every 1h", 300.0, 4)
    assert (listed["misfire"], listed["next_run"]) == ("all", None)
    (made,) = place.json("schedules", "run", "nightly")
    assert place.status(made["job_id"]) == "PENDING"
    assert place.json("schedules", "show", "nightly")["last_fires"][0]["job_id"] == made["job_id"]
    assert place.json("schedules", "remove", "nightly") == [{"name": "nightly", "outcome": "removed"}]
    assert place.run("schedules", "show", "nightly").exit_code == 3
    assert place.status(made["job_id"]) == "PENDING"


def test_a_resume_tells_what_it_makes_up_for(cli_environment: CliEnvironment) -> None:
    place = cli_environment
    place.json("schedules", "add", "hourly", "shop.report", "@every 1h", "--misfire", "all", "--overlap", "allow_all")
    tick(place, datetime.now(UTC) - timedelta(hours=5))
    place.json("schedules", "pause", "hourly", "--reason", "a move", "--by", "ann")
    (listed,) = place.json("schedules", "list")["schedules"]
    assert (listed["enabled"], listed["why"], listed["hold_by"]) == (False, "a move", "ann")
    (planned,) = place.json("schedules", "resume", "hourly", "--dry-run")
    assert planned["makes_up_for"] == 5
    assert not place.json("schedules", "list")["schedules"][0]["enabled"]
    place.json("schedules", "resume", "hourly")
    assert tick(place, datetime.now(UTC)) == {"fired": 5}


def test_a_preview_marks_the_days_on_which_clocks_are_changed(cli_environment: CliEnvironment) -> None:
    runs = cli_environment.json("schedules", "preview", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "400")
    marked = [run for run in runs if run["note"]]
    assert {run["note"] for run in marked} == {
        "clocks go forward by 60 minutes on this day",
        "clocks go back by 60 minutes on this day",
    }
    forward = next(run for run in marked if "forward" in run["note"])
    assert " 03:00:00+0200" in forward["local"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("61 * * * *",), "minute is not understood"),
        (("@daily", "--timezone", "Mars/Olympus"), "timezone: 'Mars/Olympus'"),
        (("@daily", "--payload", "{"), "PAYLOAD: it is no JSON"),
        (("@daily", "--overlap", "shrug"), "'shrug' is not one of"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    cli_environment: CliEnvironment, arguments: tuple[str, ...], said: str
) -> None:
    result = cli_environment.run("schedules", "add", "bad", "shop.report", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr.replace("\n", " ")
    assert cli_environment.json("schedules", "list")["schedules"] == []


def test_the_check_remarks_on_what_is_likely_wrong(cli_environment: CliEnvironment) -> None:
    place = cli_environment
    assert place.json("schedules", "check") == []
    for number in range(12):
        place.json("schedules", "add", f"same{number}", "shop.report", "0 4 * * *")
    place.json("schedules", "add", "slow", "shop.slow", "@every 1m")
    place.json("schedules", "add", "trap", "shop.report", "30 2 * * *", "--timezone", "Europe/Berlin")
    place.json("schedules", "add", "silent", "shop.report", "@every 1m")
    with place.database.transaction() as transaction:
        run, schema = transaction.connection.exec_driver_sql, place.database.schema
        run(f"update \"{schema}\".job_schedules set last_run = now() - interval '1 hour' where name = 'silent'")
        job_id = place.add("COMPLETED", job_type="shop.slow")
    with place.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(
            f"update \"{schema}\".jobs set started_at = now() - interval '5 minutes', completed_at = now() "
            f"where job_id = '{job_id}'"
        )
    remarks = place.json("schedules", "check", code=1)
    found = {(remark["schedule"], remark["trap"]) for remark in remarks}
    assert found == {
        ("slow", "overlap likely"),
        ("trap", "clock change"),
        ("silent", "silent"),
        ("*", "collision"),
    }
    assert "300 s (p95)" in next(remark["found"] for remark in remarks if remark["schedule"] == "slow")
