"""What a worker has left: memory below what it may take, files that it may open, and room on its disks."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

#: What changes slowly is read again after so many seconds.
_FRESH_SECONDS = 30.0
#: A limit of a version 1 group above this stands for none.
_NO_LIMIT = 1 << 60


class Group(NamedTuple):
    """A control group that limits memory: how many bytes, and the files that tell how many are used.

    :param idle: the name of those in ``memory.stat`` that can be had back at once.
    """

    limit: int
    usage: Path
    stat: Path
    idle: str

    def left(self) -> int:
        """Give the bytes that are left below the limit, counting files that are cached as free."""
        idle = 0
        for line in self.stat.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == self.idle:
                idle = int(value)
        return self.limit - max(0, int(self.usage.read_text()) - idle)


def memory_groups(root: Path = Path("/")) -> list[Group]:
    """List the control groups that limit the memory of this process; none where there are no such groups.

    :param root: where ``proc`` and ``sys`` are mounted.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            found += _above(root / "sys/fs/cgroup", path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _above(root / "sys/fs/cgroup/memory", path, names)
    return found


def _above(mount: Path, path: str, names: tuple[str, str, str]) -> list[Group]:
    """List the limits of a group and of those above it, as far as they are mounted."""
    limit, usage, idle = names
    place = mount / path.lstrip("/")
    found = []
    for directory in (place, *place.parents):
        if mount not in (directory, *directory.parents):
            break
        try:
            text = (directory / limit).read_text().strip()
        except OSError:
            continue
        if text != "max" and int(text) < _NO_LIMIT:
            found.append(Group(int(text), directory / usage, directory / "memory.stat", idle))
    return found


def machine_memory(root: Path = Path("/")) -> tuple[int, int] | None:
    """Give the bytes that programs can still have on this machine, and all that it has; None where nobody says.

    :param root: where ``proc`` is mounted.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    said = {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in lines) if value}
    return (said["MemAvailable"], said["MemTotal"]) if {"MemAvailable", "MemTotal"} <= said.keys() else None


class Room:
    """Tell what this process has left; memory is read at every call, what changes slowly twice a minute.

    :param memory: bytes that this process and its children may take, 0 where their control group or the machine says.
    :param clock: monotonic seconds.
    """

    def __init__(self, memory: int = 0, clock: Callable[[], float] = time.monotonic, root: Path = Path("/")) -> None:
        self.memory = memory
        self.clock = clock
        self.root = root
        self._groups: list[Group] = []
        self._slow: dict[str, Any] = {}
        self._read_at: float | None = None

    def __call__(self, taken: int) -> dict[str, Any]:
        """Give what is left, as values that JSON can hold.

        :param taken: bytes that this process and its children take.
        """
        now = self.clock()
        if self._read_at is None or now - self._read_at >= _FRESH_SECONDS:
            self._read_at = now
            self._groups = memory_groups(self.root)
            self._slow = {"open_files": _open_files(), "files_limit": _files_limit(), **_disk()}
        return {**self._slow, **self._of_memory(taken)}

    def _of_memory(self, taken: int) -> dict[str, int]:
        """Name the nearest limit of memory, and the bytes that are left below it."""
        found = [(self.memory - taken, self.memory)] if self.memory else []
        if machine := machine_memory(self.root):
            found.append(machine)
        for group in self._groups:
            try:
                found.append((group.left(), group.limit))
            except OSError:
                continue
        if not found:
            return {}
        left, limit = min(found)
        return {"memory_left": left, "memory_limit": limit}


def _open_files() -> int | None:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return None


def _files_limit() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _disk() -> dict[str, Any]:
    """Tell how much is free, and which share of all, where jobs write: here, or where temporary files are."""
    found = []
    for place in (os.curdir, tempfile.gettempdir()):
        try:
            facts = os.statvfs(place)
        except OSError:
            continue
        if facts.f_blocks:
            found.append((round(facts.f_bavail / facts.f_blocks, 4), facts.f_bavail * facts.f_frsize))
    return dict(zip(("disk_share", "disk_free"), min(found), strict=True)) if found else {}
