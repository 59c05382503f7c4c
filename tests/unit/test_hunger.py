"""Memory-hungry job types, found in the peaks of the processes that ran them."""

from __future__ import annotations

from typing import Any

from jobplatform.workers.hunger import hungry_types
from jobplatform.workers.symptom import MIB


def ran(kind: str, peak: float, pid: int, died: bool = False) -> dict[str, Any]:
    return {"job_type": kind, "queue": "celery", "worker_id": "w", "pid": pid, "peak": peak * MIB, "died": died}


def test_what_runs_after_a_hungry_job_is_not_hungry_itself() -> None:
    rows = []
    for pid in range(5):
        rows += [ran("shop.mail", 60, pid), ran("shop.render", 700 + pid, pid)]
        rows += [ran("shop.mail", 700 + pid, pid) for _ in range(6)]
    (found,) = hungry_types(rows + [ran("shop.mail", 60, 9) for _ in range(40)])
    assert (found.job_type, found.lane, found.raised, found.deaths) == ("shop.render", "celery.large", 5, 0)
    assert 700 * MIB <= found.needs <= 704 * MIB
    assert "shop.render takes 704 MiB where most take 60" in found.words()


def test_a_few_large_jobs_or_none_make_no_hungry_type_and_deaths_do() -> None:
    small = [ran("shop.mail", 60, 1) for _ in range(40)]
    assert hungry_types([]) == []
    assert hungry_types(small) == []
    assert hungry_types([*small, ran("shop.render", 700, 2), ran("shop.render", 700, 3)]) == []
    dying = [ran("shop.render", 700, pid, died=True) for pid in range(3)]
    (found,) = hungry_types([*small, *dying])
    assert found.deaths == 3
    assert "3 processes died under it" in found.words()
