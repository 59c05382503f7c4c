"""The acceptance tests import what they share, and the jobs that their workers run, from this directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.register_assert_rewrite("fleet", "worker_suite")

# The client of a test finds the jobs by name, as shared tasks of every application of the process.
import suite_jobs  # noqa: E402, F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each process that shares the tests begin with some of the long ones: the last to begin is waited for alone.

    Of what is shared out by stealing, each process is given a part of the list to begin with.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    others = [item for item in items if not item.get_closest_marker("long")]
    items[:] = [
        item
        for number in range(processes)
        for item in (
            *long[number::processes],
            *others[len(others) * number // processes : len(others) * (number + 1) // processes],
        )
    ]


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """A directory in which jobs leave a line for each of their starts."""
    made = tmp_path / "marks"
    made.mkdir()
    return made
