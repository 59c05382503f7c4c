"""What a worker says of itself with every heartbeat."""

from __future__ import annotations

import os
import time
from typing import Any

from celery.worker.state import active_requests, reserved_requests

from jobplatform.journal.deeds import DEEDS
from jobplatform.journal.processes import read_processes
from jobplatform.journal.recorder import JobRequest
from jobplatform.journal.room import Room

#: The most running jobs that a report names, and the most job types; a worker that knows more names none.
_NAMED = 200


class Report:
    """Describe this worker: who it is, what it runs, what it and its children take.

    :param name: the node name, as ``celery inspect`` shows it.
    :param app: the Celery application.
    :param slots: how many jobs it runs at once.
    :param room: tells what this process has left.
    :param child_memory: bytes above which Celery ends a pool process after its job, 0 where it does not.
    """

    def __init__(self, name: str, app: Any, slots: int = 1, room: Room | None = None, child_memory: int = 0) -> None:
        self.name = name
        self.app = app
        self.slots = slots
        self.room = room or Room()
        self.child_memory = child_memory
        self._known = 0
        self._types: list[str] | None = None
        self.pid = os.getpid()
        self.started_at = time.time()

    def __call__(self) -> dict[str, Any]:
        """Give the report as values that JSON can hold; memory is in bytes, CPU in seconds since the start."""
        running = snapshot(active_requests)
        processes = read_processes(self.pid)
        return {
            "name": self.name,
            "pid": self.pid,
            "started_at": self.started_at,
            "running": [_running(request) for request in running[:_NAMED]],
            "active": len(running),
            "waiting": max(0, len(reserved_requests) - len(running)),
            "processes": processes,
            "child_memory": self.child_memory,
            "deeds": DEEDS.told(),
            **self.room(sum(each["rss"] for each in processes)),
            "types": self._job_types(),
            "slots": self.slots,
            "queues": sorted(self.app.amqp.queues.consume_from),
        }

    def _job_types(self) -> list[str] | None:
        """Name the job types that are known here, None when they are too many to say with every beat."""
        tasks = self.app.tasks
        if len(tasks) != self._known:
            self._known = len(tasks)
            names = sorted(name for name in list(tasks) if not name.startswith("celery."))
            self._types = names if len(names) <= _NAMED else None
        return self._types


def snapshot(requests: Any) -> list[JobRequest]:
    """List the requests of one of Celery's weak sets, to which another thread may add meanwhile.

    Iterating over the set itself would fail then; its references are copied in one step of the interpreter.
    """
    found = (reference() for reference in list(requests.data))
    return [request for request in found if isinstance(request, JobRequest)]


def _running(request: JobRequest) -> dict[str, Any]:
    return {
        "job_id": request.job_id,
        "attempt": request.attempt,
        "type": request.name,
        "queue": request.queue,
        "pid": request.worker_pid,
        "since": request.started_at,
    }
