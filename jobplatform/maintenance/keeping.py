"""For how long rows are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from jobplatform.store.retention import Ended

#: Longer than any job has been there: for ever.
_EVER = timedelta(days=365_000)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long jobs are kept after they ended.

    :param days: of all types that no pattern names; infinity for ever.
    :param types: days by the name of a job type, or a pattern of names; the first that fits counts.
    """

    days: float = float("inf")
    types: tuple[tuple[str, float], ...] = ()

    def of(self, job_type: str) -> timedelta:
        """Say for how long jobs of a type are kept."""
        found = (days for pattern, days in self.types if fnmatchcase(job_type, pattern))
        return _age(next(found, self.days))

    @property
    def least(self) -> timedelta:
        """The shortest time for which anything is kept."""
        return _age(min([self.days, *(days for _, days in self.types)]))

    @property
    def deletes(self) -> bool:
        """Whether anything leaves at all."""
        return self.least < _EVER

    def over(self, jobs: Iterable[Ended], now: datetime) -> list[Ended]:
        """Choose the jobs whose time is over."""
        return [job for job in jobs if job.free and job.completed_at and job.completed_at < now - self.of(job.job_type)]


def _age(days: float) -> timedelta:
    return timedelta(days=days) if days < _EVER.days else _EVER
