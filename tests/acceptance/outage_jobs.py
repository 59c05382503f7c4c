"""Jobs that note their counter, for tests in which a store goes away under them."""

from __future__ import annotations

import time

from outcome_jobs import SOON, note

from jobplatform import current_job, job

#: Every so many counters, the first attempt fails.
FAILS_EVERY = 7


@job(max_retries=3, retry=SOON)
def count(counter: int) -> int:
    """Note the counter and the attempt, work a little, and fail now and then."""
    attempt = current_job().attempt
    note(f"{counter}:{attempt}")
    time.sleep(0.1)
    if attempt == 1 and counter % FAILS_EVERY == 0:
        raise ConnectionError("the first attempt fails")
    return counter
