"""Jobs that run by themselves."""

from __future__ import annotations

from pathlib import Path

from jobplatform import job


@job
def tell(marks: str, name: str, fire_at: str) -> None:
    """Note that a fire has become a job that ran."""
    with (Path(marks) / name).open("a") as file:
        file.write(f"{fire_at}\n")


@job(schedule="@every 1s", name="schedule_jobs.declared")
def declared() -> None:
    """Run every second, as the code says."""
