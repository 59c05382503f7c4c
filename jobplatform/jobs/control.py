"""Celery's remote control, whose revocations are kept where no worker can forget them."""

from __future__ import annotations

import logging
from typing import Any

from celery.app.control import Control

from jobplatform.jobs.platform import platform_of
from jobplatform.records import job_id_of

logger = logging.getLogger(__name__)


class JobControl(Control):  # type: ignore[misc]
    """Control that also cancels rows.

    Celery tells the workers of now, which keep it in memory: a worker that starts later, or again, would run the job.
    """

    def revoke(self, task_id: Any, destination: Any = None, terminate: bool = False, *args: Any, **options: Any) -> Any:
        """Revoke jobs: what waits never starts, and what runs is ended if ``terminate`` says so.

        :param task_id: an id, or a list of them.
        :param destination: only these workers are told; then the rows are left alone.
        """
        if not destination:
            self._cancel_rows([task_id] if isinstance(task_id, str) else list(task_id), bool(terminate))
        return super().revoke(task_id, destination, terminate, *args, **options)

    def _cancel_rows(self, task_ids: list[str], running: bool) -> None:
        platform = platform_of(self.app)
        if platform.in_worker or not platform.settings.database_url:
            return
        from jobplatform.store import revoked
        from jobplatform.store.database import UNREACHABLE

        try:
            with platform.database.transaction() as transaction:
                revoked.revoke(transaction, list(map(job_id_of, task_ids)), running)
        except UNREACHABLE as error:
            cause = str(error).partition("\n")[0]
            logger.warning("PostgreSQL is away, %d jobs are revoked in workers alone: %s", len(task_ids), cause)
