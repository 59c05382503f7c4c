"""The wheel holds what runs: every module, script, template and style, the migrations and the typing marker."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "jobplatform", "migrations"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {path.relative_to(ROOT) for path in (ROOT / "jobplatform").rglob("*.*") if "__pycache__" not in path.parts}
    ours = set(map(str, files))
    migrations = {f"jobplatform/{path.relative_to(ROOT)}" for path in (ROOT / "migrations").rglob("*.py")}
    assert ours | migrations <= names
    assert {"jobplatform/py.typed", "jobplatform/migrations/script.py.mako"} <= names
