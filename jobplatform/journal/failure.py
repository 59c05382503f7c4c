"""What an exception tells about a failed attempt, as plain values."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from jobplatform.journal.death import death_of, describe_end, describe_memory
from jobplatform.journal.entry import TRACEBACK_LIMIT, clean
from jobplatform.journal.processes import Reading

#: Where the exceptions of HTTP clients keep what was asked for.
_EXCHANGE = ("request", "request_info", "response")
#: A scheme, if there is one, and a host.
_HOST = re.compile(
    r"(?:([a-zA-Z][\w+.-]*)://)?(?:[^/?#@\s]*@)?\[?((?<=\[)[\da-fA-F:.]+|[\w-]+(?:\.[\w-]+)*)\]?(?::\d+)?(?:$|[/?#])"
)


def type_name(error: BaseException) -> str:
    """Name the class of an exception, with its module unless it is a builtin."""
    cls = type(error)
    name = getattr(error, "exc_cls_name", None) or cls.__qualname__
    module = getattr(error, "exc_module", None) or cls.__module__
    return str(name) if module in ("builtins", None) else f"{module}.{name}"


def describe(error: BaseException, traceback: str | None, now: float) -> dict[str, Any]:
    """Describe a failure for the journal: type, message, class names, and what it says about a retry.

    :param now: seconds since the epoch, from which a ``Retry-After`` date is counted.
    """
    value: dict[str, Any] = {
        "type": type_name(error)[:500],
        "message": clean(_message(error)),
        "classes": [cls.__name__ for cls in type(error).__mro__[:-2]][:12] or [type_name(error)],
    }
    if traceback:
        value["traceback"] = clean(traceback, TRACEBACK_LIMIT)
    status = _status(error)
    if status is not None:
        value["status"] = status
    after = _retry_after(error, now)
    if after is not None:
        value["after"] = after
    return value | _pointing(error)


def _pointing(error: BaseException) -> dict[str, Any]:
    """Tell what an exception points at, as far as its attributes say: a host, or a file and what is wrong with it."""
    value: dict[str, Any] = {}
    host = next(filter(None, map(_host, (error, *(_attribute(error, name) for name in _EXCHANGE)))), None)
    if host is not None:
        value["host"] = host
    if isinstance(error, OSError):
        path, number = _attribute(error, "filename"), _attribute(error, "errno")
        if isinstance(path, str) and path:
            value["path"] = clean(path if path.startswith("/") else f"{_directory()}/{path}", 1_000)
        if isinstance(number, int):
            value["errno"] = number
    return value


def _attribute(source: Any, name: str) -> Any:
    try:
        return getattr(source, name, None)
    except Exception:  # noqa: BLE001 - a property may raise anything
        return None


def _host(source: Any) -> str | None:
    """Read a host off what has one, or a URL."""
    for name in ("url", "host", "hostname"):
        given = _attribute(source, name)
        text = given if isinstance(given, str) else _attribute(given, "host")
        if isinstance(text, str):
            found = _HOST.match(text)
            if found and (name != "url" or found[1] or text is not given):
                return found[2].lower()
    return None


def _directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything
        return f"<{type(error).__name__} whose text cannot be made: {type(broken).__name__}>"


def _status(error: BaseException) -> int | None:
    for source in (error, _attribute(error, "response")):
        for name in ("status_code", "status", "code"):
            status = _attribute(source, name)
            if isinstance(status, int) and 400 <= status < 600:
                return status
    return None


def _retry_after(error: BaseException, now: float) -> float | None:
    value = _attribute(error, "retry_after")
    if value is None:
        headers = _attribute(_attribute(error, "response"), "headers")
        value = headers.get("Retry-After") if hasattr(headers, "get") else None
    return seconds_from(value, now)


def seconds_from(value: Any, now: float) -> float | None:
    """Read a ``Retry-After`` value (RFC 9110 section 10.2.3): seconds, or a date; None if it is neither."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, datetime):
        return max(0.0, value.timestamp() - now)
    if isinstance(value, str) and not value.strip().isdigit():
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - now)
        except ValueError:
            return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < 1e9 else None


def describe_death(error: BaseException, pid: int | None, read: Reading | None, now: float) -> dict[str, Any]:
    """Describe that the process of a job died: how it ended, and what memory it took when that was read last.

    :param error: what the pool says; its ``exit_code`` tells how the process ended, if that is known.
    :param now: seconds since the epoch.
    """
    value = {**describe(error, None, now), "died": True}
    exit_code = getattr(error, "exit_code", None)
    if exit_code is not None:
        value["message"] = f"process {pid} {describe_end(exit_code)} while it ran the job"
    if read is not None:
        value["message"] += f"; {describe_memory(read.rss, now - read.at)}"
    value["death"] = death_of(pid, exit_code, *(read or ()))
    return value


def describe_text(kind: str, message: str) -> dict[str, Any]:
    """Describe an ending that no exception stands for."""
    return {"type": kind, "message": clean(message), "classes": [kind]}


def describe_deadline(message: str, traceback: str | None) -> dict[str, Any]:
    """Describe that the deadline of a job came while it ran."""
    value = {**describe_text("DeadlineExceeded", message), "deadline": True}
    return {**value, "traceback": clean(traceback, TRACEBACK_LIMIT)} if traceback else value


def describe_interruption(worker: str, grace: float | None) -> dict[str, Any]:
    """Describe that a worker left before a job ended, which is no failure of the job.

    :param grace: seconds that the job had to end; None if whoever ended the worker ended the job as well.
    """
    ended = "SIGTERM reached the job as well" if grace is None else f"the job did not end within {grace:g} s"
    message = f"worker {worker} left, and {ended}"
    return {**describe_text("Interrupted", message), "interrupted": True}


def seed_row(values: dict[str, Any], payload: str) -> str:
    """Write the row of a message that was published without one.

    :param payload: JSON text.
    """
    text = json.dumps({name: value for name, value in values.items() if value is not None})
    return f'{text[:-1]},"payload":{payload}}}'
