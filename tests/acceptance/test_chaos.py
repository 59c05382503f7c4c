"""The chaos harness itself: a short run strikes, judges and cleans up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Those that a run of seconds has room for.
FAULTS = "kill_child,kill_client,kill_controller"


def test_a_short_run_loses_nothing(tmp_path: Path) -> None:
    written = {"--json": tmp_path / "chaos.json", "--report": tmp_path / "chaos.md"}
    files = [str(part) for pair in written.items() for part in pair]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--minutes", "0.4", "--seed", "1", "--rate", "60", "--only", FAULTS, *files],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(written["--json"].read_text())
    assert figures["kills"] == sum(figures["faults"].values()) == 4
    assert figures["jobs"] > 300
    assert figures["runs"] > figures["jobs"]
    assert "all is well" in written["--report"].read_text()
    assert not list(tmp_path.glob("chaos-*")), "what went well leaves nothing behind"
