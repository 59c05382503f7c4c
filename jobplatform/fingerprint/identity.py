"""The identity of an error without its variable parts, and what it points at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jobplatform.fingerprint.dependency import dependency_of
from jobplatform.fingerprint.frames import Owner, Raised, owner, places, read
from jobplatform.fingerprint.skeleton import skeleton, unwrapped
from jobplatform.fingerprint.template import fill_blank

_LONGEST = 2_000


class Identity(NamedTuple):
    """What makes two errors the same.

    :param digest: 16 hexadecimal digits of ``text``, the fingerprint.
    :param text: type, message without variable parts, and the user's own frames.
    :param dependency: what the error points at, such as ``host:api.local``, ``database:db1`` or ``file:/mnt/share``.
    """

    digest: str
    text: str
    dependency: str | None


def identify(error: Mapping[str, Any], job_type: str = "") -> Identity:
    """Tell errors of one kind from others.

    :param error: what ``journal.failure.describe`` says of a failure.
    :param job_type: tells apart what no code raised: the death of a process, and the end of its time.
    """
    kind, message = str(error.get("type")), str(error.get("message", ""))
    found = read(str(error.get("traceback") or ""))
    raised = found.raised if found else Raised((), "")
    lines = [_say(kind, message, error.get("classes", ()), raised)]
    if isinstance(error.get("status"), int):
        lines.append(f"status {error['status']}")
    lines += [f"in {name}" for name in places(raised)]
    for cause in found.causes if found else ():
        lines.append(f"from {_say(cause.kind, cause.message, (), cause)}")
        own = places(cause) if any(owner(frame.path) is Owner.USER for frame in cause.frames) else []
        lines += [f"in {name}" for name in own if f"in {name}" not in lines]
    if not raised.frames and job_type and (error.get("died") or kind.endswith("TimeLimitExceeded")):
        lines.append(f"in {job_type}")
    text = "\n".join(lines)[:_LONGEST]
    causes = [(cause.kind, cause.message) for cause in found.causes] if found else []
    return Identity(hashlib.sha256(text.encode()).hexdigest()[:16], text, dependency_of(error, causes))


def _say(kind: str, message: str, classes: Iterable[str], raised: Raised) -> str:
    """Write type and message without variable parts; of a bare assertion, what it asserts."""
    last = raised.frames[-1] if raised.frames else None
    if last and owner(last.path) is not Owner.STANDARD:
        if not message and last.source.startswith("assert "):
            return f"{kind}: {last.source}"
        message = fill_blank(last.source, unwrapped(kind, message))
    return f"{kind}: {skeleton(kind, message, classes)}"
