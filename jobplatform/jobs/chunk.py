"""Jobs that differ only in id and payload, submitted many at once."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from jobplatform.errors import StoreUnavailable
from jobplatform.jobs import admission
from jobplatform.jobs.estimates import Outlook
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.submission import COUNTS, brief, message_of, publish_or_leave
from jobplatform.journal import entry
from jobplatform.records import NewJob, rows_like
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.transport.message import Mould
from jobplatform.transport.publisher import UNREACHABLE as REDIS_UNREACHABLE

logger = logging.getLogger(__name__)


class Chunk(NamedTuple):
    """Jobs that differ only in id and payload: pairs of both.

    :param limit_key: the key of their limits, if it is not that of all.
    :param outlook: what is foretold of them, if it is not what is of all.
    """

    pairs: list[tuple[str, str]]
    limit_key: str | None = None
    outlook: Outlook | None = None

    def like(self, job: NewJob) -> NewJob:
        """Give what they share, of the job that all chunks are like."""
        if self.outlook is not None:
            job = replace(job, queue=self.outlook.queue, **self.outlook.columns)
        return job if self.limit_key is None else replace(job, limit_key=self.limit_key)


def submit_chunks(platform: Platform, like: NewJob, chunks: Iterable[Chunk]) -> int:
    """Submit jobs that differ only in id and payload: all rows in one transaction, then all messages.

    :param like: what they share.
    :raises StoreUnavailable: when neither store took them.
    """
    if admission.goes_through_journal(platform, like):
        return _journal_chunks(platform, like, chunks)
    from jobplatform.store.database import UNREACHABLE

    taken: list[Chunk] = []
    try:
        _insert_chunks(platform, like, chunks, taken)
    except UNREACHABLE as error:
        admission.refuse_unasked(like, error)
        COUNTS["without_row"] += 1
        logger.warning("PostgreSQL did not take %d chunks, they go through the journal: %s", len(taken), brief(error))
        return _journal_chunks(platform, like, itertools.chain(taken, chunks))
    if like.due_at is None:
        for chunk in taken:
            publish_chunk(platform, like, chunk)
    return sum(len(chunk.pairs) for chunk in taken)


def _insert_chunks(platform: Platform, like: NewJob, chunks: Iterable[Chunk], taken: list[Chunk]) -> None:
    from jobplatform.store.new_jobs import insert, insert_alike

    with platform.database.transaction() as transaction:
        if like.after or like.batch_id:
            admission.check(transaction, like)
        for chunk in chunks:
            taken.append(chunk)
            if like.after:
                insert(transaction, rows_like(chunk.like(like), chunk.pairs), edges=True)
            else:
                insert_alike(transaction, chunk.like(like), chunk.pairs)


def publish_chunk(platform: Platform, like: NewJob, chunk: Chunk) -> None:
    """Publish a chunk whose rows are written."""
    messages = partial(_messages, like, chunk, platform.settings.signing_keys)
    publish_or_leave(platform, [job_id for job_id, _ in chunk.pairs], lambda: platform.publisher.push_texts(messages()))


def _messages(like: NewJob, chunk: Chunk, ring: KeyRing) -> dict[tuple[str, int], list[str]]:
    shared = chunk.like(like)
    fill = Mould(message_of(shared), ring).fill
    return {(shared.queue, shared.priority): [fill(job_id, payload) for job_id, payload in chunk.pairs]}


def _journal_chunks(platform: Platform, like: NewJob, chunks: Iterable[Chunk]) -> int:
    # All of them are made before the first is written, as making one may find an item that is refused.
    return sum(_journal_chunk(platform, like, chunk) for chunk in list(chunks))


def _journal_chunk(platform: Platform, like: NewJob, chunk: Chunk) -> int:
    at = like.enqueued_at or like.due_at or 0.0
    rows = zip(chunk.pairs, rows_like(chunk.like(like), chunk.pairs), strict=True)
    entries = [entry.submitted(job_id, at, row) for (job_id, _), row in rows]
    try:
        messages = {} if like.due_at else _messages(like, chunk, platform.settings.signing_keys)
        platform.publisher.push_texts(messages, entries)
    except REDIS_UNREACHABLE as error:
        if platform.in_worker:
            raise
        raise StoreUnavailable(
            f"neither PostgreSQL nor Redis took {len(chunk.pairs)} jobs: {error}; submit again"
        ) from error
    return len(chunk.pairs)
