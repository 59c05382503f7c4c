"""Errors as the product sees them: what ``journal.failure.describe`` would say of an attempt that failed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from benchmarks.retry.world import Job, Luck, Trouble
from jobplatform.fingerprint.identity import Identity, identify

#: By client: the exceptions for no connection, no answer in time, and a status, each with its base classes.
_CLASSES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "requests": (
        ("requests.exceptions.ConnectionError", "RequestException", "OSError"),
        ("requests.exceptions.ReadTimeout", "Timeout", "RequestException", "OSError"),
        ("requests.exceptions.HTTPError", "RequestException", "OSError"),
    ),
    "httpx": (
        ("httpx.ConnectError", "NetworkError", "TransportError", "HTTPError"),
        ("httpx.ReadTimeout", "TimeoutException", "TransportError", "HTTPError"),
        ("httpx.HTTPStatusError", "HTTPError"),
    ),
    "botocore": (
        ("botocore.exceptions.EndpointConnectionError", "ConnectionError", "BotoCoreError"),
        ("botocore.exceptions.ReadTimeoutError", "HTTPClientError", "BotoCoreError"),
        ("botocore.exceptions.ClientError",),
    ),
}
CLIENTS = tuple(_CLASSES)
_REFUSALS = (400, 401, 403, 404, 409, 410, 422)
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    410: "Gone",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_CONNECTION, _TIMEOUT, _STATUS = range(3)


def describe(trouble: Trouble, job: Job, luck: Luck, after: float | None = None) -> dict[str, Any]:
    """Say of an attempt what its exception would.

    :param after: what ``Retry-After`` said, in seconds.
    """
    if job.type.host is None:
        return _describe_local(trouble, job, luck)
    kind, status = _shape(trouble, job, luck)
    path = f"https://{job.type.host}/{job.type.name.split('.')[-1]}/{int(luck.text * 1e9)}"
    number = int(luck.run * 1e6)
    if kind == _CONNECTION:
        text = f"connection to {job.type.host}:443 from port {32768 + number % 28000} refused: [Errno 111]"
    elif kind == _TIMEOUT:
        text = f"{path}: read timed out after {5 + number % 3} s"
    else:
        text = f"{status} {_PHRASES[status]} for url: {path}"
        if trouble is Trouble.DISGUISED and job.type.telling:
            text += f" (unhandled KeyError in order {number})"
    classes = _CLASSES[job.type.client][kind]
    error = _error(classes[0], text, classes, job)
    error["host"] = job.type.host
    if kind == _STATUS:
        error["status"] = status
    if after is not None:
        error["after"] = after
    return error


@lru_cache(maxsize=65_536)
def identity_of(trouble: Trouble, job: Job, luck: Luck, after: float | None) -> Identity:
    """Identify an error as the product does, once for all policies: it costs more than everything else of a failure."""
    return identify(describe(trouble, job, luck, after), job.type.name)


def _shape(trouble: Trouble, job: Job, luck: Luck) -> tuple[int, int]:
    """Give the kind of exception and the status."""
    if trouble is Trouble.DOWN:
        return (_TIMEOUT if luck.text < 0.3 else _CONNECTION if luck.text < 0.7 else _STATUS), 503
    if trouble is Trouble.OVERLOADED:
        return (_TIMEOUT if luck.text < 0.6 else _STATUS), 503 if luck.text < 0.85 else 504
    if trouble is Trouble.LIMITED:
        return _STATUS, 429
    if trouble is Trouble.REFUSED:
        # Whatever is wrong with a job, it is the same each time.
        return _STATUS, _REFUSALS[job.number % len(_REFUSALS)]
    if trouble is Trouble.DISGUISED:
        return _STATUS, 500
    return (_CONNECTION if luck.text < 0.2 else _STATUS), 500 if luck.text < 0.7 else 502


def _describe_local(trouble: Trouble, job: Job, luck: Luck) -> dict[str, Any]:
    """Describe the failure of a job that depends on nothing."""
    number = int(luck.text * 1e6)
    if trouble is Trouble.REFUSED:
        return _error("ValueError", f"invalid literal for order {number}: 'n/a'", ("ValueError",), job)
    if trouble is Trouble.DISGUISED and job.type.telling:
        return _error("RuntimeError", f"task {number} failed: no such row", ("RuntimeError",), job)
    return _error("RuntimeError", f"task {number} failed: try again later", ("RuntimeError",), job)


def _error(kind: str, text: str, classes: tuple[str, ...], job: Job) -> dict[str, Any]:
    module = job.type.name.replace(".", "/")
    traceback = f'Traceback (most recent call last):\n  File "/app/{module}.py", line 42, in run\n{kind}: {text}'
    names = [name.split(".")[-1] for name in classes]
    return {"type": kind, "message": text, "classes": names, "traceback": traceback}
