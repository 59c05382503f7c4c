"""For how long jobs are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobplatform.maintenance.keeping import Keeping
from jobplatform.settings import load_settings
from jobplatform.store.retention import Ended

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def ended(job_type: str, days: float, free: bool = True) -> Ended:
    at = NOW - timedelta(days=days)
    return Ended(f"{job_type} {days}", job_type, at, at, free)


def test_the_first_pattern_that_fits_counts() -> None:
    settings = load_settings({"JOBPLATFORM_KEEP_DAYS": "90", "JOBPLATFORM_KEEP_TYPES": "a.b=1, a.*=365,*.c=2"})
    keeping = Keeping(settings.keep_days, settings.keep_types)
    assert [keeping.of(name).days for name in ("a.b", "a.c", "b.c", "d")] == [1, 365, 2, 90]
    assert keeping.least == timedelta(days=1)


def test_without_a_word_jobs_are_kept_for_ever() -> None:
    assert not Keeping().deletes and Keeping(types=(("a", 1.0),)).deletes
    assert Keeping().over([ended("a", 10_000)], NOW) == []


def test_what_is_needed_or_young_stays() -> None:
    old, young, needed = ended("a", 31), ended("a", 29), ended("a", 31, free=False)
    assert Keeping(30).over([old, young, needed, old._replace(completed_at=None)], NOW) == [old]
