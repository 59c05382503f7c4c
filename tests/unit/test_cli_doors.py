"""The command line goes through actions: it writes nothing itself, and reads nothing behind their back."""

from __future__ import annotations

import ast
from pathlib import Path

import jobplatform.cli

CLI = Path(jobplatform.cli.__file__).parent
#: What opens the database, makes the tables, or is started beside the platform.
DOORS = {"desk", "connect", "up", "migrate", "doctor", "env", "controller", "plugin", "application", "exits"}
#: Values that say what an action is to do.
VALUES = {"Hold", "JobFilter", "LetterFilter", "Row", "Scope"}


def imported(module: Path) -> set[str]:
    """Name what a module takes of the store, wherever in it that is imported."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jobplatform.store"):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith("jobplatform.store")}
    return found


def test_commands_take_only_values_from_the_store() -> None:
    modules = {path.stem: imported(path) - VALUES for path in CLI.glob("*.py")}
    assert not {name: found for name, found in modules.items() if found and name not in DOORS}


def test_what_is_excepted_is_there() -> None:
    assert {path.stem for path in CLI.glob("*.py")} >= DOORS
