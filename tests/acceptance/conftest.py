"""The acceptance tests import what they share, and the jobs that their workers run, from this directory."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("fleet", "worker_suite")

# The client of a test finds the jobs by name, as shared tasks of every application of the process.
import suite_jobs  # noqa: E402, F401


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """A directory in which jobs leave a line for each of their starts."""
    made = tmp_path / "marks"
    made.mkdir()
    return made
