"""Run a Python module, or a file, on a machine whose clock is wrong.

Usage: ``python skewed.py SECONDS MODULE_OR_FILE ARGUMENTS ...``. Only what Python code is told is wrong: servers and
monotonic clocks are not concerned.
"""

from __future__ import annotations

import datetime
import runpy
import sys
import time
from typing import Any

true_time, true_datetime = time.time, datetime.datetime


class Alike(type):
    """Let times that C code made count as those that Python code makes."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, true_datetime)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, true_datetime)


def skew(seconds: float) -> None:
    """Let the clock be so many seconds ahead."""
    off = datetime.timedelta(seconds=seconds)

    class Skewed(true_datetime, metaclass=Alike):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return true_datetime.now(tz) + off

        @classmethod
        def utcnow(cls) -> Any:
            return true_datetime.now(datetime.UTC).replace(tzinfo=None) + off

        @classmethod
        def today(cls) -> Any:
            return true_datetime.now() + off

    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: int(time.time() * 1e9)
    setattr(datetime, "datetime", Skewed)  # noqa: B010 - a plain assignment would be to a type


if __name__ == "__main__":
    _, ahead, program, *arguments = sys.argv
    skew(float(ahead))
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
