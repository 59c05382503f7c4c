"""Jobs that wait in a worker and go back: too many for it, or not to begin."""

from __future__ import annotations

from celery.worker.state import active_requests, reserved_requests

from jobplatform.journal.recorder import JobRequest
from jobplatform.journal.report import snapshot


def give_back_surplus() -> int:
    """Give back the jobs that wait in this worker, but for as many as it has idle processes, the last taken first.

    :returns: how many there were.
    """
    waiting = _waiting()
    running = len(snapshot(active_requests))
    keep = max(waiting[0].message.channel.qos.base() - running, 0) if waiting else 0
    return sum(request.give_back() for request in waiting[keep:])


def give_back_held(tags: frozenset[str]) -> int:
    """Give back those of some jobs that wait in this worker.

    :param tags: of their leases.
    :returns: how many there were.
    """
    return sum(request.give_back() for request in _waiting() if request.message.delivery_tag in tags)


def give_back_waiting() -> int:
    """Give back all jobs that wait in this worker.

    :returns: how many there were.
    """
    return sum(request.give_back() for request in _waiting())


def _waiting() -> list[JobRequest]:
    """List the jobs that surely have not begun, the first taken first."""
    waiting = [request for request in snapshot(reserved_requests) if request.is_unstarted()]
    return sorted(waiting, key=lambda request: [int(part) for part in request.message.delivery_tag.split(":")[1:]])
