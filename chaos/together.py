"""Submissions of jobs that have to do with others: graphs, batches, and what is bounded by a key or a limit."""

from __future__ import annotations

import random
from typing import Any

from chaos import jobs
from chaos.evidence import PART
from chaos.ledger import Pen
from jobplatform import Unique, Workflow, after, batch

#: So few that submissions meet, so many that a key is mostly free.
_KEYS, _TENANTS = 40, 5
_BURST = (4, 12)


def workflow(pen: Pen, luck: random.Random) -> int:
    """Submit a graph in which each node waits for up to two others, and maybe one that fails; return its size."""
    count = luck.randint(3, 8)
    upstream = {str(number): _some(luck, number) for number in range(1, count)}
    doomed = luck.random() < 0.3
    finals = {}
    if doomed:
        # The last nodes: what always fails, what is only there for that case, and what cannot be without it.
        upstream |= {str(count): [count - 1], str(count + 1): [count], str(count + 2): [count]}
        finals = {str(count): "FAILED", str(count + 2): "CANCELLED"}
    token = pen.intend("workflow", finals=finals)
    flow = Workflow()
    nodes: list[Any] = []
    for number in range(count + 3 if doomed else count):
        waits: list[Any] = [nodes[other] for other in upstream.get(str(number), ())]
        if number == count + 1:
            waits = [after(nodes[count], "failure")]
        nodes.append(flow.add(_node(luck, f"{token}{PART}{number}", doomed and number == count), after=waits or None))
    flow.submit()
    pen.promise(token, [node.id for node in nodes], upstream=upstream, failing=[count] if doomed else [])
    return len(nodes)


def _some(luck: random.Random, number: int) -> list[int]:
    return sorted({luck.randrange(number) for _ in range(luck.randint(1, 2))})


def _node(luck: random.Random, token: str, doomed: bool) -> Any:
    if doomed:
        return jobs.doomed.s(token=token)
    return jobs.flaky.s(token=token, fails=1) if luck.random() < 0.2 else jobs.work.s(token=token)


def in_batch(pen: Pen, luck: random.Random) -> int:
    """Submit a batch of which some jobs fail, and which calls back when it is over; return its size."""
    good, bad = luck.randint(5, 40), luck.randint(0, 2)
    token = pen.intend("batch", finals={str(good + number): "FAILED" for number in range(bad)})
    tokens = [f"{token}{PART}{number}" for number in range(good + bad)]
    with batch(token, on_complete=jobs.work.s(token=f"{token}{PART}over")) as made:
        ids = made.add_many(jobs.work, [{"token": name} for name in tokens[:good]])
        ids += [made.add(jobs.doomed, token=name).id for name in tokens[good:]]
    pen.promise(token, ids)
    pen.write(k="batch", token=token, batch=made.id)
    return len(ids)


def unique(pen: Pen, luck: random.Random) -> int:
    """Submit some jobs under one key, of which one at a time may be there; return how many."""
    key, times = f"unique:{luck.randrange(_KEYS)}", luck.randint(2, 4)
    for _ in range(times):
        token = pen.intend("unique", group=key)
        only = jobs.work.using(unique=Unique(key), priority=4)
        pen.promise(token, [only.submit(token=f"{token}{PART}0", seconds=luck.uniform(0.1, 0.8)).id])
    return times


def keyed(pen: Pen, luck: random.Random) -> int:
    """Submit one job more than once, as a client does that has not heard whether it was; return 1."""
    token = pen.intend("keyed")
    for _ in range(luck.randint(2, 3)):
        pen.promise(token, [jobs.work.using(idempotency_key=token).submit(token=f"{token}{PART}0").id])
    return 1


def limited(pen: Pen, luck: random.Random) -> int:
    """Submit more jobs of a tenant than may run at once; return how many."""
    tenant, count = f"t{luck.randrange(_TENANTS)}", luck.randint(*_BURST)
    token = pen.intend("limited", group=tenant)
    items = [{"token": f"{token}{PART}{number}", "seconds": luck.uniform(0.05, 0.4)} for number in range(count)]
    pen.promise(token, jobs.limited.using(tenant=tenant, priority=2).submit_many(items))
    return count
