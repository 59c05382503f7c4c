"""What a replay of dead letters does next, decided from values alone.

A few jobs go first. Only when all of them have ended well the others follow, in steps that double; a replay stops when
what it set out to mend comes back, or when most of a step fails of something else.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The first step is a hundredth of the jobs, and at least so many.
FEWEST = 5
#: No step has more jobs, however many there are.
MOST = 5_000
#: The next step begins when all but this share of a step have ended: a straggler holds nobody up.
_STRAGGLERS = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is.

    :param waiting: jobs that are not sent yet, counted up to ``MOST``.
    :param open: jobs of any step that were sent and have not ended.
    :param canaries: how many go first; none for the steps at once.
    :param step: the number of the present step, 0 before the first; the first is that of the canaries if there are any.
    :param size: how many jobs the step is to send; ``sent``, ``succeeded`` and ``failed`` count its own.
    :param worst: the error that most jobs of the step failed of.
    :param returned: says in words which error came back, if one did.
    :param rate: jobs that may be sent in a second; None for any.
    :param next_at: when the next may be sent, in seconds since the epoch.
    """

    waiting: int
    open: int
    canaries: int
    step: int = 0
    size: int = 0
    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    worst: str | None = None
    returned: str | None = None
    rate: float | None = None
    next_at: float | None = None

    @property
    def is_trial(self) -> bool:
        """Whether the present step is that of the canaries."""
        return self.step == 1 and self.canaries > 0


@dataclass(frozen=True, slots=True)
class Send:
    """Send so many jobs as part of a step of this number and size; no more before ``next_at``, in epoch seconds."""

    count: int
    step: int
    size: int
    next_at: float | None = None


@dataclass(frozen=True, slots=True)
class End:
    """End the replay: it is ``done`` or ``stopped``."""

    state: str
    reason: str


def canaries_of(jobs: int) -> int:
    """Tell how many jobs go first: a hundredth, at least five, and never more than there are."""
    return min(jobs, max(FEWEST, jobs // 100))


def decide(progress: Progress, now: float) -> Send | End | None:
    """Decide what a replay does next; None is to wait.

    :param now: seconds since the epoch.
    """
    trouble = progress.returned or _failure(progress)
    if trouble is not None:
        return End("stopped", trouble)
    if progress.sent < progress.size and progress.waiting:
        return _send(progress, progress.step, progress.size, now)
    if not progress.waiting:
        return None if progress.open else End("done", "all jobs were sent and have ended")
    unfinished = progress.sent - progress.succeeded - progress.failed
    if unfinished > (0 if progress.is_trial else _STRAGGLERS * progress.size):
        return None
    return _send(progress, progress.step + 1, _next_size(progress), now)


def _failure(progress: Progress) -> str | None:
    failed, worst = progress.failed, progress.worst or "an error"
    if progress.is_trial and failed:
        return f"{failed} of {progress.size} canaries failed, most of {worst}"
    if failed * 2 > progress.size > 0:
        return f"{failed} of the {progress.size} jobs of step {progress.step} failed, most of {worst}"
    return None


def _next_size(progress: Progress) -> int:
    if progress.step == 0:
        return min(progress.canaries or MOST, progress.waiting, MOST)
    return min(2 * progress.size, progress.waiting, MOST)


def _send(progress: Progress, step: int, size: int, now: float) -> Send | None:
    count = min(size - (progress.sent if step == progress.step else 0), progress.waiting)
    if progress.rate is None:
        return Send(count, step, size)
    if progress.next_at is not None and now < progress.next_at:
        return None
    count = min(count, max(1, int(progress.rate)))
    return Send(count, step, size, now + count / progress.rate)
