"""Rows for messages that were published without one, by clients that know nothing of the platform."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery.utils.time import maybe_iso8601

from jobplatform.journal.entry import clean
from jobplatform.journal.failure import seed_row
from jobplatform.journal.storable import CONTAINERS, MAX_DEPTH, encode, find_problem, is_suspicious, is_too_deep
from jobplatform.records import job_id_of
from jobplatform.secrecy.signing import SIGNATURE_HEADER

#: Says until when a job has to be done, in seconds since the epoch.
DEADLINE_HEADER = "jp_deadline"
#: Headers that the columns of a row stand for.
COLUMN_HEADERS = frozenset(
    {
        "lang", "task", "id", "eta", "expires", "retries", "timelimit", "root_id", "parent_id", "argsrepr",
        "kwargsrepr", "origin", DEADLINE_HEADER, SIGNATURE_HEADER,
    }
)  # fmt: skip
#: What is not true any more of a body that was read.
_UNDONE = frozenset({"compression"})
#: The retries of a job whose type says nothing, as those of one that is submitted without its code.
_MAX_RETRIES = 5
_NOT_DECLARED = {"automatic": False, "guessed": ["retry_rule", "max_retries"]}


@dataclass(frozen=True, slots=True)
class ForeignMessage:
    """A task message whose headers were checked and whose body was read.

    :param queue: the queue that it was taken from.
    """

    message: Any
    headers: Mapping[str, Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    embed: Mapping[str, Any]
    queue: str

    def row(self, task: Any = None) -> str:
        """Write the row of the message, with all that it takes to publish it again.

        :param task: the task that it is for, None when there is none here.
        """
        headers = self.headers
        limits = headers.get("timelimit") or (None, None)
        retries = headers.get("retries") or 0
        payload, extra = self._content()
        values = {
            "job_id": job_id_of(headers["id"]),
            "job_type": headers["task"][:100],
            "queue": self.queue,
            "priority": min(max(_integer(self.message.properties.get("priority")), 1), 5),
            "retry_count": retries,
            "attempt": retries + 1,
            "max_retries": _MAX_RETRIES if task is None else _max_retries(task),
            "scheduled_at": timestamp(headers.get("eta")),
            "expires_at": timestamp(headers.get("expires")),
            "deadline_at": headers.get(DEADLINE_HEADER),
            "timeout": limits[0],
            "soft_timeout": limits[1],
            "root_id": _id(headers.get("root_id")),
            "parent_id": _id(headers.get("parent_id")),
            "retry_rule": _NOT_DECLARED if task is None else _retry_rule(task),
            "message": extra or None,
        }
        return seed_row(values, payload)

    def _content(self) -> tuple[str, dict[str, Any]]:
        """Give the payload, and what the columns and the payload do not hold."""
        headers = self.headers
        left = {
            name: value
            for name, value in headers.items()
            if name not in COLUMN_HEADERS and name not in _UNDONE and value not in (None, False, 0, {}, [])
        }
        links = {name: value for name, value in self.embed.items() if value}
        reply_to = self.message.properties.get("reply_to")
        extra: dict[str, Any] = {
            "headers": {name: value for name, value in left.items() if storable({name: value})},
            "embed": links,
            "task_id": headers["id"] if headers["id"] != job_id_of(headers["id"]) else None,
            "properties": {"reply_to": reply_to} if isinstance(reply_to, str) and storable(reply_to) else None,
        }
        payload = storable({"args": self.args, "kwargs": self.kwargs})
        if payload is None or (links and not storable(links)):
            extra.update(embed=None, body=self._body())
            payload = payload or encode({"repr": clean(repr((self.args, self.kwargs)), 2_000)})
        return payload, {name: value for name, value in extra.items() if value}

    def _body(self) -> list[str]:
        """Keep a body that the tables cannot hold as values."""
        raw = self.message.body
        text = base64.b64encode(raw if isinstance(raw, bytes) else str(raw).encode()).decode()
        return [str(self.message.content_type), str(self.message.content_encoding), text]


def storable(value: Any) -> str | None:
    """Give the JSON text of a value, None when it has none that the tables can hold."""
    try:
        text = encode(value)
    except (TypeError, ValueError, RecursionError):
        return None
    deep = text.count("[") + text.count("{") > MAX_DEPTH and isinstance(value, CONTAINERS)
    if is_suspicious(text) or (deep and is_too_deep(value, text_keys=False)):
        return None if find_problem("value", value, text_keys=False) else text
    return text


def timestamp(value: Any) -> float | None:
    """Read a time as Celery's headers hold it, in seconds since the epoch; None if there is none.

    :raises ValueError: when it is a text that is no time, or a time that no clock shows.
    """
    if not value:
        return None
    if not isinstance(value, (str, datetime)):
        raise ValueError(f"a {type(value).__name__} is no time")
    moment = maybe_iso8601(value)
    if not 1 < moment.year < 9999:
        raise ValueError(f"{moment} is a time that no clock shows in every zone")
    return float((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _id(value: Any) -> str | None:
    return job_id_of(clean(value, 1_000)) if isinstance(value, str) and value else None


def _max_retries(task: Any) -> int:
    limit = getattr(task, "max_retries", 0)
    return limit if isinstance(limit, int) else 0


def _retry_rule(task: Any) -> dict[str, Any] | None:
    declared = getattr(task, "job", None)
    rule: dict[str, Any] | None = declared.retry.as_row() if declared else {"automatic": False}
    return rule
