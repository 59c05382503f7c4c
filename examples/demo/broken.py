"""Three broken files of ours, for a Python that ships without the broken ones of its own tests."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "jobplatform_demo_bad_coding.py": b"# -*- coding: uft-8 -*-\nNAME = 'a coding cookie that no codec answers to'\n",
    "jobplatform_demo_bad_encoding.py": b"NAME = 'latin-1 without a coding cookie: \xf6'\n",
    "jobplatform_demo_bad_syntax.py": b"def half_a_function(:\n    pass\n",
}


def write(directory: Path) -> list[Path]:
    """Write the broken files and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    return [directory / name for name in FILES]
