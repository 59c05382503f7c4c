"""Tracebacks with what is the application's own set apart from what it only passed through; pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line \d+')
_OTHERS = ("/site-packages/", "/dist-packages/", "/lib/python", "/jobplatform/", "<frozen")


class Frame(NamedTuple):
    """Lines of a traceback that belong together."""

    text: str
    ours: bool


def frames(traceback: str) -> list[Frame]:
    """Split a traceback into its frames and what stands between them.

    :returns: the application's frames and the error in full, and the others as such.
    """
    found: list[Frame] = []
    for line in traceback.splitlines():
        frame = _FRAME.match(line)
        if frame:
            found.append(Frame(line, not any(part in frame["path"] for part in _OTHERS)))
        elif found and line.startswith("    "):
            found[-1] = Frame(f"{found[-1].text}\n{line}", found[-1].ours)
        else:
            found.append(Frame(line, True))
    return found
