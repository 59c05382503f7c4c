"""Jobs that are not to run any more: taken from this worker, or cancelled."""

from __future__ import annotations

import logging
import time

from celery.worker.state import active_requests, reserved_requests

from jobplatform.journal.leaving import Leaving, is_grace_over
from jobplatform.journal.report import snapshot

logger = logging.getLogger(__name__)


def stop_jobs(taken: set[str], void: set[str]) -> None:
    """Pass over what has not begun, and give what runs a time to stop; its outcome is refused in any case.

    :param taken: the leases of jobs that another worker was given.
    :param void: the leases of jobs that were cancelled.
    """
    for request in snapshot(reserved_requests):
        tag = request.message.delivery_tag
        if tag in taken or tag in void:
            request.stop(time.monotonic(), settle=tag in void)


def end_overdue() -> None:
    """End the processes of jobs that were told to stop, or that outlast a leaving worker; threads cannot be ended."""
    now = time.monotonic()
    for request in snapshot(active_requests):
        if request.is_overdue(now):
            logger.error("job %s was told to stop and did not; its process is ended", request.id)
            request.end()
        if is_grace_over(now) and request.interrupt(Leaving.grace):
            logger.warning("job %s did not end within %g s and is interrupted", request.id, Leaving.grace)
