"""Journal to tables: read a batch, reduce it, write it in one transaction, then delete it from the journal."""

from __future__ import annotations

import base64
import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobplatform.decision import Seen
from jobplatform.errors import IdempotencyConflict, KeyTaken
from jobplatform.journal import entry as entries
from jobplatform.journal.clusters import cluster_rows
from jobplatform.journal.collapse import Decide, News, collapse, rows_of
from jobplatform.journal.entry import Entry, Kind, UnreadableEntry, clean, parse
from jobplatform.journal.outcome import ends_of, seen
from jobplatform.records import job_of_row
from jobplatform.states import FINAL
from jobplatform.store import (
    attempt_logs,
    clusters,
    dead_letters,
    dependencies,
    executions,
    idempotency,
    jobs,
    new_jobs,
    quarantine,
    retry_decisions,
)
from jobplatform.store.database import REFUSED, Database, Locked, Transaction

logger = logging.getLogger(__name__)

JOURNAL = "jp:journal"
#: News of jobs whose rows are not there yet (stream).
EARLY = "jp:early"
#: What a single entry that cannot be applied makes the mirror raise.
_INAPPLICABLE = (*REFUSED, TypeError, ValueError, KeyError, AttributeError)
#: A row waits so long for a transaction that has its key; others wait behind it.
_KEY_MILLISECONDS = 50
#: After jobs were released that had waited for others, so many rounds are paced so much faster, if they are small: the
#: next link of a chain begins and ends within them.
_HURRY_ROUNDS, _HURRY_FACTOR, _HURRY_ENTRIES = 12, 0.1, 20
#: Entries that are kept without a row, worth nothing without one, or without one as another job stands for theirs.
_ROWLESS = frozenset({Kind.UNREADABLE, Kind.PROGRESS, Kind.SUBMITTED})


@dataclass(frozen=True, slots=True)
class Line:
    """One entry with its place in the journal."""

    stream_id: str
    field: str
    raw: bytes
    entry: Entry

    def message(self) -> dict[str, Any]:
        """Give the row of the message that the entry holds and that cannot be read."""
        found, error = self.entry.result, self.entry.error or {}
        return {
            "stream_id": self.stream_id,
            "field": self.field,
            "kind": "message",
            "queue": found["queue"],
            "size": found["size"],
            "job_id": self.entry.job_id or None,
            "raw": found["raw"],
            "reason": error.get("message", ""),
        }


class Mirror:
    """Keep the tables up with the journal.

    Entries leave the journal only after their transaction committed, and applying one twice changes nothing; so a
    mirror that dies anywhere, or two at once, do no harm.

    :param client: a Redis client of the journal, with a socket timeout above ``block_seconds``.
    :param decide: what becomes of failed attempts.
    :param observe: told what each batch showed, once it is written.
    :param wait: waits for some seconds, or until the controller stops.
    :param batch: stream entries read at once; each holds the news of one commit.
    :param pace_seconds: waited after a transaction, so that batches fill under load; a part of it after a release.
    """

    name = "mirror"
    interval = 0.0

    def __init__(
        self,
        client: Any,
        database: Database,
        decide: Decide,
        wait: Callable[[float], Any],
        batch: int,
        block_seconds: float = 0.5,
        pace_seconds: float = 0.08,
        observe: Callable[[Seen], None] = lambda seen: None,
    ) -> None:
        self.client = client
        self.database = database
        self.decide = decide
        self.wait = wait
        self.batch = batch
        self.block_seconds = block_seconds
        self.pace_seconds = pace_seconds
        self.observe = observe
        self._hurried = 0

    def run_once(self, now: datetime) -> Counter[str]:
        """Mirror one batch; waits a moment for news when there is none."""
        counts: Counter[str] = Counter()
        items = self._read()
        if not items:
            return counts
        lines = self._parse(items, counts)
        self._apply(lines, counts)
        self.client.xdel(JOURNAL, *(stream_id for stream_id, _ in items))
        counts["entries"] += len(lines)
        if len(items) < self.batch:
            self.wait(self._pace(len(lines), released=bool(counts["release"])))
        return counts

    def _pace(self, entries: int, released: bool) -> float:
        self._hurried = _HURRY_ROUNDS if released else max(0, self._hurried - 1)
        hurries = self._hurried and entries <= _HURRY_ENTRIES
        return self.pace_seconds * (_HURRY_FACTOR if hurries else 1.0)

    def _read(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        block = max(1, int(self.block_seconds * 1000))
        reply = self.client.xread({JOURNAL: "0"}, count=self.batch, block=block)
        if not reply:
            return []
        streams = reply.values() if isinstance(reply, dict) else [stream[1] for stream in reply]
        return [item for stream in streams for item in _flat(stream)]

    def _parse(self, items: Sequence[tuple[bytes, dict[bytes, bytes]]], counts: Counter[str]) -> list[Line]:
        lines = []
        for stream_id, fields in items:
            for field, raw in fields.items():
                try:
                    entry = parse(raw, stale=field.startswith(b"x"))
                except UnreadableEntry as error:
                    self._quarantine(stream_id.decode(), field.decode(), raw, str(error), counts)
                else:
                    lines.append(Line(stream_id.decode(), field.decode(), raw, entry))
        return lines

    def _apply(self, lines: Sequence[Line], counts: Counter[str]) -> None:
        if not lines:
            return
        try:
            with self.database.transaction() as transaction:
                done, shown = self._write(transaction, collapse(line.entry for line in lines))
                unreadable = [line.message() for line in lines if line.entry.kind is Kind.UNREADABLE]
                done["quarantined"] = quarantine.add(transaction, unreadable)
                if done["transitions"] < done["attempts"]:
                    done["early"] = self._put_off_rowless(transaction, lines)
        except _INAPPLICABLE as error:
            if len(lines) > 1:
                middle = len(lines) // 2
                self._apply(lines[:middle], counts)
                self._apply(lines[middle:], counts)
                return
            line = lines[0]
            self._quarantine(line.stream_id, line.field, line.raw, f"cannot be applied: {error}", counts)
        else:
            counts.update(done)
            self.observe(shown)

    def _write(self, transaction: Transaction, news: News) -> tuple[Counter[str], Seen]:
        counts: Counter[str] = Counter(stale=len(news.stale))
        if news.rows:
            counts.update(self._insert(transaction, news.rows.values()))
        failed = [entry.job_id for entry in news.failed()]
        facts = jobs.retry_facts(transaction, failed) if failed else {}
        rows = rows_of(news, facts, self.decide)
        counts["attempts"] = len(rows.jobs)
        moved = jobs.apply_transitions(transaction, rows.jobs)
        counts["transitions"] = sum(each.jobs for each in moved)
        ended = [row["job_id"] for row in rows.jobs if row["status"] in FINAL]
        counts.update(dependencies.settle(transaction, ended))
        counts["executions"] = executions.record(transaction, rows.executions)
        counts["logs"] = attempt_logs.record(transaction, rows.logs)
        executions.note_stale(transaction, rows.stale)
        recorded = retry_decisions.record(transaction, rows.decisions)
        counts["decisions"] = len(recorded)
        clusters.count(transaction, cluster_rows(rows.failures, recorded))
        outcomes = retry_decisions.settle(transaction, ends_of(news, rows))
        counts["dead_letters"] = dead_letters.bury(transaction, rows.dead_letters)
        counts["progress"] = jobs.apply_progress(transaction, rows.progress)
        return counts, seen(rows, moved, outcomes)

    def _insert(self, transaction: Transaction, rows: Collection[Mapping[str, Any]]) -> Counter[str]:
        """Write new rows; those that have a key, for which others may stand, one by one."""
        plain = [row for row in rows if not _is_keyed(row)]
        counts = Counter(submitted=new_jobs.insert_values(transaction, plain) if plain else 0)
        for row in rows if len(plain) < len(rows) else ():
            if _is_keyed(row):
                counts[self._insert_keyed(transaction, row)] += 1
        return counts

    def _insert_keyed(self, transaction: Transaction, row: Mapping[str, Any]) -> str:
        """Write a row unless another job stands for it; returns what it is counted as."""
        try:
            with transaction.impatient(_KEY_MILLISECONDS):
                found = idempotency.submit(transaction, job_of_row(row))
        except (KeyTaken, IdempotencyConflict) as error:
            logger.warning("job %s is not made: %s", row["job_id"], error)
            return "taken"
        except Locked:
            # Whoever has the key may take long to commit; no message is pushed before the row is there.
            self.client.xadd(JOURNAL, {"e1": entries.submitted(row["job_id"], 0.0, json.dumps(row))})
            return "put_off"
        if not found.made and found.job_id != row["job_id"]:
            logger.warning("job %s is not made: job %s has its key and stands for it", row["job_id"], found.job_id)
            return "duplicates"
        return "submitted" if found.made else "known"

    def _put_off_rowless(self, transaction: Transaction, lines: Sequence[Line]) -> int:
        """Keep the news of jobs that no row stands for: theirs comes later, or somebody made up their messages."""
        told = [line for line in lines if line.entry.kind not in _ROWLESS and not line.entry.stale]
        missing = jobs.missing(transaction, sorted({line.entry.job_id for line in told}))
        early = [line for line in told if line.entry.job_id in missing]
        for line in early:
            self.client.xadd(EARLY, {"job": line.entry.job_id, "field": line.field, "raw": line.raw})
        return len(early)

    def _quarantine(self, stream_id: str, field: str, raw: bytes, reason: str, counts: Counter[str]) -> None:
        logger.error("journal entry %s/%s is quarantined: %s", stream_id, field, reason)
        with self.database.transaction() as transaction:
            quarantine.add(transaction, [quarantined(stream_id, field, raw, reason)])
        counts["quarantined"] += 1


def _is_keyed(row: Mapping[str, Any]) -> bool:
    return bool(row.get("unique_mode") or row.get("idempotency"))


def quarantined(stream_id: str, field: str, raw: bytes, reason: str) -> dict[str, Any]:
    """Give the row of an entry that cannot be applied."""
    text = base64.b64encode(raw).decode()
    return {
        "stream_id": stream_id,
        "field": field,
        "kind": "entry",
        "size": len(raw),
        "raw": text,
        "reason": clean(reason, 2_000),
    }


def _flat(stream: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Give the items of a stream; RESP3 nests them one level deeper than RESP2."""
    return stream[0] if stream and isinstance(stream[0], list) else stream
