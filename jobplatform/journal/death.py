"""What is known of a process that died while it ran a job."""

from __future__ import annotations

import signal
from typing import Any

_MIB = 1024 * 1024


def describe_end(exit_code: int) -> str:
    """Say how a process ended.

    :param exit_code: below zero for a signal.
    """
    return f"was killed by {signal_name(exit_code)}" if exit_code < 0 else f"exited with code {exit_code}"


def signal_name(exit_code: int) -> str:
    """Name the signal that an exit code below zero stands for."""
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


def describe_memory(rss: int, seconds: float) -> str:
    """Say how much memory a process took, and how long before it died."""
    return f"it took {rss / _MIB:.0f} MiB {max(0.0, seconds):.1f} s before"


def death_of(
    pid: int | None, exit_code: int | None = None, rss: int | None = None, rss_at: float | None = None
) -> dict[str, Any]:
    """Give what is known of a death as values that JSON can hold.

    :param exit_code: below zero for a signal.
    :param rss: the memory that was read last, in bytes, at ``rss_at``, seconds since the epoch.
    """
    name = signal_name(exit_code) if exit_code is not None and exit_code < 0 else None
    known = {"pid": pid, "exit_code": exit_code, "signal": name, "rss": rss, "rss_at": rss_at}
    return {key: value for key, value in known.items() if value is not None}
