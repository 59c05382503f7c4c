"""How workers and queues are, written down every half minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobplatform.store import samples
from jobplatform.store.database import Database
from jobplatform.transport import census
from jobplatform.transport.census import Backlog
from jobplatform.workers.sample import Sample
from jobplatform.workers.symptom import since
from jobplatform.workers.trend import trend
from jobplatform.workers.watch import Watch, Watched

#: The slope of a worker's memory is that of so many seconds.
_SLOPE_SECONDS = 600.0
_COPIED = (
    *("open_files", "disk_free", "slots", "active", "waiting", "started", "finished", "failed", "loop_wait"),
    *("jitter", "memory_left", "memory_limit"),
)


class Sampler:
    """Write a row for each worker that lives and each queue that is known, all in two statements.

    :param watch: hears the heartbeats.
    :param seconds: between two samples.
    :param queues: those that are known although no worker takes of them.
    """

    name = "sampler"

    def __init__(self, database: Database, watch: Watch, seconds: float, queues: Sequence[str] = ()) -> None:
        self.database = database
        self.watch = watch
        self.interval = seconds
        self._queues = set(queues)
        self._sampled: dict[str, Sample] = {}
        self._backlog: dict[str, Backlog] = {}
        self._sampled_at: float | None = None

    def run_once(self, now: datetime) -> Counter[str]:
        """Take a sample of all; the loop's pause follows, as nothing is counted."""
        clock = self.watch.look()
        watched = self.watch.workers()
        self._queues |= {queue for each in watched.values() for queue in each.worker.queues}
        backlog = census.backlog(self.watch.client, sorted(self._queues))
        seconds = self.interval if self._sampled_at is None else clock - self._sampled_at
        workers = [_worker_row(node, each, self._sampled.get(node)) for node, each in watched.items() if not each.gone]
        with self.database.transaction() as transaction:
            samples.add_workers(transaction, [row for row in workers if row])
            work = samples.foretold_work(transaction, [name for name, each in backlog.items() if each.depth])
            rows = self._queue_rows(watched, backlog, work, seconds)
            # Of the first look it is not known over what time it counts.
            if self._sampled_at is not None:
                samples.add_queues(transaction, rows, now)
        self._sampled = {node: each.samples[-1] for node, each in watched.items()}
        self._backlog, self._sampled_at = backlog, clock
        return Counter()

    def _queue_rows(
        self,
        watched: Mapping[str, Watched],
        backlog: Mapping[str, Backlog],
        work: Mapping[str, float],
        seconds: float,
    ) -> list[dict[str, Any]]:
        started, finished, running = Counter[str](), Counter[str](), Counter[str]()
        for node, each in watched.items():
            before = self._sampled.get(node)
            known = (before.deeds if before is not None else None) or {}
            for pair, (began, ended, _) in (each.samples[-1].deeds or {}).items():
                began_before, ended_before, _ = known.get(pair, (0, 0, 0))
                started[pair[0]] += began - began_before
                finished[pair[0]] += ended - ended_before
            running.update({} if each.gone else each.samples[-1].running or {})
        return [
            {
                "queue": queue,
                "seconds": seconds,
                "depth": found.depth,
                "oldest_seconds": found.oldest if found.depth else None,
                "arrived": arrived(self._backlog.get(queue), found),
                "started": started[queue],
                "finished": finished[queue],
                "running": running[queue],
                "work_seconds": found.depth * work[queue] if queue in work else None if found.depth else 0.0,
            }
            for queue, found in backlog.items()
        ]


def arrived(before: Backlog | None, now: Backlog) -> int:
    """Count the messages that came into a queue between two looks: what is there more, and what was taken."""
    if before is None or now.taken < before.taken or now.put_back < before.put_back:
        # It was not known before, or Redis was emptied.
        return now.depth if before is None else max(0, now.depth - before.depth)
    taken = now.taken - before.taken - (now.put_back - before.put_back)
    return max(0, now.depth - before.depth + taken)


def _worker_row(node: str, each: Watched, before: Sample | None) -> dict[str, Any] | None:
    """Write a worker's row, None when it has said nothing since the last one."""
    last = each.samples[-1]
    first = before or each.samples[0]
    if before is not None and last.at <= before.at:
        return None
    recent = since(each.samples, last.at - _SLOPE_SECONDS)
    grows = trend([sample.at for sample in recent], [sample.tree_rss for sample in recent])
    waits = [sample.loop_wait for sample in recent if sample.at > first.at and sample.loop_wait is not None]
    return {
        **{name: getattr(last, name) for name in _COPIED},
        "worker_id": node,
        "sampled_at": last.at,
        "seconds": last.at - first.at,
        "cpu": last.busy(first) if last.at > first.at else 0.0,
        "rss": last.main_rss,
        "tree_rss": last.tree_rss,
        "rss_slope": None if grows is None else grows.slope,
        "loop_wait": max(waits, default=last.loop_wait),
        "processes": [process._asdict() for process in last.processes],
    }
