"""Short jobs, and one that lasts until it is let go."""

from __future__ import annotations

import time
from pathlib import Path

from jobplatform import job


@job()
def quick(number: int) -> int:
    """Give the number back."""
    return number


@job()
def last(until: str) -> None:
    """Run until a file is there."""
    while not Path(until).exists():
        time.sleep(0.05)
