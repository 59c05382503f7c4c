"""The part of a worker's start and stop that lets it leave in order, whoever told it to end."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from jobplatform.journal.leaving import begin_to_leave, begin_to_stay
from jobplatform.transport.committers import retire_committers


class LeaveStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Give back what waits, and begin to count the grace, when the event loop has ended and before the pool is joined.

    A signal handler would be too early for both: the main process may be anywhere.
    """

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        begin_to_stay()

    def close(self, worker: Any) -> None:
        """Hear that the worker begins to stop."""
        begin_to_leave()
        retire_committers()
