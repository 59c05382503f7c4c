"""Jobs that are counted together, and jobs that are told of it."""

from __future__ import annotations

import json
import os
from typing import Any

from jobplatform import current_job, job


@job(max_retries=0)
def item(number: int = 0, fails: bool = False) -> int:
    """End as it is told."""
    if fails:
        raise ValueError(f"item {number}")
    return number


@job(retry={"base": 0.1, "cap": 0.1})
def fan_out(levels: int, width: int) -> None:
    """Add jobs to the batch that this one is of, and jobs that do so in turn; some only in their second attempt."""
    batch = current_job().batch
    assert batch is not None
    if levels % 2 and current_job().attempt == 1:
        raise ConnectionError("once more")
    batch.add_many(item, range(width))
    if levels:
        batch.add(fan_out, levels - 1, width)


@job
def tell(book: str, batch: dict[str, Any]) -> None:
    """Write what a batch calls back into a book that all share."""
    descriptor = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{json.dumps(batch)}\n".encode())
    os.close(descriptor)
