"""The job that does bulk actions; workers import this module, and what it needs only when it runs."""

from __future__ import annotations

from typing import Any

from jobplatform.jobs.context import current_job
from jobplatform.jobs.decorator import job
from jobplatform.jobs.platform import platform_of


@job(name="jobplatform.bulk", max_retries=10, bind=True)
def do_bulk(task: Any, bulk_id: int) -> dict[str, int]:
    """Do a verb to all jobs of a filter, as one row of ``bulk_actions`` says."""
    # A worker has no connection to PostgreSQL until it does this, and what opens one takes 30 MB.
    from jobplatform.actions import bulk
    from jobplatform.actions.desk import Desk
    from jobplatform.journal.writer import connect

    platform, running = platform_of(task.app), current_job()
    settings = platform.settings
    desk = Desk(settings, platform.database, lambda: connect(settings.journal_url), lambda: task.app)
    return bulk.run(desk, bulk_id, running.progress, lambda: running.cancelled)
