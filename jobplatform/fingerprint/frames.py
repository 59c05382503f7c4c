"""What a traceback says, without line numbers: whose code failed, and what else went wrong before it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple


class Frame(NamedTuple):
    """One call: its file, its function, and the line of code, as far as they are known."""

    path: str
    function: str
    source: str


class Raised(NamedTuple):
    """One exception of a chain.

    :param frames: outermost first.
    :param said: type and first line of the message, as Python prints them.
    """

    frames: Sequence[Frame]
    said: str

    @property
    def kind(self) -> str:
        """The name of its class, with the module."""
        return self.said.partition(":")[0].strip()

    @property
    def message(self) -> str:
        """The first line of its message."""
        return self.said.partition(": ")[2].strip()


class Traceback(NamedTuple):
    """An exception and what it came of, the deepest first; several if it stands for a group."""

    raised: Raised
    causes: Sequence[Raised] = ()


class Owner(IntEnum):
    """Whose code a frame runs; the first that is there tells errors apart."""

    USER = 0
    LIBRARY = 1
    STANDARD = 2
    MACHINERY = 3


_TITLE = "Traceback (most recent call last):\n"
_FRAME = re.compile(r'^ *File "([^"\n]*)", line \d+, in ([^\n]+)(?:\n +(?!File ")([^\n]*))?', re.MULTILINE)
_SAID = re.compile(r"^[^\s][^\n]*", re.MULTILINE)
_BRANCHES = re.compile(r"^ *(?:\| ?|\+[-+ ]*)(?!$)", re.MULTILINE)
#: What runs a job, wherever it is installed; a user's package may bear one of these names as well.
_MACHINERY = re.compile(
    r"/celery/(?:app|worker|concurrency|utils|backends|bin)/\w+\.py$|/(?:billiard|kombu|vine)/\w+\.py$"
    r"|/jobplatform/(?:jobs|journal|store|transport|scheduling|workers|learning|metrics)/\w+\.py$"
)
_LIBRARY = re.compile(r"/(?:site|dist)-packages/")
_STANDARD = re.compile(r"^<frozen |/lib(?:64)?/python\d[\d.]*/|/python\d+\.zip/|/Lib/[\w/]+\.py$")
#: Directories that are another one at each deploy, or each run: temporary, versioned or hashed.
_CHANGING = re.compile(r"^(?:tmp[a-z0-9_]{8}|[0-9a-f]{7,40})$|\d+")
#: Of other people's code, where it was entered, and where it failed.
_ENTERED, _MOST = 2, 12


def read(text: str) -> Traceback | None:
    """Read the text of a traceback; None if there is none in it."""
    if "Exception Group Traceback" in text:
        raised, *parts = _split(_BRANCHES.sub("", text))
        return Traceback(raised, tuple({part.kind: part for part in sorted(parts, key=_said)}.values())[:3])
    chain = _split(text)
    return Traceback(chain[-1], tuple(chain[:1] if len(chain) > 1 else ())) if chain else None


def _said(raised: Raised) -> str:
    return raised.said


def _split(text: str) -> list[Raised]:
    return [_raised(part) for part in text.split(_TITLE)[1:]]


def _raised(text: str) -> Raised:
    last = text.rfind('\n  File "')
    said = _SAID.search(text, last + 1 if last >= 0 else text.find("\n") + 1 if text.startswith("  File") else 0)
    return Raised(_frames(text[: said.start()] if said else text), said[0] if said else "")


@lru_cache(maxsize=256)
def _frames(text: str) -> tuple[Frame, ...]:
    """Read frames; those of a bug are the same each time."""
    return tuple(Frame(path, function, source or "") for path, function, source in _FRAME.findall(text))


def places(raised: Raised) -> list[str]:
    """Name where the user's own code was, or else the nearest; each place once, however deep it called itself."""
    return _places(tuple(raised.frames), raised.kind == "RecursionError")


@lru_cache(maxsize=256)
def _places(frames: tuple[Frame, ...], is_full: bool) -> list[str]:
    owners = [owner(frame.path) for frame in frames]
    nearest = min(owners, default=Owner.USER)
    found = [place(frame.path, frame.function) for frame, own in zip(frames, owners, strict=True) if own == nearest]
    times = Counter(found)
    if is_full and max(times.values(), default=0) > 1:
        # Where exactly the stack was full is chance.
        found = [name for name in found if times[name] > 1]
    unique = list(dict.fromkeys(found))
    most = _MOST if nearest is Owner.USER else _ENTERED + 1
    return unique if len(unique) <= most else [*unique[:_ENTERED], *unique[_ENTERED - most :]]


@lru_cache(maxsize=4096)
def owner(path: str) -> Owner:
    """Tell whose code a file is."""
    path = path.replace("\\", "/")
    if _MACHINERY.search(path):
        return Owner.MACHINERY
    if _LIBRARY.search(path):
        return Owner.LIBRARY
    return Owner.STANDARD if _STANDARD.search(path) else Owner.USER


@lru_cache(maxsize=4096)
def place(path: str, function: str) -> str:
    """Name a function by the end of its file's path, as the beginning is another one on each machine."""
    *directories, name = path.replace("\\", "/").removesuffix(".py").split("/")
    parent = _CHANGING.sub("#", directories[-1]) if directories else ""
    return f"{parent}/{name}:{function}" if parent else f"{name}:{function}"
