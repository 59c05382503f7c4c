"""Choose the files that the demo reads."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from examples.demo import broken
from examples.demo.analysis import error_of

#: A slim Python ships without its tests; installed packages then make up the number.
FEWEST = 1_100
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def roots() -> list[Path]:
    """Give the directories that files are found in: the standard library, then the installed packages."""
    paths = sysconfig.get_paths()
    return [Path(paths["stdlib"]), Path(paths["purelib"])]


def find(directory: Path, limit: int | None = None) -> list[Path]:
    """List the files to read, at least three of them broken.

    :param directory: where broken files of ours are written if the Python has none.
    :param limit: how many files to take besides the broken ones, evenly spread; None is all of them.
    """
    library, installed = roots()
    files = python_files(library)
    if len(files) < FEWEST:
        files += islice(python_files(installed), FEWEST - len(files))
    bad = [path for path in files if path.name.startswith("bad") and error_of(path.read_bytes(), path.name)]
    if len(bad) < len(broken.FILES):
        bad += broken.write(directory / "broken")
    good = sorted(set(files) - set(bad))
    return bad + good[:: 1 if limit is None else max(1, len(good) // limit)][:limit]


def python_files(root: Path) -> list[Path]:
    """List the Python files of a directory, without packages that were installed below it."""
    found = (path for path in root.rglob("*.py") if not _INSTALLED & set(path.relative_to(root).parts))
    return sorted(path for path in found if path.is_file())


def name_of(path: str, places: Sequence[Path] | None = None) -> str:
    """Name a file by its path below the directory that it was found in.

    :param places: the directories to look at; None is those of this Python.
    """
    # The last one first, since packages may be installed below the standard library.
    for place in reversed(roots() if places is None else places):
        if Path(path).is_relative_to(place):
            return Path(path).relative_to(place).as_posix()
    return Path(path).name


def python_name() -> str:
    """Name the Python whose library is read."""
    return f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}"
