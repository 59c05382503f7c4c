"""How the platform is, read from the stores: the same for whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobplatform.metrics import names
from jobplatform.metrics.reading import OTHER, Reading, Spread, bounded
from jobplatform.settings import Settings
from jobplatform.store import gauges, orphans
from jobplatform.store.database import Transaction
from jobplatform.transport import census, keys
from jobplatform.transport.census import Backlog

#: So many queues are told apart, those with the most messages.
_MOST = 500
#: What workers that are alive are said to be, by their duty.
_STATES = {"work": "working", "cordon": "cordoned", "drain": "draining"}


def readings(session: Transaction, client: Any, settings: Settings) -> list[Reading | Spread]:
    """Read all that the stores tell.

    :param client: a Redis client.
    """
    found = gauges.read(session)
    told = [*_of_tables(found), *_of_workers(found["workers"])]
    if settings.leases:
        queues = {queue for worker in found["workers"] for queue in worker[4] or ()} | {*settings.queues}
        queues |= {queue for queue, _ in orphans.waiting_queues(session)}
        told += [*_of_queues(census.backlog(client, sorted(queues))), *_of_redis(client)]
    return [*told, *_of_journal(client)]


def _of_tables(found: Mapping[str, Any]) -> Iterator[Reading]:
    yield Reading(names.DEAD_LETTERS, found["dead_letters"])
    yield Reading(names.QUARANTINE, found["quarantine"])
    yield Reading(names.BREAKERS_OPEN, found["breakers_open"])
    yield Reading(names.SCHEDULER_LAG, found["scheduler_lag"])
    yield Reading(names.DUE_LAG, found["due_lag"])
    for pool, wanted in found["wanted"].items():
        yield Reading(names.WORKERS_WANTED, wanted, (pool,))


def _of_workers(workers: Sequence[Sequence[Any]]) -> Iterator[Reading]:
    states = Counter(dict.fromkeys((*_STATES.values(), "stale"), 0))
    slots = running = 0
    for status, duty, has, active, _ in workers:
        states["stale" if status == "stale" else _STATES.get(duty, duty)] += 1
        if status == "alive":
            slots, running = slots + (has or 0), running + (active or 0)
    for state, number in states.items():
        yield Reading(names.WORKERS, number, (state,))
    yield Reading(names.SLOTS, slots)
    yield Reading(names.RUNNING, running)


def _of_queues(looks: Mapping[str, Backlog]) -> Iterator[Reading]:
    told = bounded(((queue, look.depth) for queue, look in looks.items()), _MOST)
    rest = [look for queue, look in looks.items() if queue not in told]
    shown = {queue: looks[queue] for queue in sorted(told)}
    if rest:
        shown[OTHER] = Backlog(
            sum(look.listed for look in rest),
            sum(look.held for look in rest),
            max(look.oldest for look in rest),
            sum(look.taken for look in rest),
            sum(look.put_back for look in rest),
        )
    for queue, look in shown.items():
        yield Reading(names.QUEUE_DEPTH, look.depth, (queue,))
        yield Reading(names.QUEUE_HELD, look.held, (queue,))
        yield Reading(names.QUEUE_AGE, look.oldest, (queue,))
        yield Reading(names.QUEUE_TAKEN, look.taken, (queue,))


def _of_redis(client: Any) -> Iterator[Reading]:
    memory = census.memory(client)
    yield Reading(names.BROKER_BYTES, memory.used)
    if memory.most:
        yield Reading(names.BROKER_RATIO, memory.used / memory.most)
    yield Reading(names.LEASES, client.hlen(keys.LEASES))


def _of_journal(client: Any) -> Iterator[Reading]:
    oldest = census.journal_start(client)
    age = 0.0 if oldest is None else max(0.0, census.clock(client) - oldest[0] / 1_000)
    yield Reading(names.JOURNAL_ENTRIES, client.xlen(keys.JOURNAL))
    yield Reading(names.JOURNAL_AGE, age)
    yield Reading(names.CONTROLLERS, client.exists(keys.CONTROLLER))
