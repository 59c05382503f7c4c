"""Every line of docs/failure-modes.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = [line for line in (ROOT / "docs/failure-modes.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]


def test_every_line_names_tests_that_exist() -> None:
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    # Some suites keep their tests in classes.
    defined |= {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"^    def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    for line in LINES:
        named = re.findall(r"`(test_\w+)`", line.split("|")[-2])
        assert named, line
        assert set(named) <= defined, (line, set(named) - defined)


def test_the_lines_are_numbered_in_order() -> None:
    assert [int(line.split("|")[1]) for line in LINES] == list(range(1, len(LINES) + 1))
