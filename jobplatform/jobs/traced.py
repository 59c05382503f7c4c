"""Submissions whose context goes with the row, so that each attempt is found below them whenever it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from jobplatform.metrics.tracing import TRACING
from jobplatform.records import NewJob


def traced(job: NewJob, one: bool = True) -> AbstractContextManager[NewJob]:
    """Span a submission; gives the job with the context in the headers of its messages.

    :param one: False where the job stands for many that are like it.
    """
    return _traced(job, one) if TRACING.on else nullcontext(job)


@contextmanager
def _traced(job: NewJob, one: bool) -> Iterator[NewJob]:
    with TRACING.sending(job.queue, job.job_type, job.job_id if one else None) as context:
        extra = dict(job.message or {})
        yield replace(job, message={**extra, "headers": {**extra.get("headers", {}), **context}})
