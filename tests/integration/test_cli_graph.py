"""Dependencies on the command line."""

from __future__ import annotations

import json

import pytest
from command_line import CliEnvironment

from jobplatform.cli.exits import Exit
from jobplatform.records import new_job_id
from jobplatform.store import dependencies


@pytest.fixture
def diamond(cli_environment: CliEnvironment) -> dict[str, str]:
    """Rows of a diamond, whose top has failed, and of a job that has nothing to do with it."""
    made = {name: cli_environment.add("BLOCKED", job_type=f"d.{name}") for name in ("bottom", "left", "right")}
    made |= {"top": cli_environment.fail(error_type="Boom"), "other": cli_environment.add()}
    edges = [("left", "top"), ("right", "top"), ("bottom", "left"), ("bottom", "right")]
    rows = [{"job_id": made[name], "after": [[made[before], "success", "cancel"]]} for name, before in edges]
    with cli_environment.database.transaction() as transaction:
        dependencies.insert(transaction, json.dumps(rows))
    return made


def test_a_graph_is_listed_in_the_order_of_its_levels(cli_environment: CliEnvironment, diamond: dict[str, str]) -> None:
    for name in ("top", "left", "bottom"):
        found = cli_environment.json("jobs", "graph", diamond[name])
        assert found["complete"] is True
        assert {job["job_id"]: job["level"] for job in found["jobs"]} == {
            diamond["top"]: 0,
            diamond["left"]: 1,
            diamond["right"]: 1,
            diamond["bottom"]: 2,
        }
        assert [job["level"] for job in found["jobs"]] == [0, 1, 1, 2]
    lines = cli_environment.run("jobs", "graph", diamond["top"]).stdout.splitlines()
    assert len(lines) == 5
    assert "d.bottom" in lines[-1]
    assert [job["job_id"] for job in cli_environment.json("jobs", "graph", diamond["other"])["jobs"]] == [
        diamond["other"]
    ]


def test_a_large_graph_is_cut_and_says_so(cli_environment: CliEnvironment, diamond: dict[str, str]) -> None:
    found = cli_environment.json("jobs", "graph", diamond["top"], "--limit", "2")
    assert (len(found["jobs"]), found["complete"]) == (2, False)
    assert "more than 2 jobs" in cli_environment.run("jobs", "graph", diamond["top"], "--limit", "2").stderr


def test_a_job_shows_what_it_waits_for_and_what_waits_for_it(
    cli_environment: CliEnvironment, diamond: dict[str, str]
) -> None:
    edges = cli_environment.json("jobs", "show", diamond["left"])["dependencies"]
    assert sorted((edge["job_id"], edge["depends_on_job_id"], edge["status"]) for edge in edges) == sorted(
        [(diamond["left"], diamond["top"], "FAILED"), (diamond["bottom"], diamond["left"], "BLOCKED")]
    )
    text = cli_environment.run("jobs", "show", diamond["left"]).stdout
    before, after = text.split("waits for:\n")[1].split("is waited for by:\n")
    assert diamond["top"] in before
    assert diamond["bottom"] in after


def test_the_graph_of_an_unknown_job_exits_with_3(cli_environment: CliEnvironment) -> None:
    assert cli_environment.run("jobs", "graph", new_job_id()).exit_code == Exit.NOT_FOUND
