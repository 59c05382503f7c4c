"""Logs as JSON, an object a line, with the ids by which they are found again; no payload and no result is in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from celery import signals
from celery._state import get_current_worker_task

from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.journal.recording import Recording
from jobplatform.metrics.tracing import current_trace_id

#: What Celery's own lines say of a job that belongs to nobody who reads logs.
_PRIVATE = {"args": "...", "kwargs": "...", "return_value": "..."}


def without_payload(record: logging.LogRecord) -> bool:
    """Take out of a line which says that a process of the pool is handed a job what it is handed."""
    if str(record.msg).startswith("TaskPool: Apply") and isinstance(record.args, tuple):
        record.args = (record.args[0], *["..."] * (len(record.args) - 1))
    return True


class JsonLines(logging.Formatter):
    """Write a record as a line of JSON."""

    #: It masks the texts in it, as to mask the line could break the JSON.
    masks = True

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        value: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": Recording.mask(_message(record)),
            "process": record.process,
            **_ids(record),
        }
        if record.exc_info:
            value["exception"] = Recording.mask(self.formatException(record.exc_info))
        return json.dumps(value, default=str)


def _message(record: logging.LogRecord) -> str:
    if record.name.startswith("celery.") and isinstance(record.args, Mapping):
        return str(record.msg) % {**record.args, **{name: _PRIVATE[name] for name in _PRIVATE if name in record.args}}
    return record.getMessage()


def _ids(record: logging.LogRecord) -> dict[str, Any]:
    """Tell what a line is about: the job whose code runs, or else the one that Celery's line names."""
    task = get_current_worker_task()
    found: dict[str, Any] = {}
    if task is not None:
        request = task.request
        found = {
            "job_id": request.id,
            "type": task.name,
            "queue": (request.delivery_info or {}).get("routing_key"),
            "attempt": getattr(request, ATTEMPT_HEADER, None) or (request.retries or 0) + 1,
            "worker": request.hostname,
        }
    else:
        about = getattr(record, "data", None)
        if isinstance(about, Mapping):
            found = {"job_id": about.get("id"), "type": about.get("name")}
    found["trace_id"] = current_trace_id()
    return {name: value for name, value in found.items() if value is not None}


def write_json(handlers: Iterable[logging.Handler]) -> None:
    """Let handlers of files and terminals write JSON."""
    for handler in handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setFormatter(JsonLines())


def write_json_in_celery() -> None:
    """Let the logs that Celery sets up in this process, a worker or a beat, be JSON."""

    def replace(logger: Any = None, **_: Any) -> None:
        write_json(logger.handlers)

    signals.after_setup_logger.connect(replace, weak=False)
    signals.after_setup_task_logger.connect(replace, weak=False)
