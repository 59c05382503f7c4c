"""What the jobs of this worker came to, counted since it began."""

from __future__ import annotations

from typing import NamedTuple

#: The most pairs of a queue and a job type that are told apart; what comes later is counted without its type.
_NAMED = 200


class Deed(NamedTuple):
    """What a worker did of one queue and job type: attempts that began, that ended, and that failed among these."""

    queue: str
    job_type: str
    started: int
    ended: int
    failed: int


class Deeds:
    """Count attempts by queue and job type; one thread counts, others read."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[int]] = {}

    def start(self, queue: str, job_type: str) -> None:
        """Count an attempt that began."""
        self._of(queue, job_type)[0] += 1

    def end(self, queue: str, job_type: str, failed: bool) -> None:
        """Count an attempt that ended."""
        counts = self._of(queue, job_type)
        counts[1] += 1
        counts[2] += failed

    def told(self) -> list[Deed]:
        """Give all counts."""
        return [Deed(*pair, *counts) for pair, counts in list(self._counts.items())]

    def _of(self, queue: str, job_type: str) -> list[int]:
        counts = self._counts.get((queue, job_type))
        if counts is None:
            pair = (queue, job_type) if len(self._counts) < _NAMED else (queue, "")
            counts = self._counts.setdefault(pair, [0, 0, 0])
        return counts


#: Those of this process.
DEEDS = Deeds()
