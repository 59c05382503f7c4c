"""Jobs that wait for each other."""

from __future__ import annotations

import os
from pathlib import Path

from jobplatform import Workflow, current_job, job


@job
def step(book: str, name: str) -> str:
    """Write when it begins and ends into a book that all share."""
    _write(book, f"begin {name}")
    _write(book, f"end {name}")
    return name


@job(max_retries=0)
def fail(book: str, name: str) -> None:
    """Fail at once."""
    _write(book, f"begin {name}")
    raise ValueError(name)


@job
def add(x: int, y: int = 0) -> int:
    """Add two numbers."""
    return x + y


@job
def total(values: list[int]) -> int:
    """Add many numbers."""
    return sum(values)


@job
def gather(book: str) -> list[object]:
    """Return what the jobs before have returned."""
    return [upstream.result for upstream in current_job().upstream]


@job
def fan_out(book: str, count: int) -> None:
    """Add jobs for which whatever waits for this one waits as well."""
    flow = Workflow()
    for number in range(count):
        flow.add(step.s(book, f"leaf{number}"), name=f"leaf{number}")
    current_job().graft(flow)
    _write(book, "end fan_out")


def _write(book: str, line: str) -> None:
    descriptor = os.open(Path(book), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
