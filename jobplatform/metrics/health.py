"""What a probe is told of a process: that it is well, or what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple

JSON = "application/json"


class Answer(NamedTuple):
    """What an HTTP client is told."""

    status: HTTPStatus
    content_type: str
    body: bytes


class Probes(NamedTuple):
    """What is wrong with a process, a sentence each.

    :param live: why it should be ended and begun anew: nothing that a new process would find the same.
    :param ready: why nothing should be expected of it for now.
    """

    live: Callable[[], Sequence[str]]
    ready: Callable[[], Sequence[str]]


def answer(problems: Sequence[str]) -> Answer:
    """Answer a probe."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    return Answer(status, JSON, json.dumps({"ok": not problems, "problems": list(problems)}).encode())
