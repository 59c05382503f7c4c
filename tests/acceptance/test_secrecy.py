"""Secrets stay where they belong, and no worker runs what was not signed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import secret_jobs
from celery import chain
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.workflow import Workflow
from jobplatform.journal.recording import Recording
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.transport.channel import Channel
from jobplatform.transport.message import Message, envelope

KEYS = {name: base64.b64encode(name.encode() * 32).decode() for name in "stu"}


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    before = Channel.ring, Recording.ring, Recording.sealing
    url = stack.database_url.replace("://postgres:@", "://postgres@").replace("://postgres@", "://postgres:canary-db@")
    secrets = {
        "DATABASE_URL": url,
        "JOBPLATFORM_SIGNING_KEYS": f"now:{KEYS['s']},before:{KEYS['t']}",
        "JOBPLATFORM_ENCRYPTION_KEYS": f"e1:{KEYS['u']}",
    }
    with Fleet(stack, tmp_path, [secret_jobs.__name__], **secrets) as made:
        yield made
    Channel.ring, Recording.ring, Recording.sealing = before


def told(fleet: Fleet, *but: str) -> dict[str, str]:
    """Give all rows of all tables as text, by table, but for some columns."""
    names = fleet.rows("select tablename from pg_tables where schemaname = %(schema)s", schema=fleet.settings.schema)
    found = {}
    for each in names:
        rows = fleet.rows(f"select to_jsonb(t) - %(but)s::text[] as row from @{each['tablename']} t", but=list(but))
        found[each["tablename"]] = json.dumps([row["row"] for row in rows])
    return found


def redis_text(fleet: Fleet) -> str:
    return repr([fleet.redis.dump(name) for name in fleet.redis.scan_iter()])


def test_secrets_reach_no_log_and_no_error_and_encrypted_ones_no_store(fleet: Fleet) -> None:
    pay, hide, extend = (fleet.client.tasks[f"secret_jobs.{name}"] for name in ("pay", "hide", "extend"))
    failing = pay.submit("canary-card", {"iban": "canary-iban"}, token="canary-token")
    hidden = [hide.submit("canary-note"), hide.submit(note="canary-lost", fails=True)]
    hidden.append(chain(hide.s("canary-one"), extend.s("canary-two")).apply_async())
    flow = Workflow.from_canvas(chain(hide.s("canary-six"), extend.s("canary-ten")), fleet.client).submit()
    hidden += [*flow.values(), hide.using(idempotency_key="k").submit("canary-once")]
    again = hide.using(idempotency_key="k").submit("canary-once")
    many = hide.submit_many([("canary-many",), {"note": "canary-more"}])
    assert "canary" not in str(told(fleet, "payload"))
    kept = fleet.rows("select payload::text as text from @jobs where job_type <> 'secret_jobs.pay'")
    assert len(kept) == 8 and "canary" not in str(kept)
    messages = [raw for raw in fleet.redis.lrange("celery", 0, -1) if b"secret_jobs.pay" not in raw]
    assert len(messages) == 7 and not any(
        re.search(b"canary|" + base64.b64encode(b"canary")[:8], raw) for raw in messages
    )
    controller, worker = fleet.start_controller(), fleet.start_worker("-c", "2", "-E")
    assert fleet.wait_final(10, 60) == {"COMPLETED": 8, "FAILED": 2}
    assert again.id == hidden[-1].id
    assert hidden[0].get(timeout=10) == {"note": "canary-note"}
    assert hidden[2].get(timeout=10) == "canary-one and canary-two"[::-1]
    assert flow[max(flow)].get(timeout=10) in ({"note": "canary-six"}, "canary-six and canary-ten"[::-1])
    assert {fleet.client.AsyncResult(job_id).get(timeout=10)["note"] for job_id in many} == {
        "canary-many",
        "canary-more",
    }
    errors = fleet.rows("select error_message, traceback from @job_executions where error_message is not null")
    assert len(errors) == 2 and all("***" in row["error_message"] and "***" in row["traceback"] for row in errors)
    logs = fleet.rows("select text from @attempt_logs")
    assert len(logs) == 2 and all("***" in row["text"] for row in logs)
    for name, text in told(fleet).items():
        if name not in ("jobs", "dead_letter_jobs"):
            assert "canary" not in text, name
    assert "canary" not in str(told(fleet, "payload", "message"))
    payloads = fleet.rows("select payload::text as text from @jobs where payload::text like '%%canary%%'")
    assert len(payloads) == 1
    assert not re.search("canary|yranac", redis_text(fleet))
    for log in (controller.log, worker.log):
        found = [line for line in log.read_text().splitlines() if "canary" in line or "yranac" in line]
        assert found == [], found
    assert "declined by https://shop:***@bank.example/pay" in worker.log.read_text()
    row = fleet.rows("select message from @jobs where job_id = %(id)s", id=failing.id)[0]
    assert row["message"]["secret"] == ["kwargs.card", "args.0", "kwargs.customer.iban", "args.1.iban"]


def forged(job_id: str, ring: KeyRing, **changes: Any) -> bytes:
    value = json.loads(
        envelope(Message(job_id, "secret_jobs.count", '{"args":["abc"],"kwargs":{}}', "celery", 1, 1.0), ring)
    )
    value["headers"].update(changes)
    return json.dumps(value).encode()


def test_what_is_not_signed_is_kept_and_not_run(fleet: Fleet) -> None:
    ring, count = fleet.settings.signing_keys, fleet.client.tasks["secret_jobs.count"]
    jobs = [count.submit("abc").id for _ in range(4)]
    fleet.redis.delete("celery")
    for job_id, raw in zip(
        jobs,
        [
            forged(jobs[0], KeyRing()),
            forged(jobs[1], ring, task="secret_jobs.hide"),
            forged(jobs[2], KeyRing({"before": ring.keys["before"]})),
            forged(jobs[3], KeyRing({"gone": b"x" * 32}), task="nowhere.at_all"),
        ],
        strict=True,
    ):
        assert job_id.encode() in raw
        fleet.redis.lpush("celery", raw)
    fleet.redis.lpush("celery", forged("not-a-uuid", KeyRing()), b"\xff")
    fleet.start_controller()
    worker = fleet.start_worker("-c", "1")
    count.delay("celery's way")
    chain(count.s("of"), count.si("links")).apply_async()
    eventually(lambda: fleet.states() == {"PAUSED": 3, "COMPLETED": 4}, 30, fleet.describe)
    held = fleet.rows("select job_id::text as id, hold_reason from @jobs where status = 'PAUSED'")
    assert {row["id"] for row in held} == {jobs[0], jobs[1], jobs[3]}
    assert all(row["hold_reason"].startswith("unsigned: ") or "unsigned: " in row["hold_reason"] for row in held)
    kept = fleet.rows("select reason from @journal_quarantine")
    assert sum("unsigned" in row["reason"] for row in kept) == 4 and len(kept) == 5
    assert worker.log.read_text().count("messages are refused and quarantined") == 1
    assert worker.running
