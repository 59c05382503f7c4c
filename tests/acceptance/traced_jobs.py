"""Jobs whose spans are written to a file, by whichever process makes them."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from jobplatform import current_job, job

FILE = "TRACED_JOBS_FILE"


class FileExporter(SpanExporter):
    """Write a line for each span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if FILE not in os.environ:
            return SpanExportResult.SUCCESS
        with Path(os.environ[FILE]).open("a") as file:
            for span in spans:
                assert span.context is not None
                told = {
                    "name": span.name, "kind": span.kind.name, "trace": f"{span.context.trace_id:032x}",
                    "id": span.context.span_id, "parent": span.parent.span_id if span.parent else None,
                    **(span.attributes or {}),
                }  # fmt: skip
                file.write(json.dumps(told) + "\n")
        return SpanExportResult.SUCCESS


def trace_to_file() -> None:
    """Let the spans of this process be written."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        # A process has one for good, which another test may have made.
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(FileExporter()))


if FILE in os.environ:
    trace_to_file()


@job(max_retries=2, retry={"base": 0.01, "cap": 0.05})
def outer(secret: str) -> str:
    """Fail once, then submit another."""
    logging.getLogger(__name__).info("attempt %d looks", current_job().attempt)
    if current_job().attempt == 1:
        raise ConnectionError("later")
    inner.submit()
    return secret


@job()
def inner() -> None:
    """Die once."""
    if current_job().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
