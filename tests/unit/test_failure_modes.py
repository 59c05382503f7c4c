"""Every line of docs/failure-modes.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE, _, LIST = (ROOT / "docs/failure-modes.md").read_text().partition("## The list of faults")
LINES, FAULTS = ([line for line in part.splitlines() if re.match(r"\| \d+ \|", line)] for part in (PAGE, LIST))
#: How many faults there are on the list.
ALL = 46


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


def test_every_fault_of_the_list_is_shown_by_lines_or_left_for_later_with_a_reason() -> None:
    assert [int(fault.split("|")[1]) for fault in FAULTS] == list(range(1, ALL + 1))
    shown = {name for line in LINES for name in re.findall(r"`(test_\w+)`", line)}
    for fault in FAULTS:
        *_, words, answer, _ = (part.strip() for part in fault.split("|"))
        named = set(re.findall(r"`(test_\w+)`", answer))
        assert words, fault
        assert bool(named) != bool(re.match(r"later: \w+", answer)), fault
        assert named <= shown, (fault, named - shown)
