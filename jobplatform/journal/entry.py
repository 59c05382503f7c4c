"""Journal entries: one transition each, as versioned JSON text.

Version 1 has the keys ``v`` version, ``k`` kind, ``j`` job id, ``a`` attempt, ``t`` time, ``s`` start of the attempt,
``w`` worker, ``p`` process id, ``q`` time of enqueueing, ``r`` result, ``u`` CPU seconds and peak KiB, ``e`` error,
``n`` the new row, ``l`` what was logged; an entry of kind ``lost`` has the entry of the start in ``of`` and the seconds
of silence in ``silent``, with the bytes that its process took in ``rss`` and when they were read in ``read``, or
nothing there when no worker holds the job at all; one of kind ``unreadable`` has the queue, the size and the first
bytes of a message in ``r``, and ``j`` and ``a`` only if the message names a job. Times are in seconds since the epoch.
A reader ignores keys that it does not know and quarantines kinds and versions that it does not know.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jobplatform.journal.death import death_of, describe_memory

#: The text that an attempt's code has logged, and how many lines before it were cut.
Logs = Mapping[str, Any]

VERSION = 1
#: The longest error message and traceback that are kept, in characters.
MESSAGE_LIMIT = 10_000
TRACEBACK_LIMIT = 20_000
#: So many bytes of a message that cannot be read are kept.
RAW_LIMIT = 65_536
#: What is said of messages that no code was run for, and that never can be.
UNSTARTED = {"final": True, "unstarted": True}


class Kind(StrEnum):
    """What an entry tells."""

    SUBMITTED = "submitted"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PROGRESS = "progress"
    LOST = "lost"
    PARKED = "parked"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition, as the mirror reads it.

    ``stale`` marks the outcome of an attempt whose lease was no longer held.
    """

    kind: Kind
    job_id: str
    attempt: int = 1
    at: float = 0.0
    started: float | None = None
    worker: str | None = None
    pid: int | None = None
    enqueued: float | None = None
    result: Any = None
    error: Mapping[str, Any] | None = None
    row: Mapping[str, Any] | None = None
    stale: bool = False
    usage: Sequence[float] | None = None
    logs: Mapping[str, Any] | None = None


class UnreadableEntry(ValueError):
    """An entry that cannot be applied, with the reason."""


def clean(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Make a text that PostgreSQL can hold: bounded, without NUL characters and lone surrogates."""
    bounded = text if len(text) <= limit else f"{text[:limit]} ... ({len(text)} characters)"
    return bounded.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def submitted(job_id: str, at: float, row: str) -> str:
    """Write the entry of a submission whose row is not written yet.

    :param row: JSON text of the row.
    """
    return f'{{"v":1,"k":"submitted","j":"{job_id}","t":{at:.6f},"n":{row}}}'


def started(head: str, at: float) -> str:
    """Write the entry of an attempt's start.

    :param head: what ``attempt_head`` gave for the attempt.
    """
    return f'{{"v":1,"k":"started",{head},"t":{at:.6f},"s":{at:.6f}}}'


def completed(
    head: str, start: float, at: float, result: str, cpu: float = 0.0, rss: int = 0, logs: Logs | None = None
) -> str:
    """Write the entry of a completed attempt.

    :param result: JSON text of the value.
    :param cpu: CPU seconds.
    :param rss: peak memory of the process, in KiB.
    """
    told = f'"l":{json.dumps(logs)},' if logs else ""
    return f'{{"v":1,"k":"completed",{head},"s":{start:.6f},"t":{at:.6f},"u":[{cpu},{rss}],{told}"r":{result}}}'


def ended(
    kind: Kind, head: str, start: float | None, at: float, error: Mapping[str, Any], logs: Logs | None = None
) -> str:
    """Write the entry of an attempt that failed or was cancelled."""
    since = "" if start is None else f'"s":{start:.6f},'
    told = f'"l":{json.dumps(logs)},' if logs else ""
    return f'{{"v":1,"k":"{kind}",{head},{since}"t":{at:.6f},{told}"e":{json.dumps(error)}}}'


def progress(job_id: str, attempt: int, at: float, value: Mapping[str, Any]) -> str:
    """Write the entry of a progress report."""
    return f'{{"v":1,"k":"progress","j":"{job_id}","a":{attempt},"t":{at:.6f},"r":{json.dumps(value)}}}'


def lost(job_id: str, attempt: int, worker: str | None, start: float | None, at: float) -> str:
    """Write the entry of an attempt that its row says is running, and that no worker holds."""
    of = {"v": VERSION, "k": Kind.STARTED, "j": job_id, "a": attempt, "w": worker, "t": start, "s": start}
    return json.dumps({"v": VERSION, "k": Kind.LOST, "t": at, "of": of})


def left(start: str, at: float) -> str:
    """Write the entry of an attempt that was running when its worker ended, and of whose end the worker knows nothing.

    :param start: the entry of its start.
    :param at: seconds since the epoch.
    """
    return f'{{"v":{VERSION},"k":"{Kind.LOST}","t":{at!r},"left":true,"of":{start}}}'


def unreadable(
    queue: str,
    raw: bytes,
    problem: str,
    at: float = 0.0,
    job: tuple[str, int] | None = None,
    parked: bool = False,
) -> str:
    """Write the entry of a message that no job can be made of; the mirror puts it into quarantine.

    :param job: the job and the attempt that the message names; that attempt fails.
    :param parked: it waits instead until somebody has looked, as the message may lie, and another one be good.
    """
    message = {"queue": clean(queue), "size": len(raw), "raw": base64.b64encode(raw[:RAW_LIMIT]).decode()}
    error = {"type": "InvalidMessage", "message": clean(problem, 1_000), "classes": ["InvalidMessage"], **UNSTARTED}
    if parked:
        error["parked"] = True
    names = dict(zip("ja", job, strict=True)) if job else {}
    return json.dumps({"v": VERSION, "k": Kind.UNREADABLE, **names, "t": at, "r": message, "e": error})


def attempt_head(job_id: str, attempt: int, worker: str, pid: int | None, enqueued: float | None, row: str) -> str:
    """Write the part that all entries of one attempt share.

    :param row: JSON text of the row, for a message that was published without one; or "".
    """
    parts = [f'"j":"{job_id}","a":{attempt},"w":{json.dumps(worker)}']
    if pid is not None:
        parts.append(f'"p":{pid}')
    if enqueued is not None:
        parts.append(f'"q":{enqueued:.6f}')
    if row:
        parts.append(f'"n":{row}')
    return ",".join(parts)


def parse(raw: bytes, stale: bool = False) -> Entry:
    """Read an entry.

    :raises UnreadableEntry: when it is no entry of a version that this code knows.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UnreadableEntry(f"no JSON: {error}") from error
    if not isinstance(value, dict) or value.get("v") != VERSION:
        version = value.get("v") if isinstance(value, dict) else None
        raise UnreadableEntry(f"version {version!r} is unknown; this code reads version {VERSION}")
    get = value.get
    try:
        if get("k") == Kind.LOST:
            get = (value := _lost(value)).get
        kind = Kind(value["k"])
        job_id = get("j", "") if kind is Kind.UNREADABLE else value["j"]
        return Entry(
            kind, job_id, get("a", 1), get("t", 0.0), get("s"), get("w"), get("p"), get("q"),
            get("r"), get("e"), get("n"), stale, get("u"), get("l"),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableEntry(f"kind {get('k')!r} is unknown or a key is missing: {error}") from error


def _lost(value: dict[str, Any]) -> dict[str, Any]:
    """Turn the entry of a lost attempt into that of a failed one: its worker was silent, and its lease taken away.

    A worker that left says so, and whoever replaced one says how it went: no failure of the job.
    """
    start, worker = value["of"], value["of"].get("w")
    if "left" in value:
        what = value["left"] if isinstance(value["left"], str) else "left"
        message = f"worker {worker} {what} before the job ended"
        error = {"type": "Interrupted", "message": message, "classes": ["Interrupted"], "interrupted": True}
        return {**start, "k": Kind.FAILED, "t": value.get("t", 0.0), "e": error}
    message, death = f"worker {worker} began the job, and no worker holds it", {}
    if "silent" in value:
        silent = f"was silent for {float(value['silent']):.0f} s while it ran the job"
        message = f"worker {worker} (process {start.get('p')}) {silent}"
        death = {"death": death_of(start.get("p"), None, value.get("rss"), value.get("read"))}
    if "rss" in value:
        message += f"; {describe_memory(value['rss'], value['t'] - value['read'])}"
    error = {"type": "WorkerLost", "message": message, "classes": ["WorkerLost"], "died": True, "interrupted": True}
    error |= death
    return {**start, "k": Kind.FAILED, "t": value.get("t", 0.0), "e": error}
