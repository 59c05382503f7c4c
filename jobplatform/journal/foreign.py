"""Rows for messages that were published without one, by clients that know nothing of the platform."""

from __future__ import annotations

import json
from typing import Any

from jobplatform.journal.entry import clean
from jobplatform.journal.failure import seed_row
from jobplatform.records import job_id_of


def foreign_row(request: Any, message: Any = None) -> str:
    """Write the row of a message that stands for none.

    :param request: Celery's request, or None when there is no task to make one with.
    :param message: the message, when there is no request.
    """
    message = request.message if request is not None else message
    headers = message.headers if isinstance(message.headers, dict) else {}
    info = message.delivery_info or {}
    retries = headers.get("retries")
    declared = getattr(getattr(request, "task", None), "job", None)
    values = {
        "job_id": job_id_of(str(headers.get("id"))),
        "job_type": str(headers.get("task"))[:100],
        "queue": str(info.get("routing_key") or "celery"),
        "priority": min(max(_integer(message.properties.get("priority")), 1), 5),
        "retry_count": _integer(retries),
        "attempt": _integer(retries) + 1,
        "max_retries": _max_retries(request),
        "root_id": _id(headers.get("root_id")),
        "parent_id": _id(headers.get("parent_id")),
        "retry_rule": declared.retry.as_row() if declared else {"automatic": False},
    }
    return seed_row(values, _payload(request))


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _id(value: Any) -> str | None:
    return job_id_of(value) if isinstance(value, str) else None


def _max_retries(request: Any) -> int:
    limit = getattr(getattr(request, "task", None), "max_retries", 0)
    return limit if isinstance(limit, int) else 0


def _payload(request: Any) -> str:
    if request is None:
        return "null"
    try:
        text = json.dumps({"args": request.args, "kwargs": request.kwargs}, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({"repr": clean(repr((request.args, request.kwargs)), 2_000)})
    return text if "\\u0000" not in text and "\\ud" not in text else json.dumps({"repr": clean(text, 2_000)})
