"""What a process with the code of job types tells of them, and what others make of that."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from jobplatform.errors import JobOptionError
from jobplatform.jobs.hiding import NOTHING, Hiding
from jobplatform.jobs.options import JobOptions
from jobplatform.jobs.retry import RetryRule
from jobplatform.jobs.unique import Unique
from jobplatform.journal.storable import encode

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]

#: How the names of the platform's own job types begin, which nobody else submits.
OURS = "jobplatform."
#: What a submission takes over as it is, where it says nothing itself.
_PLAIN = ("priority", "max_retries", "timeout", "soft_timeout", "deadline", "tags", "limit_key", "units")


def published(app: Any) -> list[Row]:
    """Describe the job types and tasks of an application, as ``store.job_types`` keeps them."""
    return [_row(app, name, task) for name, task in sorted(app.tasks.items()) if _is_theirs(name)]


def options_of(row: Row) -> dict[str, Any]:
    """Give the options with which a job is submitted by name, so that it is as if its code were here.

    :raises JobOptionError: when newer code wrote what cannot be read here.
    """
    told = row["options"]
    options = {name: told[name] for name in _PLAIN if told.get(name) is not None}
    if told.get("retry") is not None:
        options["retry_rule"] = RetryRule.of(told["retry"])
    if told.get("unique") is not None:
        try:
            options["unique"] = Unique(**told["unique"])
        except TypeError as error:
            raise JobOptionError(
                f"{row['name']}: unique: newer code says what is not known here ({error}); upgrade this process"
            ) from error
    return {**options, "queue": row["queue"], "hiding": hiding_of(row)}


def hiding_of(row: Row | None) -> Hiding:
    """Tell what is to be hidden of the jobs of a type."""
    told = (row or {}).get("options") or {}
    return Hiding(tuple(told.get("secret") or ()), bool(told.get("encrypt")))


def _is_theirs(name: str) -> bool:
    return not name.startswith(("celery.", OURS)) and len(name) <= 100


def _row(app: Any, name: str, task: Any) -> Row:
    declared: JobOptions | None = getattr(task, "job", None)
    return {
        "name": name,
        "queue": (declared and declared.queue) or _routed(app, name, task),
        "words": (inspect.getdoc(task.run) or "").strip().partition("\n")[0][:500],
        "schema": declared and _schema(declared),
        "positional": list(declared.signature.positional) if declared else [],
        "options": _options(declared) if declared else {},
        "tool": declared is not None and bool(declared.tool),
    }


def _routed(app: Any, name: str, task: Any) -> str:
    default = app.conf.task_default_queue
    try:
        queue = app.amqp.router.route({}, name, (), {}, task).get("queue")
    except Exception as error:  # noqa: BLE001 - the routes of an application can raise anything
        logger.warning("%s: its route cannot be told without arguments: %s", name, error)
        return str(default)
    return str(getattr(queue, "name", queue) or default)


def _options(declared: JobOptions) -> dict[str, Any]:
    unique = asdict(declared.unique) if declared.unique else None
    hidden = {"secret": declared.secret_paths, "encrypt": declared.encrypt} if declared.hiding != NOTHING else {}
    plain = {name: getattr(declared, name) for name in _PLAIN}
    return {**plain, "retry": asdict(declared.retry), "unique": unique, **hidden}


def _schema(declared: JobOptions) -> Mapping[str, Any] | None:
    """Give the schema of a type's arguments, None when there is none that says what they are."""
    try:
        found: Mapping[str, Any] = declared.signature.json_schema()
        encode(found)
    except (RuntimeError, NameError, TypeError, ValueError) as error:
        # As pydantic raises them, which is not imported here: most job types need none of it.
        logger.warning("%s: its arguments are not checked before a worker has them: %s", declared.name, error)
        return None
    return found
