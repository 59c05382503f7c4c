"""Jobs that wait in a worker and are not to run there: too many for it, or taken from it."""

from __future__ import annotations

import logging

from celery.worker.state import reserved_requests

from jobplatform.journal.report import snapshot

logger = logging.getLogger(__name__)


def lose_jobs(tags: set[str]) -> None:
    """Pass over jobs whose leases were taken away before they began; what runs goes on, and its outcome is refused."""
    for request in snapshot(reserved_requests):
        tag = request.message.delivery_tag
        if tag in tags and not request.lose():
            logger.error("job %s runs on, but another worker was given it; its outcome will be refused", request.id)


def give_back_surplus() -> int:
    """Give back the jobs that wait in this worker beyond its prefetch count, the last taken first.

    :returns: how many there were.
    """
    waiting = [request for request in snapshot(reserved_requests) if request.is_unstarted()]
    waiting.sort(key=lambda request: [int(part) for part in request.message.delivery_tag.split(":")[1:]])
    keep = waiting[0].message.channel.qos.prefetch_count if waiting else 0
    return sum(request.give_back() for request in waiting[keep:])
