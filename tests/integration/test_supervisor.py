"""The supervisor, with real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from scripts import all_end, family, finish, script

from jobplatform.devstack.stack import DevStack, read_running


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[DevStack]:
    made = DevStack(tmp_path / "stack")
    yield made
    made.erase()


SUPERVISE = """
import os, sys
from jobplatform.devstack.supervisor import Backoff, ProcessSpec, run, stop_on_signals
steady = 'import os,time; print("steady", os.getpid()); time.sleep(600)'
stubborn = (
    'import os,signal,subprocess,time; signal.signal(signal.SIGTERM, signal.SIG_IGN);'
    'print("stubborn", os.getpid(), subprocess.Popen(["sleep", "600"]).pid); time.sleep(600)'
)
dying = 'import os; print("a life", end=""); os._exit(3)'
names = {"steady": steady, "stubborn": stubborn, "dying": dying}
specs = [ProcessSpec(name, (sys.executable, "-uc", code), dict(os.environ)) for name, code in names.items()]
with stop_on_signals() as stop:
    run(specs, stop, grace=0.5, backoff=Backoff(first=0.05))
print("all stopped")
"""


def read_until(process: subprocess.Popen[str], words: list[str]) -> list[str]:
    """Read lines until each word was seen as often as it is listed."""
    assert process.stdout is not None
    lines, missing = [], list(words)
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        for word in missing:
            if word in line:
                missing.remove(word)
                break
        if not missing:
            return lines
    raise AssertionError(f"missing {missing} in:\n" + "\n".join(lines))


def pids_named(lines: list[str], word: str) -> list[int]:
    found = [line.split(f"| {word} ")[1] for line in lines if f"| {word} " in line]
    return [int(part) for numbers in found for part in numbers.split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_supervisor_restarts_what_dies_and_stops_all(number: signal.Signals) -> None:
    with script(SUPERVISE) as process:
        lines = read_until(process, ["| steady", "| stubborn", "| a life", "| a life", "again in 0.1 s"])
        processes = family([*pids_named(lines, "steady"), *pids_named(lines, "stubborn")])
        assert all(os.getsid(child.pid) != os.getsid(process.pid) for child in processes)
        process.send_signal(number)
        rest = finish(process)
    assert process.returncode == 0, rest
    assert "stubborn did not stop within 0.5 s" in rest
    assert rest.splitlines()[-1] == "all stopped"
    assert "\x1b" not in "".join(lines) + rest
    assert all_end(processes)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
def test_supervised_processes_end_with_a_killed_supervisor() -> None:
    with script(SUPERVISE) as process:
        lines = read_until(process, ["| steady", "| stubborn"])
        steady = family(pids_named(lines, "steady"))
        stubborn = family(pids_named(lines, "stubborn"))
        process.kill()
        process.wait()
        assert all_end(steady)
        for child in stubborn:
            child.kill()


UP = """
import os, sys
from pathlib import Path
from jobplatform.devstack import up
from jobplatform.devstack.supervisor import ProcessSpec
from jobplatform.settings import Settings
show = 'import os,time; print("child", os.getpid(), os.environ["DATABASE_URL"]); time.sleep(600)'
up.process_specs = lambda env, app, concurrency, fleet: [ProcessSpec("worker", (sys.executable, "-uc", show), env)]
def prepare(url):
    print("migrate", url)
    return {"login": "ann"}
up.up(Settings(), Path(sys.argv[1]), os.environ, prepare)
"""


def test_up_migrates_shows_a_banner_runs_and_stops(stack: DevStack) -> None:
    with script(UP, str(stack.directory)) as process:
        lines = read_until(process, ["migrate", "jobplatform is up", "| child"])
        running = read_running(stack.directory)
        assert running is not None and running.pid == process.pid
        assert lines[0] == f"migrate {running.database_url}"
        assert {f"  PostgreSQL  {running.database_url}", f"  Redis       {running.redis_url}"} <= set(lines)
        assert "  login       ann" in lines
        assert any(re.fullmatch(r"  dashboard   http://127\.0\.0\.1:\d+", line) for line in lines)
        assert lines[-1].endswith(running.database_url)
        processes = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert (finish(process), process.returncode) == ("", 0)
    assert all_end(processes)
