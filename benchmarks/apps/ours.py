"""The platform, as ``celery -A jobplatform`` runs it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from benchmarks.apps import work
from jobplatform import Workflow, job
from jobplatform.celery import app as app

noop = job(work.noop)
stamp = job(work.stamp)
last = job(work.last)
submit_stamp = stamp.submit
crowded = job(work.crowded)
slow = job(work.slow)


def submit_noops(payloads: Iterable[dict[str, Any]]) -> None:
    """Submit a no-op job for each payload: all rows in one transaction, then all messages."""
    noop.submit_many(payloads)


def submit_join(leaves: int) -> None:
    """Submit no-op jobs, and one that waits for them all."""
    flow = Workflow(app)
    before = [flow.add(noop.si(**work.payload(number))) for number in range(leaves)]
    flow.add(stamp.si(leaves), after=before)
    flow.submit()


def submit_chain(length: int) -> None:
    """Submit jobs each of which waits for the one before."""
    flow = Workflow(app)
    before = None
    for number in range(length):
        before = flow.add(stamp.si(number), after=before)
    flow.submit()


def submit_graph(nodes: int) -> None:
    """Submit jobs each of which waits for up to four before it, always the same ones."""
    flow, chance = Workflow(app), random.Random(11)
    made: list[Any] = []
    for number in range(nodes):
        before = chance.sample(made, min(number, chance.randint(0, 4)))
        made.append(flow.add(stamp.si(number), after=before or None))
    flow.submit()
