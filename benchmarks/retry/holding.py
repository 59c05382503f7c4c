"""Jobs that are held until the cause is over of which they fail, as the product's gatekeeper holds them."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobplatform.jobs.breaker import Release


class Waiting(NamedTuple):
    """A job that is held.

    :param due: until when, at most.
    """

    due: float
    attempts: int
    number: int


class Holding:
    """Who is held: jobs that failed of a cause, and jobs of types that do nothing but fail of it and do not begin."""

    def __init__(self) -> None:
        self._failed: defaultdict[str, dict[int, Waiting]] = defaultdict(dict)
        self._parked: defaultdict[str, dict[int, None]] = defaultdict(dict)

    def hold(self, cause: str, number: int, attempts: int, due: float) -> None:
        """Hold a job that failed of a cause."""
        self._failed[cause][number] = Waiting(due, attempts, number)

    def park(self, job_type: str, number: int) -> None:
        """Hold a job that did not begin."""
        self._parked[job_type][number] = None

    def counts(self, types: Mapping[str, str]) -> Counter[str]:
        """Count who is held, by cause.

        :param types: those that do not begin, each with its cause.
        """
        counts = Counter({cause: len(jobs) for cause, jobs in self._failed.items() if jobs})
        for job_type, cause in types.items():
            if self._parked[job_type]:
                counts[cause] += len(self._parked[job_type])
        return counts

    def take(self, release: Release, types: Mapping[str, str]) -> list[int]:
        """Let jobs go, those first that failed or those that never began; a canary that failed was tried least."""
        cause, limit = release.cause, release.jobs
        taken = [] if release.begun else self._parked_of(cause, types, limit)
        taken += self._failed_of(cause, limit - len(taken), lambda each: each[1:] if release.canary else each)
        return taken + self._parked_of(cause, types, limit - len(taken))

    def _failed_of(self, cause: str, limit: int, order: Callable[[Waiting], tuple[float, ...]]) -> list[int]:
        failed = self._failed[cause]
        taken = [each.number for each in heapq.nsmallest(limit, failed.values(), key=order)]
        for number in taken:
            del failed[number]
        return taken

    def _parked_of(self, cause: str, types: Mapping[str, str], limit: int) -> list[int]:
        own = [self._parked[job_type] for job_type, of in types.items() if of == cause]
        parked = heapq.nsmallest(limit, (number for jobs in own for number in jobs))
        for jobs in own:
            for number in parked:
                jobs.pop(number, None)
        return parked

    def take_all(self, cause: str) -> list[int]:
        """Let all go that failed of a cause."""
        return list(self._failed.pop(cause, ()))

    def take_types(self, types: Mapping[str, str]) -> list[int]:
        """Let all jobs go that did not begin, but for those of some types."""
        free = [job_type for job_type in self._parked if job_type not in types]
        return [number for job_type in free for number in self._parked.pop(job_type)]

    def leave(self, cause: str | None, job_type: str, number: int) -> bool:
        """Take one job out; tells whether it was held."""
        jobs: dict[int, Waiting] | dict[int, None] = self._parked[job_type] if cause is None else self._failed[cause]
        held = number in jobs
        if held:
            del jobs[number]
        return held
