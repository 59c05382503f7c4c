"""All metrics, with what each means: the one list that pages, rules and code agree on."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

#: Before every name.
PREFIX = "jobplatform_"


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Teller(StrEnum):
    """Which process tells a metric; ``STORES`` is what the leading controller and every web process read alike."""

    LEADER = "leading controller"
    CONTROLLER = "controller"
    WORKER = "worker"
    STORES = "leading controller, web"
    ALL = "all"


class Metric(NamedTuple):
    """A metric; its name has the prefix, and of a counter the ending ``_total``."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    teller: Teller
    meaning: str


#: By name.
METRICS: dict[str, Metric] = {}


def _metric(name: str, kind: Kind, teller: Teller, labels: str, meaning: str) -> Metric:
    made = Metric(PREFIX + name, kind, tuple(labels.split()), teller, meaning)
    if made.name in METRICS:
        raise ValueError(f"metric {made.name}: there are two of this name; choose another")
    return METRICS.setdefault(made.name, made)


def _counter(name: str, teller: Teller, labels: str, meaning: str) -> Metric:
    return _metric(name, Kind.COUNTER, teller, labels, meaning)


def _gauge(name: str, teller: Teller, labels: str, meaning: str) -> Metric:
    return _metric(name, Kind.GAUGE, teller, labels, meaning)


def _histogram(name: str, teller: Teller, labels: str, meaning: str) -> Metric:
    return _metric(name, Kind.HISTOGRAM, teller, labels, meaning)


BUILD_INFO = _gauge("build_info", Teller.ALL, "version python process", "1; what runs here.")

JOBS = _counter("jobs_total", Teller.LEADER, "type queue outcome", "Jobs that completed, failed or were cancelled.")
RETRIES = _counter("retries_total", Teller.LEADER, "type queue", "Attempts that failed and are followed by another.")
RUN_SECONDS = _histogram("job_run_seconds", Teller.LEADER, "type queue", "Seconds that attempts ran, told as they end.")
WAIT_SECONDS = _histogram(
    "job_wait_seconds", Teller.LEADER, "type queue", "Seconds from queue to start of an attempt, told as it ends."
)
DEAD_LETTERS_MADE = _counter("dead_letters_made_total", Teller.LEADER, "", "Jobs that were given up.")
REDISPATCHED = _counter(
    "redispatched_total",
    Teller.LEADER,
    "cause",
    "Jobs that were queued or begun again: their message was missing, their worker died before they began or while "
    "they ran, or no worker holds them.",
)
DUPLICATES = _counter(
    "duplicate_executions_total", Teller.LEADER, "", "Outcomes that were refused, as the job had a newer attempt."
)
QUARANTINED = _counter("quarantined_total", Teller.LEADER, "", "Messages and entries that could not be read.")
SERVICE_COUNTS = _counter("service_counts_total", Teller.LEADER, "service what", "What each service did, by its words.")
SERVICE_ROUNDS = _counter("service_rounds_total", Teller.CONTROLLER, "service", "Rounds of each service.")
SERVICE_FAILURES = _counter("service_failed_rounds_total", Teller.CONTROLLER, "service", "Rounds that went wrong.")
SERVICE_SECONDS = _counter("service_seconds_total", Teller.CONTROLLER, "service", "Seconds spent in rounds.")
LEADS = _gauge("controller_leads", Teller.CONTROLLER, "", "1 where the controller leads, 0 where it stands by.")

QUEUE_DEPTH = _gauge("queue_depth", Teller.STORES, "queue", "Messages that wait, with those that limits hold back.")
QUEUE_HELD = _gauge("queue_held", Teller.STORES, "queue", "Messages that limits hold back.")
QUEUE_AGE = _gauge(
    "queue_oldest_age_seconds", Teller.STORES, "queue", "Seconds for which the oldest message has waited, 0 if none."
)
QUEUE_TAKEN = _counter("queue_taken_total", Teller.STORES, "queue", "Messages that were handed to workers.")
WORKERS = _gauge("workers", Teller.STORES, "state", "Workers that work, are cordoned, drain, or are stale.")
WORKERS_WANTED = _gauge("workers_wanted", Teller.STORES, "pool", "Workers that there are to be.")
SLOTS = _gauge("slots", Teller.STORES, "", "Jobs that all workers can run at once.")
RUNNING = _gauge("running", Teller.STORES, "", "Jobs that workers run.")
DEAD_LETTERS = _gauge("dead_letters", Teller.STORES, "", "Dead letters that nobody has resolved, 100000 at most.")
QUARANTINE = _gauge("quarantine", Teller.STORES, "", "Unreadable messages that nobody has resolved, 100000 at most.")
BREAKERS_OPEN = _gauge("breakers_open", Teller.STORES, "", "Causes for which jobs are held.")
SCHEDULER_LAG = _gauge(
    "scheduler_lag_seconds", Teller.STORES, "", "Seconds for which the most overdue schedule has not fired."
)
DUE_LAG = _gauge("due_lag_seconds", Teller.STORES, "", "Seconds for which the most overdue job was not published.")
JOURNAL_ENTRIES = _gauge("journal_entries", Teller.STORES, "", "Commits that are not mirrored.")
JOURNAL_AGE = _gauge("journal_oldest_age_seconds", Teller.STORES, "", "Seconds that the oldest of these has waited.")
LEASES = _gauge("leases", Teller.STORES, "", "Messages that workers hold.")
BROKER_BYTES = _gauge("broker_memory_bytes", Teller.STORES, "", "Memory that Redis uses.")
BROKER_RATIO = _gauge(
    "broker_memory_ratio", Teller.STORES, "", "Share of its memory that Redis uses, if it is bounded."
)
CONTROLLERS = _gauge("controllers_alive", Teller.STORES, "", "1 while some controller says that it is alive.")

WORKER_STARTED = _counter("worker_attempts_started_total", Teller.WORKER, "type queue", "Attempts that began here.")
WORKER_ENDED = _counter("worker_attempts_ended_total", Teller.WORKER, "type queue", "Attempts that ended here.")
WORKER_FAILED = _counter("worker_attempts_failed_total", Teller.WORKER, "type queue", "Those of them that failed.")
WORKER_SLOTS = _gauge("worker_slots", Teller.WORKER, "", "Jobs that this worker can run at once.")
WORKER_RUNNING = _gauge("worker_running", Teller.WORKER, "", "Jobs that run here.")
WORKER_HELD = _gauge("worker_leases", Teller.WORKER, "", "Messages that this worker holds.")
WORKER_UNWRITTEN = _gauge("worker_unwritten", Teller.WORKER, "", "Pieces of news that Redis does not know yet.")
WORKER_BEAT_AGE = _gauge(
    "worker_heartbeat_age_seconds", Teller.WORKER, "", "Seconds since Redis heard that this worker lives."
)
WORKER_LOOP_WAIT = _gauge("worker_loop_wait_seconds", Teller.WORKER, "", "Seconds that the event loop is late now.")
WORKER_LEDGER = _counter(
    "worker_ledger_total", Teller.WORKER, "what", "Commits, and what went otherwise than planned, by its word."
)


def page() -> str:
    """Write the documentation page of the metrics."""
    lines = [
        "# Metrics",
        "",
        "Generated from `jobplatform/metrics/names.py` by `python -m jobplatform.metrics.names`; a test compares them.",
        "Which process tells what, and how to read it: see [monitoring](monitoring.md).",
        "",
        "| metric | kind | labels | told by | meaning |",
        "|---|---|---|---|---|",
    ]
    for metric in METRICS.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.teller} | {metric.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
