"""The jobs of the load; each notes its runs in the ledger."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos.crowd import LIMIT
from chaos.evidence import PART
from chaos.ledger import DIRECTORY, Pen
from jobplatform import current_job, job

#: Backoff that a run can wait for.
SOON = {"base": 0.2, "cap": 2.0}

_pens: dict[int, Pen] = {}
#: Threads begin their first jobs at the same time.
_lock = threading.Lock()


class Luckless(Exception):
    """What jobs raise that are meant to fail."""


def _pen() -> Pen:
    """Give the pen of this process, which is not that of the process it was forked from."""
    pid = os.getpid()
    if pid not in _pens:
        with _lock:
            if pid not in _pens:
                _pens[pid] = Pen(Path(os.environ[DIRECTORY]), "runs")
    return _pens[pid]


@contextmanager
def noted() -> Iterator[str]:
    """Note this run."""
    this = current_job()
    with _pen().running(this.id, this.attempt) as run:
        yield run


@job(retry=SOON)
def work(token: str, seconds: float = 0.0) -> dict[str, str]:
    """Take some time."""
    with noted() as run:
        time.sleep(seconds)
        return {"token": token, "run": run}


@job(retry=SOON, slots=LIMIT, limit_key="tenant:{tenant}")
def limited(token: str, seconds: float) -> dict[str, str]:
    """Take some time, beside few others."""
    with noted() as run:
        time.sleep(seconds)
        return {"token": token, "run": run}


@job(retry=SOON)
def follow(before: dict[str, str], token: str) -> dict[str, str]:
    """Continue a chain."""
    with noted() as run:
        return {"token": token, "run": run, "before": before["run"]}


@job(max_retries=10, retry=SOON)
def flaky(token: str, fails: int) -> dict[str, str]:
    """Fail in the first attempts."""
    with noted() as run:
        if current_job().attempt <= fails:
            raise Luckless(f"attempt {current_job().attempt} of {fails} that fail")
        return {"token": token, "run": run}


@job(max_retries=1, retry=SOON)
def doomed(token: str) -> None:
    """Fail in every attempt."""
    with noted():
        raise Luckless("this never works")


@job(max_retries=50, retry=SOON)
def parent(token: str, children: int) -> dict[str, Any]:
    """Submit jobs from inside a job; one that fails half-way does it all again."""
    with noted() as run:
        for _ in range(children):
            child = _pen().intend("child")
            _pen().promise(child, [work.submit(token=f"{child}{PART}0").id])
        return {"token": token, "run": run}
