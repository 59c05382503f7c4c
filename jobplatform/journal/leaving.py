"""A worker that leaves: what runs has a time to end, and what does not is interrupted and begins again elsewhere."""

from __future__ import annotations

import logging
import time
from mmap import mmap

from celery.platforms import EX_OK
from celery.worker import state
from celery.worker.state import active_requests

from jobplatform.journal.report import snapshot

logger = logging.getLogger(__name__)


class Leaving:
    """How this worker leaves: the grace is set once when the application is attached.

    :cvar grace: seconds that running jobs have to end.
    :cvar deadline: monotonic seconds by which they must have, None for a worker that stays.
    """

    grace: float = 25.0
    deadline: float | None = None
    #: A byte that the processes of the pool share with the one that forked them: whether it leaves.
    shared = mmap(-1, 1)


def ask_to_leave(grace: float | None) -> None:
    """Let this worker shut down as it does on SIGTERM.

    :param grace: seconds that running jobs have to end; None for those of the settings.
    """
    if grace is not None:
        Leaving.grace = grace
    state.should_stop = EX_OK


def begin_to_leave() -> None:
    """Let the grace begin, and tell the processes of the pool, whose jobs may stop at a checkpoint."""
    Leaving.shared[0] = 1
    Leaving.deadline = time.monotonic() + Leaving.grace


def is_leaving() -> bool:
    """Tell, in any process of a worker, whether it leaves."""
    # Celery's flag is an exit code when it is set, and that of a worker that ends well equals False.
    return bool(Leaving.shared[0]) or (state.should_stop is not None and state.should_stop is not False)


def interrupt_overdue() -> None:
    """End the processes of jobs that outlast the grace; threads cannot be ended."""
    if Leaving.deadline is None or time.monotonic() < Leaving.deadline:
        return
    for request in snapshot(active_requests):
        if request.interrupt(Leaving.grace):
            logger.warning("job %s did not end within %g s and is interrupted", request.id, Leaving.grace)
