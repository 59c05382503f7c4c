"""Jobs that note their counter, for tests in which a store goes away under them."""

from __future__ import annotations

import time
from typing import Any

from outcome_jobs import SOON, note

from jobplatform import current_job, job

#: Every so many counters, the job fails until it is retried.
FAILS_EVERY = 7


@job(max_retries=3, retry=SOON, bind=True)
def count(self: Any, counter: int) -> int:
    """Note the counter and the attempt, work a little, and fail now and then."""
    note(f"{counter}:{current_job().attempt}")
    time.sleep(0.1)
    if self.request.retries == 0 and counter % FAILS_EVERY == 0:
        raise ConnectionError("the first attempt fails")
    return counter
