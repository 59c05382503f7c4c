"""What stands in for Redis: queues of messages, fences and the journal, in this process."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from celery.app.amqp import AMQP
from kombu.transport.virtual import Message as KombuMessage

from jobplatform.jobs import submission
from jobplatform.jobs.amqp import JobAMQP
from jobplatform.journal.inbound import ATTEMPT_HEADER
from jobplatform.records import NewJob, job_id_of, job_of_row
from jobplatform.testing.tables import Tables
from jobplatform.transport import keys
from jobplatform.transport.channel import SUBMITTED_HEADER
from jobplatform.transport.message import Message, envelope


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits; the lowest ``place`` of the highest priority is handed out first."""

    priority: int
    place: int
    queue: str
    envelope: Mapping[str, Any]

    @property
    def task_id(self) -> str:
        """The id that it carries."""
        return str(self.envelope["headers"]["id"])

    @property
    def attempt(self) -> int:
        """Of which attempt it is."""
        return int(self.envelope["headers"].get(ATTEMPT_HEADER) or 1)


class Wire:
    """Take what the platform pushes, fences and journals.

    :param tables: in whose order jobs that become due together are handed out.
    :param journalled: called when something was written to the journal.
    """

    def __init__(self, tables: Tables, journalled: Callable[[], None]) -> None:
        self.tables = tables
        self.journalled = journalled
        self.waiting: list[Waiting] = []
        self.fences: dict[str, float] = {}
        self.journal_items: list[tuple[bytes, dict[bytes, bytes]]] = []
        self.counts: Counter[str] = Counter()
        self._after, self._before, self._ids = count(1), count(0, -1), count(1)

    def push(self, message: Message, entry: str = "") -> None:
        """Push one message, after its journal entry if it has one."""
        if entry:
            self.journal(entry)
        self._add(message.queue, message.priority, envelope(message))

    def push_many(self, messages: Iterable[Message], entries: Iterable[str] = (), first: bool = False) -> int:
        """Push messages, those of the oldest jobs first."""
        for text in entries:
            self.journal(text)
        places = {job_id: place for place, job_id in enumerate(self.tables.rows["jobs"])}
        ordered = sorted(messages, key=lambda message: places.get(message.job_id, 0), reverse=first)
        for message in ordered:
            self._add(message.queue, message.priority, envelope(message), first)
        return len(ordered)

    def push_texts(
        self, lists: Mapping[tuple[str, int], Sequence[str]], entries: Iterable[str] = (), first: bool = False
    ) -> int:
        """Push messages that are built already."""
        for text in entries:
            self.journal(text)
        for (queue, priority), texts in lists.items():
            for text in texts:
                self._add(queue, priority, text, first)
        return sum(map(len, lists.values()))

    def journal(self, entry: str, keep: bool = False, stale: bool = False) -> None:
        """Write a journal entry.

        :param stale: it tells of an attempt whose lease is gone.
        """
        name = b"x1" if stale else b"e1"
        self.journal_items.append((str(next(self._ids)).encode(), {name: entry.encode()}))
        self.journalled()

    def fence(self, attempts: Mapping[str, float]) -> None:
        """Let no message of a job be handed out that is of an attempt before the one given."""
        self.fences.update(attempts)

    def fence_of(self, task_id: str) -> float:
        """Tell from which attempt on the messages of a job count."""
        job = self.tables.get("jobs", job_id_of(task_id))
        known = self.fences.get(task_id, 0.0)
        if job is None:
            return known
        return max(known, job["attempt"] + keys.VOID if job["status"] == "CANCELLED" else float(job["attempt"]))

    def has_room(self) -> bool:
        """Tell that there is room."""
        return True

    def time(self) -> float:
        """Tell the time, in seconds since the epoch."""
        return self.tables.clock()

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def take(self) -> Waiting | None:
        """Hand out the next message that counts, None when none waits."""
        while self.waiting:
            found = min(self.waiting, key=lambda waiting: (-waiting.priority, waiting.place))
            self.waiting.remove(found)
            if found.attempt >= self.fences.get(found.task_id, 0.0):
                return found
            self.counts["dropped"] += 1
        return None

    def _add(self, queue: str, priority: int, text: str, first: bool = False) -> None:
        place = next(self._before if first else self._after)
        self.waiting.append(Waiting(priority, place, queue, json.loads(text)))

    # What the mirror asks of its client.

    def xread(self, streams: Mapping[str, str], count: int, block: int) -> list[Any]:
        """Give what the journal holds."""
        return [[b"journal", self.journal_items[:count]]] if self.journal_items else []

    def xdel(self, name: str, *ids: bytes) -> None:
        """Delete what was read."""
        gone = set(ids)
        self.journal_items = [item for item in self.journal_items if item[0] not in gone]

    def xadd(self, name: str, fields: Mapping[str, Any]) -> None:
        """Count news that no row stands for; a test has no other writer who may bring the row."""
        self.counts["rowless"] += 1


class _Channel:
    """What decodes the body of a message."""

    def decode_body(self, body: str, encoding: str | None = None) -> Any:
        return base64.b64decode(body) if encoding == "base64" else body


def message_of(waiting: Waiting, accept: Any) -> Any:
    """Give the message as Celery gets it from a broker."""
    return KombuMessage(dict(waiting.envelope), channel=_Channel(), accept=accept)


class _RowSender(AMQP):  # type: ignore[misc]
    """Where Celery's own publishing ends: the row of the job stands for its message."""

    def _create_task_sender(self) -> Callable[..., Any]:
        def send(producer: Any, name: str, message: Any, **options: Any) -> None:
            platform = self.app.jobplatform
            text = message.headers.pop(SUBMITTED_HEADER, None)
            if text:
                platform.publisher.journal(text)
            row = platform.database.tables.get("jobs", job_id_of(message.headers["id"]))
            if row is not None:
                platform.publisher.push(submission.message_of(_job_of(row)))

        return send


class InlineAMQP(JobAMQP, _RowSender):
    """Celery's publishing as the platform does it, up to the broker."""


def _job_of(row: Mapping[str, Any]) -> NewJob:
    values = {name: row[name] for name in NewJob.__dataclass_fields__ if row.get(name) is not None}
    return job_of_row(values)
