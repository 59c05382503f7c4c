"""A worker that leaves: what runs has a time to end, and what does not is interrupted and begins again elsewhere."""

from __future__ import annotations

import time
from mmap import mmap

from celery.platforms import EX_OK
from celery.worker import state


class Leaving:
    """How this worker leaves: the grace is set once when the application is attached.

    :cvar grace: seconds that running jobs have to end.
    :cvar deadline: monotonic seconds by which they must have, None for a worker that stays.
    :cvar shared: a byte that the processes of the pool share with the one that forked them: whether it leaves.
    """

    grace: float = 25.0
    deadline: float | None = None
    shared: mmap | bytearray = bytearray(1)


def begin_to_stay() -> None:
    """Begin as a worker that does not leave, before the processes of the pool are forked."""
    Leaving.shared = mmap(-1, 1)
    Leaving.deadline = None


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


def is_asked_to_leave() -> bool:
    """Tell, in a worker's main process, whether it was asked to shut down."""
    # Celery's flag is an exit code when it is set, and that of a worker that ends well equals False.
    return state.should_stop is not None and state.should_stop is not False


def is_leaving() -> bool:
    """Tell, in any process of a worker, whether it leaves."""
    return bool(Leaving.shared[0]) or is_asked_to_leave()


def is_grace_over(now: float) -> bool:
    """Tell whether the jobs of a worker that leaves have had their time to end.

    :param now: monotonic seconds.
    """
    return Leaving.deadline is not None and now >= Leaving.deadline
