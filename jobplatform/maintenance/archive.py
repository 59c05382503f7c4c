"""The file of a backup: a zip archive with the rows of each table, and a manifest that says what they were.

Format 1: ``TABLE.copy``, as COPY writes rows as text, one member a table; and ``manifest.json``, the last member:
``format``, ``made_at`` (ISO 8601), ``release`` and ``revision`` of the platform, ``server`` (PostgreSQL's version),
and ``tables``, in the order in which they are restored, each with ``name``, ``columns``, ``rows``, ``bytes`` and
``sha256``.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from jobplatform.errors import RestoreRefused

FORMAT = 1
MANIFEST = "manifest.json"
_PART = 1 << 20
#: A manifest of all tables takes some ten kilobytes.
_LARGEST_MANIFEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """The rows of one table."""

    name: str
    columns: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    made_at: str
    release: str
    revision: str
    server: str
    tables: tuple[Member, ...]
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(table.rows for table in self.tables)


class Tally:
    """Count and hash what is written, on its way to a file; None to keep none of it."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self.file = file
        self.rows = self.bytes = 0
        self._hash = hashlib.sha256()

    def write(self, part: bytes) -> int:
        """Write a part of some lines."""
        self.rows += part.count(b"\n")
        self.bytes += len(part)
        self._hash.update(part)
        return self.file.write(part) if self.file is not None else len(part)

    def member(self, name: str, columns: tuple[str, ...]) -> Member:
        """Say what was written."""
        return Member(name, columns, self.rows, self.bytes, self._hash.hexdigest())


@contextmanager
def writing(path: Path) -> Iterator[zipfile.ZipFile]:
    """Write an archive that has its name only when it is whole and on disk; nobody else may read it.

    :raises RestoreRefused: when the file is there already.
    """
    if path.exists():
        raise RestoreRefused(f"{path}: the file is there already; name another, or remove it")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=1) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def add(archive: zipfile.ZipFile, name: str, columns: tuple[str, ...], write: Callable[[Tally], None]) -> Member:
    """Add the rows of a table, which a function writes."""
    with archive.open(_member(name), "w", force_zip64=True) as file:
        tally = Tally(file)
        write(tally)
    return tally.member(name, columns)


def close(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Add the manifest."""
    archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))


@contextmanager
def reading(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    :raises RestoreRefused: when it is none.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise RestoreRefused(f"{path}: it cannot be read as a backup: {error}; take another") from error
    with archive:
        yield archive


def manifest_of(archive: zipfile.ZipFile) -> Manifest:
    """Read the manifest.

    :raises RestoreRefused: when there is none, or it is of a format that this code does not know.
    """
    try:
        if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
            raise RestoreRefused(f"{MANIFEST}: it is too large for that of a backup; take another file")
        raw: dict[str, Any] = json.loads(archive.read(MANIFEST))
        if raw["format"] != FORMAT:
            raise RestoreRefused(
                f"the backup has format {raw['format']}, and this release reads format {FORMAT}; restore with the "
                f"release that made it, {raw.get('release')}"
            )
        tables = tuple(Member(**{**each, "columns": tuple(each["columns"])}) for each in raw["tables"])
        return Manifest(**{**raw, "tables": tables})
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise RestoreRefused(f"{MANIFEST}: it is missing or cannot be read: {error}; take another file") from error


def check(archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Read all rows once, and compare them with what the manifest says.

    :raises RestoreRefused: when a table is not as it was written.
    """
    for table in manifest.tables:
        tally = Tally()
        try:
            with archive.open(_member(table.name)) as file:
                while part := file.read(_PART):
                    tally.write(part)
        except (KeyError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
            raise RestoreRefused(f"{table.name}: its rows cannot be read: {error}; take another backup") from error
        if tally.member(table.name, table.columns) != table:
            raise RestoreRefused(f"{table.name}: its rows are not those that were written; take another backup")


def rows_of(archive: zipfile.ZipFile, table: Member) -> IO[bytes]:
    """Open the rows of a table."""
    return archive.open(_member(table.name))


def _member(name: str) -> str:
    return f"{name}.copy"
