"""What would have been with other workers."""

from __future__ import annotations

from typing import TypedDict


class Simulated(TypedDict):
    """What recorded jobs would have waited under a policy, in seconds, and what that would have cost."""

    policy: str
    jobs: int
    late: int
    late_share: float
    wait_p50: float
    wait_p95: float
    wait_max: float
    worker_hours: float
    most_workers: int
