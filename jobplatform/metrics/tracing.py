"""OpenTelemetry spans of submissions and attempts: all that is named there is named here.

Without the package ``opentelemetry-api``, or while it is switched off, nothing is imported and nothing is done. Names
follow OpenTelemetry's semantic conventions for messaging (https://opentelemetry.io/docs/specs/semconv/messaging/).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jobplatform.errors import SettingsError

#: The header of a message, and of its row, that holds the context of who submitted it (W3C Trace Context).
TRACE_HEADER = "traceparent"
STATE_HEADER = "tracestate"
_SCOPE = "jobplatform"
_SYSTEM = "jobplatform"


class Tracing:
    """Make spans.

    :ivar on: whether any are made in this process.
    """

    def __init__(self) -> None:
        self.on = False

    def switch_on(self) -> None:
        """Begin to make spans.

        :raises SettingsError: when the package is missing.
        """
        try:
            import opentelemetry.trace  # noqa: F401
        except ImportError as error:
            raise SettingsError(
                "JOBPLATFORM_TRACES: opentelemetry-api is not installed; install jobplatform[otel]"
            ) from error
        self.on = True

    @contextmanager
    def sending(self, queue: str, job_type: str, job_id: str | None) -> Iterator[dict[str, str]]:
        """Span a submission, of many jobs that are alike without an id; gives the headers by which attempts find it."""
        if not self.on:
            yield {}
            return
        from opentelemetry.trace import SpanKind

        attributes = _attributes("send", queue, job_type, job_id)
        with _tracer().start_as_current_span(f"send {queue}", kind=SpanKind.PRODUCER, attributes=attributes):
            yield _context_headers()

    @contextmanager
    def grouping(self, name: str, number: int) -> Iterator[None]:
        """Span several submissions that belong together."""
        if not self.on:
            yield
            return
        with _tracer().start_as_current_span(name, attributes={"messaging.batch.message_count": number}):
            yield

    def flush(self, **_: Any) -> None:
        """Let what was spanned be exported, as this process may end without a word."""
        if self.on:
            from opentelemetry.trace import get_tracer_provider

            getattr(get_tracer_provider(), "force_flush", lambda: None)()

    @contextmanager
    def processing(self, headers: Mapping[str, Any], queue: str, job_type: str, job_id: str) -> Iterator[Any]:
        """Span an attempt, below the submission of its job; gives the span, None where there is none."""
        if not self.on:
            yield None
            return
        with _tracer().start_as_current_span(
            f"process {queue}", **_processing(headers, queue, job_type, job_id),
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            yield span

    def end(self, span: Any, error: str | None, attempt: int) -> None:
        """Say how an attempt ended."""
        if span is None:
            return
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("jobplatform.attempt", attempt)
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))

    def killed(
        self, headers: Mapping[str, Any], queue: str, job_type: str, job_id: str, *,
        attempt: int, began: float, ended: float, error: str,
    ) -> None:  # fmt: skip
        """Span an attempt whose process could not do so itself.

        :param began: in seconds since the epoch, as ``ended``.
        """
        if not self.on:
            return
        told = _processing(headers, queue, job_type, job_id)
        span = _tracer().start_span(f"process {queue}", start_time=int(began * 1e9), **told)
        self.end(span, error, attempt)
        span.end(int(ended * 1e9))


#: That of this process.
TRACING = Tracing()


def current_trace_id() -> str | None:
    """Give the trace that what runs here belongs to, None if it belongs to none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def _tracer() -> Any:
    from opentelemetry.trace import get_tracer

    return get_tracer(_SCOPE)


def _processing(headers: Mapping[str, Any], queue: str, job_type: str, job_id: str) -> dict[str, Any]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carried = {name: str(headers[name]) for name in (TRACE_HEADER, STATE_HEADER) if headers.get(name)}
    return {
        "context": TraceContextTextMapPropagator().extract(carried),
        "kind": SpanKind.CONSUMER,
        "attributes": _attributes("process", queue, job_type, job_id),
    }


def _context_headers() -> dict[str, str]:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers


def _attributes(operation: str, queue: str, job_type: str, job_id: str | None) -> dict[str, Any]:
    found = {
        "messaging.system": _SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "messaging.message.id": job_id,
        "jobplatform.job.type": job_type,
    }
    return {name: value for name, value in found.items() if value is not None}
