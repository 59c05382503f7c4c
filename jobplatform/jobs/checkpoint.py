"""The state that a running job saves, so that its next attempt goes on from there."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from jobplatform.errors import StoreUnavailable
from jobplatform.jobs.payload import encode_state
from jobplatform.jobs.platform import Platform

logger = logging.getLogger(__name__)

#: So long an attempt waits, once, for a row that is on its way through the journal, in seconds.
ROW_SECONDS = 2.0
#: Between two looks for the row, in seconds.
_LOOK_SECONDS = 0.05


class Checkpoint:
    """A job's saved state, as one attempt sees it.

    :param clock: seconds from any beginning.
    :param sleep: waits for some seconds.
    """

    def __init__(
        self,
        platform: Platform,
        job_id: str,
        attempt: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._platform = platform
        self._job_id = job_id
        self._attempt = attempt
        self._clock = clock
        self._sleep = sleep
        self._row_by: float | None = None
        self._state: Any = None
        # A first attempt has none before it, so it needs no connection to know that.
        self._is_known = attempt <= 1

    def read(self) -> Any:
        """Give the state that was saved last, by this attempt or one before it.

        :raises StoreUnavailable: when PostgreSQL is away.
        """
        if not self._is_known:
            from jobplatform.store import checkpoints
            from jobplatform.store.database import UNREACHABLE

            try:
                self._state = self._platform.database.once(lambda session: checkpoints.read(session, self._job_id))
            except UNREACHABLE as error:
                raise StoreUnavailable(
                    f"state of job {self._job_id}: PostgreSQL did not answer, so nobody knows where the job stopped; "
                    f"let this attempt fail: {error}"
                ) from error
            self._is_known = True
        return self._state

    def save(self, state: Any) -> bool:
        """Save a state and tell whether it is durable; that it is not is logged, and is no failure of the job.

        :raises InvalidPayload: when the state is no JSON value, or larger than a payload may be.
        :raises Superseded: when the job has a newer attempt.
        """
        from jobplatform.store.database import UNREACHABLE

        text = encode_state(state, self._platform.settings.payload_limit)
        try:
            saved = self._write(text)
        except UNREACHABLE as error:
            logger.warning("the checkpoint of job %s was not saved: %s", self._job_id, error)
            return False
        if saved:
            self._state, self._is_known = json.loads(text), True
        else:
            logger.warning("the checkpoint of job %s was not saved: its row is not there yet", self._job_id)
        return saved

    def _write(self, text: str) -> bool:
        from jobplatform.store import checkpoints

        while not self._platform.database.once(
            lambda session: checkpoints.save(session, self._job_id, self._attempt, text)
        ):
            now = self._clock()
            if self._row_by is None:
                self._row_by = now + ROW_SECONDS
            if now >= self._row_by:
                return False
            self._sleep(_LOOK_SECONDS)
        return True
