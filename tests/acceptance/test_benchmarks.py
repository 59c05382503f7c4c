"""Benchmarks still run: quickly, and with nothing wrong. How fast they are says nothing here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_workflows_are_measured_beside_celery(tmp_path: Path) -> None:
    found = tmp_path / "workflows.json"
    command = [sys.executable, "-m", "benchmarks.workflows", "--quick", "--json", str(found)]
    done = subprocess.run(command, env=dict(os.environ), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(found.read_text())
    assert figures["problems"] == []
    assert {name for name in figures if name.startswith("workflow_")} == set(figures["targets"])
    assert len(figures["targets"]) == 5
    for flow in figures["rounds"]["workflows"]:
        assert flow["submit"] > 0, flow
        assert flow["end"] > 0, flow
        assert all(delay > 0 for delay in flow["delays"]), flow


def test_fingerprints_find_planted_bugs(tmp_path: Path) -> None:
    found = tmp_path / "fingerprints.json"
    command = [sys.executable, "-m", "benchmarks.fingerprints", "--seeds", "1", "--errors", "800", "--json", str(found)]
    subprocess.run(command, env=dict(os.environ), cwd=ROOT, capture_output=True, text=True, timeout=300)
    figures = json.loads(found.read_text())
    shares = [figures[f"fingerprints_{name}"] for name in ("purity", "precision", "recall")]
    assert min(shares) >= 0.95, figures["problems"]
    assert figures["extras"]["bugs"]["median"] >= 16


@pytest.mark.long
def test_a_drain_is_measured_while_people_watch(tmp_path: Path) -> None:
    found = tmp_path / "watched.json"
    command = [sys.executable, "-m", "benchmarks.watched", "--rounds", "1", "--jobs", "300", "--streams", "3"]
    done = subprocess.run(
        [*command, "--json", str(found)], env=dict(os.environ), cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(found.read_text())
    assert list(figures["targets"]) == ["drain_watched_x_bare"]
    (heard,) = figures["rounds"]["watched"]["heard"]
    assert len(heard["changes"]) == 3
    assert all(heard["changes"])
    assert {name for name, count in heard["scraped"].items() if count} == {"worker", "controller", "web"}
    (watched,) = figures["rounds"]["watched"]["drains"]["watched"]
    assert {"web", "audience"} <= watched["cpu_us"].keys()
