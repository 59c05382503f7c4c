"""``self.replace(...)``: other jobs stand in for a running one, under its id and as its present attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from celery.exceptions import Ignore

from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.journal.unfinished import Replaced

#: Says for which job, and as which attempt of it, a message stands in.
STAND_IN_HEADER = "jp_stands_in"


def on_replace_of(task: Any) -> Callable[[Any], Any]:
    """Give the ``on_replace`` of a task, which tells those that stand in for it whose attempt they go on with."""
    replace = task.on_replace

    def on_replace(sig: Any) -> Any:
        request = task.request
        attempt = request.get(ATTEMPT_HEADER) or (request.retries or 0) + 1
        for part in (sig, *(sig.tasks if sig.task == "celery.chain" else ())):
            part.set(headers={**(part.options.get("headers") or {}), STAND_IN_HEADER: [request.id, attempt]})
        try:
            return replace(sig)
        except Ignore as error:
            raise Replaced(*error.args) from error

    return on_replace


def attempt_of(headers: Mapping[str, Any]) -> int:
    """Give the attempt that a message is published for."""
    replaced, attempt = headers.get(STAND_IN_HEADER) or ("", 1)
    return int(attempt if replaced == headers["id"] else (headers.get("retries") or 0) + 1)
