"""Jobs that their processes do not outlive: given up after three deaths, with what is known of the last."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import death_jobs
import psutil
import pytest
import rescue_jobs
from click.testing import CliRunner
from fleet import Fleet, Process
from processes import eventually
from test_rescue import starts

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack

HEARTBEAT = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5", "JOBPLATFORM_LEASE_SECONDS": "60"}
BRIEF = 200
#: Bytes above which a process is killed, as by a kernel that has a limit for it.
LIMIT = 256 * 1024 * 1024
MIB = 1024 * 1024


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, death_jobs.__name__], **HEARTBEAT) as made:
        yield made


def kill_large_ones(worker: Process) -> None:
    for child in psutil.Process(worker.pid).children():
        with suppress(psutil.NoSuchProcess):
            if child.memory_info().rss > LIMIT:
                child.kill()


def reports(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Give what the workers said with their last heartbeats."""
    for value in fleet.redis.hvals("jp:workers"):
        yield json.loads(value.split(b" ", 2)[2])


def mark_seen(fleet: Fleet, marks: Path) -> None:
    """Let attempts go on of which a heartbeat has told that they take much memory."""
    for report in reports(fleet):
        large = {each["pid"] for each in report["processes"] if each["rss"] >= death_jobs.HELD}
        for running in report["running"]:
            if running["pid"] in large:
                (marks / f"seen{running['attempt']}").touch()


@contextmanager
def limited(fleet: Fleet, worker: Process, marks: Path) -> Iterator[None]:
    """Kill each process of a worker that takes more memory than it may."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            mark_seen(fleet, marks)
            kill_large_ones(worker)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ask(fleet: Fleet, *arguments: str) -> str:
    said = CliRunner().invoke(main, arguments, env=fleet.environment, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return said.stdout


def letters(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """Give the dead letters, as the command line shows them, by the name of the job type."""
    rows = json.loads(ask(fleet, "dlq", "list", "--json"))["dead_letters"]
    shown = [json.loads(ask(fleet, "dlq", "show", str(row["dlq_id"]), "--json")) for row in rows]
    return {row["job_type"].rpartition(".")[2]: row for row in shown}


def test_jobs_that_end_their_processes_are_given_up_and_the_others_complete(fleet: Fleet, marks: Path) -> None:
    tasks = fleet.client.tasks
    fleet.start_controller()
    worker = fleet.start_worker("-c", "2")
    names = {"rescue_jobs.poison": "poison", "death_jobs.hog": "hog", "death_jobs.quit_at_once": "quit"}
    with limited(fleet, worker, marks):
        for task, name in names.items():
            tasks[task].submit(str(marks), name)
        tasks["rescue_jobs.brief"].submit_many([(str(marks), f"brief{number}") for number in range(BRIEF)])
        assert fleet.wait_final(BRIEF + 3, 120) == {"FAILED": 3, "COMPLETED": BRIEF}
    assert worker.running
    begun = {name: attempts for name, attempts in starts(marks).items() if not name.startswith("seen")}
    deadly = {name: begun.pop(name) for name in names.values()}
    assert deadly == {name: [1, 2, 3] for name in names.values()}
    assert begun == {f"brief{number}": [1] for number in range(BRIEF)}
    found = letters(fleet)
    assert set(found) == {"poison", "hog", "quit_at_once"}
    for name, ended in (("poison", "was killed by SIGKILL"), ("hog", "was killed by SIGKILL")):
        assert (found[name]["death"]["signal"], found[name]["death"]["exit_code"]) == ("SIGKILL", -9)
        assert_tells(fleet, found[name], ended, "SIGKILL, ")
    assert "signal" not in found["quit_at_once"]["death"]
    assert_tells(fleet, found["quit_at_once"], "exited with code 7", "exit code 7, ")
    assert found["hog"]["death"]["rss"] >= death_jobs.HELD
    assert found["poison"]["death"]["rss"] > MIB


def assert_tells(fleet: Fleet, letter: dict[str, Any], ended: str, shown: str) -> None:
    """Assert that a dead letter and its job tell how the process ended, and what memory it took."""
    assert letter["reason"].startswith("poisoned: its process died 3 times"), letter["reason"]
    memory = f"{letter['death']['rss'] / MIB:.0f} MiB"
    assert f"process {letter['death']['pid']} {ended}" in letter["error_message"]
    assert f"it took {memory}" in letter["error_message"]
    job = json.loads(ask(fleet, "jobs", "show", letter["job_id"], "--json"))
    assert len(job["executions"]) == 3
    assert all(run["metrics"]["death"]["pid"] for run in job["executions"])
    assert job["executions"][-1]["metrics"]["death"] == letter["death"]
    assert f"{shown}{memory}" in ask(fleet, "jobs", "show", letter["job_id"])


def test_a_job_that_takes_its_worker_with_it_is_given_up_with_the_last_report_of_each(
    fleet: Fleet, marks: Path
) -> None:
    fleet.start_controller()
    fleet.client.tasks["rescue_jobs.wait_for"].submit(str(marks), "long")
    for death in range(1, 4):
        worker = fleet.start_worker("-c", "1", name=f"w{death}")
        eventually(lambda death=death: running_attempts(fleet) >= {death}, 60, fleet.describe)
        worker.kill_tree()
        eventually(lambda death=death: deaths(fleet) == death, 60, fleet.describe)
    assert fleet.wait_final(1, 60) == {"FAILED": 1}
    letter = letters(fleet)["wait_for"]
    assert "signal" not in letter["death"]
    assert f"it took {letter['death']['rss'] / MIB:.0f} MiB" in letter["error_message"]
    assert letter["error_message"].startswith("worker w3@")
    runs = fleet.rows("select (metrics->'death'->>'rss')::bigint as rss from @job_executions")
    assert len(runs) == 3 and all(run["rss"] > MIB for run in runs)


def deaths(fleet: Fleet) -> int:
    (row,) = fleet.rows("select deaths from @jobs")
    return int(row["deaths"])


def running_attempts(fleet: Fleet) -> set[int]:
    """Name the attempts that workers have said to run, of processes whose memory they told."""
    return {
        running["attempt"]
        for report in reports(fleet)
        for running in report["running"]
        if running["pid"] in {each["pid"] for each in report["processes"]}
    }
