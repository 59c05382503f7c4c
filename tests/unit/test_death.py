"""What is told of a process that died, and what is known of it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator

import psutil
import pytest
from billiard.exceptions import WorkerLostError

from jobplatform.journal import processes
from jobplatform.journal.failure import describe_death
from jobplatform.journal.processes import Reading, last_reading, read_process, read_processes

MIB = 1024 * 1024


def lost(exit_code: int | None) -> WorkerLostError:
    error = WorkerLostError("gone")
    if exit_code is not None:
        error.exit_code = exit_code
    return error


@pytest.mark.parametrize(
    ("exit_code", "message", "death"),
    [
        (-9, "process 7 was killed by SIGKILL while it ran the job", {"exit_code": -9, "signal": "SIGKILL"}),
        (-99, "process 7 was killed by signal 99 while it ran the job", {"exit_code": -99, "signal": "signal 99"}),
        (3, "process 7 exited with code 3 while it ran the job", {"exit_code": 3}),
        (0, "process 7 exited with code 0 while it ran the job", {"exit_code": 0}),
        (None, "gone", {}),
    ],
)
def test_how_a_process_ended_is_told(exit_code: int | None, message: str, death: dict[str, object]) -> None:
    told = describe_death(lost(exit_code), 7, None, 100.0)
    assert (told["message"], told["death"], told["died"]) == (message, {"pid": 7, **death}, True)
    assert "WorkerLostError" in told["classes"]


def test_the_memory_that_was_read_last_is_told() -> None:
    told = describe_death(lost(-9), 7, Reading(200 * MIB, 97.5), 100.0)
    assert told["message"].endswith("while it ran the job; it took 200 MiB 2.5 s before")
    assert (told["death"]["rss"], told["death"]["rss_at"]) == (200 * MIB, 97.5)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[multiprocessing.Process]:
    monkeypatch.setattr(processes, "_last", {})
    made = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    made.start()
    yield made
    made.kill()
    made.join()


def test_the_reading_of_a_process_that_died_is_kept_for_a_while(
    child: multiprocessing.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = child.pid or 0
    read_process(pid)
    assert last_reading(pid) is None
    monkeypatch.setattr(processes, "_last", {1: Reading(1, time.time())})
    read_process(pid)
    first = last_reading(pid)
    assert first is not None and first.rss > 0
    assert {usage["pid"] for usage in read_processes(os.getpid())} >= {pid, os.getpid()}
    child.kill()
    psutil.wait_procs([psutil.Process(pid)], 0)
    read_processes(os.getpid())
    child.join()
    read_process(pid)
    kept = last_reading(pid)
    assert kept is not None and kept.rss > 0
    monkeypatch.setattr(processes, "_last", {pid: kept._replace(at=kept.at - 61)})
    read_processes(os.getpid())
    assert last_reading(pid) is None
