"""What a pool process tells of a job that failed in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Celery

from jobplatform.jobs.context import CurrentJob
from jobplatform.jobs.platform import Platform
from jobplatform.journal import tracer
from jobplatform.journal.foreign import DEADLINE_HEADER
from jobplatform.journal.recording import Recording
from jobplatform.journal.tracer import Failure, trace_job
from jobplatform.records import new_job_id
from jobplatform.secrecy.keyring import KeyRing, parse_keys
from jobplatform.secrecy.sealing import seal


@pytest.fixture
def app() -> Iterator[Celery]:
    with Celery("traced", broker="memory://") as made:
        made.finalize()
        yield made


def failure_at(app: Celery, now: float) -> Failure:
    """Run a job whose deadline is 100, and which fails as soon as it has looked at the time."""

    @app.task(bind=True, shared=False)
    def watchful(self: Any) -> None:
        platform = cast(Platform, SimpleNamespace(leases=False))
        raise ValueError(CurrentJob(platform, self.request, lambda: now).cancelled)

    request = {"id": "one", "task": watchful.name, "retries": 0, DEADLINE_HEADER: 100.0}
    failed, failure, _ = trace_job(watchful.name, "one", request, ((), {}, None), "", "", 100)
    assert failed
    return cast(Failure, failure)


@pytest.mark.parametrize(("now", "late"), [(99.9, None), (100.0, True)])
def test_that_a_job_saw_its_deadline_is_told_when_it_fails(app: Celery, now: float, late: bool | None) -> None:
    told = failure_at(app, now).told
    assert (told["type"], told["message"], told.get("late")) == ("ValueError", str(bool(late)), late)


def test_nothing_is_kept_of_a_job_that_does_not_run_here(app: Celery) -> None:
    tracer.tell("one", late=True)
    assert "late" not in failure_at(app, 99.9).told


def test_a_process_without_the_key_fails_the_attempt_and_says_why(app: Celery) -> None:
    ring = parse_keys("k:" + base64.b64encode(bytes(32)).decode())
    ran = []

    @app.task(shared=False)
    def sealed(note: str) -> None:
        ran.append(note)

    def run(job_id: str) -> Any:
        kwargs = seal(ring, '{"args":["canary"],"kwargs":{}}', new_job, sealed.name, "payload")
        body = json.dumps([[], kwargs, None])
        request = {"id": job_id, "task": sealed.name, "retries": 0}
        return trace_job(sealed.name, job_id, request, body, "application/json", "utf-8", 100)

    new_job = new_job_id()
    failed, info, _ = run(new_job)
    assert failed and "add it to JOBPLATFORM_ENCRYPTION_KEYS" in str(info.exception) and "canary" not in info.traceback
    Recording.sealing = ring
    try:
        assert run(new_job_id())[0] and not ran
        assert not run(new_job)[0] and ran == ["canary"]
    finally:
        Recording.sealing = KeyRing()
