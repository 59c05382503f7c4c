"""A backup of a stack under load, restored on another one, which goes on from there."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rescue_jobs
from click.testing import CliRunner
from fleet import Fleet
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack
from jobplatform.store import audit

SETTINGS: dict[str, Any] = {"JOBPLATFORM_HEARTBEAT_SECONDS": "1", "JOBPLATFORM_QUEUES": "celery,elsewhere"}
#: Jobs of so many seconds each, of which many still wait when the backup is made; and those in a queue that is paused.
STEADY, SECONDS, HELD = 500, 0.02, 20


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[DevStack]:
    made = DevStack(tmp_path / "elsewhere")
    made.start()
    yield made
    made.erase()


def command(fleet: Fleet, *arguments: str) -> Any:
    result = CliRunner().invoke(main, [*arguments, "--json"], env=fleet.environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def starts(marks: Path) -> Counter[str]:
    return Counter({mark.name: len(mark.read_text().split()) for mark in marks.iterdir() if mark.name != "release"})


def test_a_backup_under_load_goes_on_elsewhere(
    stack: DevStack, elsewhere: DevStack, marks: Path, tmp_path: Path
) -> None:
    """0 lost, and 0 twice of what had ended in the backup; of what had not, each runs once more."""
    file = tmp_path / "all.zip"
    with Fleet(stack, tmp_path, [rescue_jobs.__name__], **SETTINGS) as here:
        names = load(here, marks)
        command(here, "backup", str(file))
        for process in here.processes:
            process.stop(signal.SIGKILL)
    before = starts(marks)
    (marks / "release").touch()

    there_logs = tmp_path / "there"
    there_logs.mkdir()
    with Fleet(elsewhere, there_logs, [rescue_jobs.__name__], **SETTINGS) as there:
        restored = command(there, "restore", str(file))
        rows = {
            row["name"]: row["status"] for row in there.rows("select payload->'args'->>1 as name, status from @jobs")
        }
        assert set(rows) == names and 2 <= restored["interrupted"] <= 4
        ended = {name for name, status in rows.items() if status == "COMPLETED"}
        assert 0 < len(ended) < STEADY
        # Told before anything is published, so that no job of a queue that is paused slips through.
        assert list(there.redis.hgetall("jp:paused")) == [b"queue:elsewhere"]
        assert there.redis.hlen("jp:limits")
        there.start_controller()
        there.start_worker("-c", "4", "-Q", "celery,elsewhere")
        eventually(lambda: there.states()["COMPLETED"] == len(names) - HELD, 120, there.describe)
        # The pause was restored as well.
        assert there.states() == {"COMPLETED": len(names) - HELD, "PENDING": HELD}
        command(there, "queues", "resume", "elsewhere")
        assert there.wait_final(len(names), 60) == {"COMPLETED": len(names)}
        with there.database.session() as session:
            assert audit.broken(session) is None
    assert starts(marks) - before == Counter(names - ended)


def load(fleet: Fleet, marks: Path) -> set[str]:
    """Let two jobs run that do not end, some wait in a queue that is paused, and many go on ending."""
    tasks = fleet.client.tasks
    fleet.start_controller()
    command(fleet, "queues", "pause", "elsewhere")
    command(fleet, "limits", "set", "key:reports", "--slots", "2")
    fleet.start_worker("-c", "4", "-Q", "celery,elsewhere")
    long, held = [f"long{n}" for n in range(2)], [f"held{n}" for n in range(HELD)]
    tasks["rescue_jobs.wait_for"].using(priority=5).submit_many([(str(marks), name) for name in long])
    eventually(lambda: fleet.states()["PROCESSING"] == 2, 30, fleet.describe)
    tasks["rescue_jobs.brief"].submit_many([(str(marks), name) for name in held], queue="elsewhere")
    steady = [f"steady{n}" for n in range(STEADY)]
    tasks["rescue_jobs.steady"].submit_many([(str(marks), name, SECONDS) for name in steady])
    eventually(lambda: fleet.states()["COMPLETED"] > STEADY / 10, 60, fleet.describe)
    return {*long, *held, *steady}
