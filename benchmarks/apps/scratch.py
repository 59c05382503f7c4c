"""The Redis database that a benchmark has for itself."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import redis

#: Names it in the environment of all processes.
SCRATCH_ENV = "BENCHMARK_REDIS_URL"
#: Jobs that wait to be let go end when this key is there.
RELEASE = "release"
#: A list of when such jobs began, by the monotonic clock, which all processes of a machine share.
BEGUN = "begun"


@cache
def scratch() -> Any:
    """Open it."""
    return redis.Redis.from_url(os.environ[SCRATCH_ENV])
