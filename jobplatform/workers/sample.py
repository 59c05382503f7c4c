"""What a worker said of itself at one time, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

#: What a worker did of one queue and job type: attempts that began, that ended, and that failed among these.
Counts = tuple[int, int, int]

#: What a worker does not always say.
_OPTIONAL = (
    *("loop_wait", "jitter", "open_files", "files_limit", "disk_free", "disk_share", "memory_left", "memory_limit"),
)
_IN_ROWS = (
    *("slots", "active", "waiting", "started", "finished", "failed"),
    *("loop_wait", "jitter", "open_files", "disk_free", "memory_left", "memory_limit"),
)


class Process(NamedTuple):
    """A process of a worker: its resident memory in bytes, and the processor seconds that it took."""

    pid: int
    rss: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Worker:
    """Who is judged.

    :param duty: what it does or is asked to do.
    """

    worker_id: str
    name: str
    duty: str = "work"
    queues: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The machine, as the node name has it."""
        return self.name.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Sample:
    """How a worker was; sizes in bytes, times in seconds, counts since its start.

    :param at: seconds since the epoch.
    :param processes: the main process first.
    :param finished: attempts that ended, those that failed among them.
    :param deeds: the counts by queue and job type; empty in samples that come out of rows.
    :param loop_wait: the worst that the event loop was late since the sample before; None where jobs run in it.
    :param jitter: how late its last heartbeat was.
    :param memory_left: below the nearest limit; None where there is none.
    :param child_memory: above it Celery ends a pool process after its job; 0 where it does not.
    """

    at: float
    processes: tuple[Process, ...] = ()
    slots: int = 1
    active: int = 0
    waiting: int = 0
    started: int = 0
    finished: int = 0
    failed: int = 0
    deeds: Mapping[tuple[str, str], Counts] | None = None
    loop_wait: float | None = None
    jitter: float | None = None
    open_files: int | None = None
    files_limit: int | None = None
    disk_free: int | None = None
    disk_share: float | None = None
    memory_left: int | None = None
    memory_limit: int | None = None
    child_memory: int = 0
    running: Mapping[str, int] | None = None

    @property
    def tree_rss(self) -> int:
        """The memory of all processes."""
        return sum(process.rss for process in self.processes)

    @property
    def main_rss(self) -> int:
        """The memory of the main process."""
        return self.processes[0].rss if self.processes else 0

    def busy(self, before: Sample) -> float:
        """Give how many processors were busy since an earlier sample."""
        known = {process.pid: process.cpu for process in before.processes}
        spent = sum(max(0.0, process.cpu - known.get(process.pid, 0.0)) for process in self.processes)
        return spent / max(1e-3, self.at - before.at)


def worker_of(node: str, report: Mapping[str, Any]) -> Worker:
    """Read who said something."""
    queues = tuple(report.get("queues") or ())
    return Worker(node, str(report.get("name", node)), str(report.get("duty", "work")), queues)


def sample_of(at: float, report: Mapping[str, Any]) -> Sample:
    """Read what a worker said with a heartbeat; one of an older version says less."""
    processes = tuple(Process(each["pid"], each["rss"], each["cpu"]) for each in report.get("processes", ()))
    deeds = {(queue, kind): (began, ended, failed) for queue, kind, began, ended, failed in report.get("deeds", ())}
    running: dict[str, int] = {}
    for job in report.get("running", ()):
        queue = str(job.get("queue", ""))
        running[queue] = running.get(queue, 0) + 1
    return Sample(
        at=at,
        processes=processes,
        slots=int(report.get("slots") or 1),
        active=int(report.get("active") or 0),
        waiting=int(report.get("waiting") or 0),
        started=sum(counts[0] for counts in deeds.values()),
        finished=sum(counts[1] for counts in deeds.values()),
        failed=sum(counts[2] for counts in deeds.values()),
        deeds=deeds,
        child_memory=int(report.get("child_memory") or 0),
        running=running,
        **{name: report.get(name) for name in _OPTIONAL},
    )


def sample_of_row(row: Mapping[str, Any]) -> Sample:
    """Read a row of ``worker_samples``, as ``store.samples.last_of_workers`` gives it."""
    processes = tuple(Process(each["pid"], each["rss"], each["cpu"]) for each in row["processes"])
    return Sample(at=row["at"], processes=processes, **{name: row[name] for name in _IN_ROWS})
