"""Spans of submissions and attempts, and the headers between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from jobplatform.jobs.traced import traced
from jobplatform.metrics.tracing import TRACING, current_trace_id
from jobplatform.records import NewJob
from jobplatform.scheduling.fires import TypeFacts
from jobplatform.scheduling.overlap import Decision, Fire
from jobplatform.scheduling.ticker import Ticker

JOB = NewJob("01a204ef-4007-7f70-b1ed-84b540386689", "shop.mail", "{}", "mail", message={"headers": {"a": "b"}})


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        # A process has one for good, which another test may have made.
        provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    made = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    TRACING.switch_on()
    yield made
    TRACING.on = False
    made.shutdown()


def headers_of(job: NewJob) -> dict[str, Any]:
    return dict((job.message or {})["headers"])


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


#: Runs where OpenTelemetry is not installed.
WITHOUT = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
import jobplatform.jobs.attach, jobplatform.jobs.task, jobplatform.journal.recorder, jobplatform.scheduling.beat
from jobplatform.errors import SettingsError
from jobplatform.metrics.tracing import TRACING, current_trace_id

assert current_trace_id() is None
try:
    TRACING.switch_on()
except SettingsError as error:
    print(error)
"""


def test_nothing_is_needed_and_nothing_changed_while_it_is_off() -> None:
    with traced(JOB) as job:
        assert job is JOB
    with TRACING.processing({}, "mail", "shop.mail", "j") as span:
        assert span is None
    found = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, timeout=60)
    assert "install jobplatform[otel]" in found.stdout


def test_all_attempts_are_below_the_submission(spans: InMemorySpanExporter) -> None:
    with traced(JOB) as job:
        assert headers_of(job)["a"] == "b"
        sent = current_trace_id()
    with TRACING.processing(headers_of(job), "mail", "shop.mail", "j") as span:
        assert current_trace_id() == sent
        TRACING.end(span, "ConnectionError", 1)
        with traced(replace(JOB, job_type="shop.child")):
            pass
    TRACING.killed(headers_of(job), "mail", "shop.mail", "j", attempt=2, began=100.0, ended=103.5, error="killed")
    send, child, first, second = spans.get_finished_spans()
    assert send.context is not None
    assert first.context is not None
    assert [span.name for span in (send, first, second)] == ["send mail", "process mail", "process mail"]
    assert [span.kind for span in (send, first)] == [SpanKind.PRODUCER, SpanKind.CONSUMER]
    assert parent_of(send) is None
    assert parent_of(first) == parent_of(second) == send.context.span_id
    assert parent_of(child) == first.context.span_id
    assert (first.status.status_code, second.start_time, second.end_time) == (
        StatusCode.ERROR, 100 * 10**9, int(103.5 * 10**9),
    )  # fmt: skip
    assert dict(send.attributes or {}) == {
        "messaging.system": "jobplatform", "messaging.operation.name": "send", "messaging.operation.type": "send",
        "messaging.destination.name": "mail", "messaging.message.id": JOB.job_id, "jobplatform.job.type": "shop.mail",
    }  # fmt: skip


@pytest.mark.parametrize("header", ["", "00-zz", 7, "x" * 5_000, None])
def test_a_header_that_means_nothing_begins_a_trace(spans: InMemorySpanExporter, header: Any) -> None:
    with TRACING.processing({"traceparent": header, "tracestate": header}, "q", "t", "j"):
        pass
    (span,) = spans.get_finished_spans()
    assert span.parent is None


def test_the_jobs_of_a_workflow_share_a_trace(spans: InMemorySpanExporter) -> None:
    with TRACING.grouping("submit workflow", 2):
        for _ in range(2):
            with traced(JOB):
                pass
    assert len({span.context.trace_id for span in spans.get_finished_spans() if span.context}) == 1


def test_each_fire_of_a_schedule_begins_a_trace(spans: InMemorySpanExporter) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    row = {
        "schedule_id": 1, "name": "nightly", "job_type": "shop.mail", "payload_template": None, "queue": "mail",
        "priority": 1, "spread": 0.0, "jitter": 0.0,
    }  # fmt: skip
    fires = (Fire(now), Fire(now + timedelta(hours=1)))
    facts = TypeFacts(message={"secret": ["kwargs.card"]})
    made = Ticker(None, lambda name: facts, timedelta())._jobs(None, row, Decision(fires), now)  # type: ignore[arg-type]
    found = spans.get_finished_spans()
    assert [span.name for span in found] == ["send mail"] * 2
    for job, span in zip(made, found, strict=True):
        assert span.context is not None
        assert f"{span.context.trace_id:032x}" in job["message"]["headers"]["traceparent"]
        assert job["message"]["secret"] == ["kwargs.card"]
