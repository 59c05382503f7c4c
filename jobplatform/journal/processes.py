"""The memory and CPU of this worker's processes, and what was read of them last, should one die."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

#: For so long the last reading of a process that is gone is kept, in seconds.
_KEPT_SECONDS = 60.0


class Reading(NamedTuple):
    """The resident memory of a process in bytes, and when it was read, in seconds since the epoch."""

    rss: int
    at: float


_last: dict[int, Reading] = {}


def read_processes(pid: int) -> list[dict[str, Any]]:
    """Read what a process and all that it started take, in bytes and CPU seconds."""
    # Imported here, in the main process and after it forked, so that its children do not carry it.
    import psutil

    main = psutil.Process(pid)
    usages = [usage for process in (main, *main.children(recursive=True)) if (usage := _usage(process, psutil))]
    _note(usages)
    return usages


def read_process(pid: int) -> None:
    """Read what a process takes that has begun since all were read, as it may die before they are read again."""
    if not _last:
        return
    import psutil

    try:
        process = psutil.Process(pid)
    except psutil.Error:
        return
    usage = _usage(process, psutil)
    _note([usage] if usage else [])


def last_reading(pid: int | None) -> Reading | None:
    """Give what was read last of a process, None when nothing was."""
    return _last.get(pid or 0)


def _note(usages: list[dict[str, Any]]) -> None:
    now = time.time()
    for pid in [pid for pid, reading in list(_last.items()) if reading.at < now - _KEPT_SECONDS]:
        _last.pop(pid, None)
    # A process that has died and was not waited for yet takes nothing.
    _last.update((usage["pid"], Reading(usage["rss"], now)) for usage in usages if usage["rss"])


def _usage(process: Any, psutil: Any) -> dict[str, Any] | None:
    try:
        with process.oneshot():
            times = process.cpu_times()
            return {"pid": process.pid, "rss": process.memory_info().rss, "cpu": round(times.user + times.system, 2)}
    except psutil.Error:
        return None
