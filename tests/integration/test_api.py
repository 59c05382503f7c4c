"""What programs do over HTTP, from submitting to steering, and how each answer is made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery
from starlette.testclient import TestClient
from web_place import add_user, browser, desk_at, token_of

import jobplatform
from jobplatform import job
from jobplatform.actions import bulk, pacing, repeated
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.bulk import Wish
from jobplatform.actions.desk import Desk
from jobplatform.journal.writer import connect
from jobplatform.records import NewJob, new_job_id
from jobplatform.settings import Settings
from jobplatform.store import audit, new_jobs
from jobplatform.store.database import Database

API = "/api/v1"
_PAYLOAD = '{"args": [], "kwargs": {"customer": {"id": 42}}}'


@job(name="served.charge")
def charge(customer: dict[str, int], card: str = "") -> None: ...


@pytest.fixture
def desk(settings: Settings, database: Database, client: Any) -> Iterator[Desk]:
    settings = replace(settings, submit_rate=0.01, submit_burst=5)
    app = Celery("served", set_as_current=False)
    jobplatform.attach(app, settings)
    made = desk_at(settings, database, app)
    add_user(made, "ann", "admin")
    yield made
    app.jobplatform.close()
    app.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as client:
        client.headers.update(token_of(desk, "ann", "admin"))
        yield client


def put(database: Database, job_type: str, **more: Any) -> str:
    job = NewJob(
        new_job_id(), job_type, '{"args": [], "kwargs": {"customer": {"id": 42}}}', **{"queue": "celery", **more}
    )
    with database.transaction() as transaction:
        new_jobs.insert_one(transaction, job)
    return job.job_id


def test_a_job_is_submitted_once_shown_found_and_steered(web: TestClient, desk: Desk) -> None:
    asked = {"job_type": "served.charge", "payload": {"customer": {"id": 42}}, "tags": ["vip"], "priority": 3}
    key = {"Idempotency-Key": "order-1"}
    made, again = (web.post(f"{API}/jobs", json=asked, headers=key) for _ in range(2))
    assert (made.status_code, made.json()) == (201, again.json())
    job_id = made.json()["job_id"]
    assert web.get(made.headers["location"]).json()["job"]["priority"] == 3
    other = {**asked, "payload": {"customer": {"id": 43}}}
    assert web.post(f"{API}/jobs", json=other, headers=key).status_code == 409
    wrong = web.post(f"{API}/jobs", json={**asked, "payload": {"customer": "x", "card": 1}})
    assert wrong.status_code == 422 and "customer" in wrong.json()["detail"]
    assert web.post(f"{API}/jobs", json={**asked, "colour": "red"}).status_code == 422
    found = web.get(f"{API}/jobs", params={"q": "tag:vip type:served.charge"}).json()["rows"]
    assert [row["job_id"] for row in found] == [job_id]
    tried = web.post(f"{API}/jobs/cancel", json={"job_ids": [job_id], "dry_run": True}).json()
    assert tried["counts"] == {"matching": 1}
    done = web.post(f"{API}/jobs/cancel", json={"job_ids": [job_id, new_job_id()], "reason": "no more"}).json()
    assert (done["jobs"], len(done["missing"])) == ({job_id: "cancelled"}, 1)
    assert web.get(f"{API}/jobs/states", params={"job_id": job_id}).json() == {"states": {job_id: "CANCELLED"}}


def test_lists_are_paged_linked_and_tagged_and_say_how_far_they_looked(web: TestClient, database: Database) -> None:
    ids = [put(database, "shop.mail") for _ in range(5)]
    first = web.get(f"{API}/jobs", params={"q": "type:shop.mail", "limit": 2})
    assert [row["job_id"] for row in first.json()["rows"]] == ids[:2:-1]
    assert first.json()["looked"] is None
    link = first.headers["link"]
    second = web.get(link[1 : link.index(">")]).json()
    assert [row["job_id"] for row in second["rows"]] == ids[2:0:-1]
    last = web.get(f"{API}/jobs", params={"q": "type:shop.mail", "limit": 2, "after": second["next"]})
    assert (last.json()["next"], "link" in last.headers) == (None, False)
    again = web.get(f"{API}/jobs/{ids[0]}")
    assert again.status_code == 200 and again.json()["job"]["payload"]["kwargs"] == {"customer": {"id": 42}}
    same = web.get(f"{API}/jobs/{ids[0]}", headers={"if-none-match": again.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    for wrong in ("!", "e30", "WzFd", "IngA"):
        assert web.get(f"{API}/jobs", params={"after": wrong}).status_code == 422
    refused = web.get(f"{API}/jobs", params={"q": "type:a stat:b"})
    assert (refused.status_code, refused.json()["position"]) == (422, 8)
    assert web.get(f"{API}/jobs/count", params={"q": "kwargs.customer.id:42"}).json() == {"jobs": 5, "whole": True}


def test_payloads_are_for_those_alone_who_may_see_them(web: TestClient, desk: Desk, database: Database) -> None:
    job_id = put(database, "shop.mail")
    web.headers.update(token_of(desk, "ann", "viewer"))
    assert web.get(f"{API}/jobs/{job_id}").json()["job"]["payload"] == {"withheld": "jobs.payload"}
    assert web.get(f"{API}/jobs", params={"q": "kwargs.customer.id:42"}).status_code == 403


def test_a_write_with_a_key_is_done_once_and_answered_the_same(web: TestClient, desk: Desk) -> None:
    key, asked = {"Idempotency-Key": "pause-1"}, {"names": ["celery"], "reason": "a look"}
    first = web.post(f"{API}/queues/pause", json=asked, headers=key)
    second = web.post(f"{API}/queues/pause", json=asked, headers=key)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")
    with desk.look() as session:
        assert len(audit.listed(session, 10, action="queues.pause")) == 1
    other = web.post(f"{API}/queues/pause", json={**asked, "names": ["mail"]}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:jobplatform:request-refused")
    # What was refused did nothing, so that its key can be used again.
    key = {"Idempotency-Key": "pause-2"}
    assert web.post(f"{API}/queues/pause", json={}, headers=key).status_code == 422
    assert web.post(f"{API}/queues/pause", json=asked, headers=key).status_code == 200
    secret = web.post(f"{API}/tokens", json={"user": "ann", "name": "t", "permissions": []}, headers=key)
    assert secret.status_code == 422 and "secret" in secret.json()["detail"]


def test_who_submits_too_fast_is_told_when_to_come_again(web: TestClient) -> None:
    asked = {"jobs": [{"job_type": "nobody.knows"}] * 5}
    assert web.post(f"{API}/jobs/many", json=asked).status_code == 404
    refused = web.post(f"{API}/jobs/many", json=asked)
    assert refused.status_code == 429
    assert 400 < int(refused.headers["retry-after"]) <= 500
    own = web.post(f"{API}/jobs", json={"job_type": "jobplatform.bulk", "payload": [1]})
    assert own.status_code in (422, 429)


def test_who_submits_is_let_through_while_nobody_can_count(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    away = replace(desk, redis=lambda: connect("redis://127.0.0.1:1/0", timeout=0.1))
    pacing.admit(away, at_terminal("ann"), 1_000)
    assert "uncounted" in caplog.text


def test_a_request_that_was_cut_off_is_not_done_again(web: TestClient, desk: Desk) -> None:
    asked = {"names": ["celery"]}
    body = b'{"names":["celery"]}'
    fingerprint = hashlib.sha256(b"POST /api/v1/queues/resume?\n" + body).hexdigest()
    assert repeated.claim(desk, replace(at_terminal("ann"), name="ann/test"), "cut-1", fingerprint) is None
    headers = {"Idempotency-Key": "cut-1", "content-type": "application/json"}
    refused = web.post(f"{API}/queues/resume", content=body, headers=headers)
    assert refused.status_code == 409 and "look what became of it" in refused.json()["detail"]
    assert web.post(f"{API}/queues/resume", json=asked, headers={"Idempotency-Key": "cut-2"}).status_code == 200


@pytest.fixture
def outside(desk: Desk, database: Database) -> dict[str, Any]:
    """Things of a queue and a tenant that somebody else may not see."""
    job_id = put(database, "shop.secret", queue="hidden", tenant="other")
    wish = Wish("jobs.retry", "type:shop.secret")
    return {
        "job_id": job_id,
        "root_id": job_id,
        "batch_id": job_id,
        "bulk_id": bulk.start(desk, at_terminal("r"), wish),
    }


@pytest.mark.parametrize("scope", [Scope(frozenset({"celery"})), Scope(None, frozenset({"acme"}))])
def test_what_is_out_of_scope_is_not_there(web: TestClient, desk: Desk, outside: dict[str, Any], scope: Scope) -> None:
    web.headers.update(token_of(desk, "ann", "admin", scope))
    job_id = outside["job_id"]
    for path in (
        "/jobs/{job_id}", "/jobs/{job_id}/graph", "/jobs/{job_id}/eta", "/workflows/{root_id}", "/batches/{batch_id}",
        "/batches/{batch_id}/eta", "/bulk/{bulk_id}",
    ):  # fmt: skip
        assert web.get(API + path.format(**outside)).status_code == 404, path
    assert web.post(f"{API}/bulk/{outside['bulk_id']}/cancel", json={}).status_code == 404
    for verb in ("retry", "cancel", "pause", "resume"):
        assert web.post(f"{API}/jobs/{verb}", json={"job_ids": [job_id]}).status_code == 404, verb
    assert web.post(f"{API}/jobs/move", json={"job_ids": [job_id], "priority": 5}).status_code == 404
    for path in ("/jobs?q=type:shop.secret", "/bulk", "/batches", "/workflows", "/letters"):
        assert web.get(API + path).json()["rows"] == [], path
    assert web.get(f"{API}/jobs/count?q=type:shop.secret").json()["jobs"] == 0
    assert web.post(f"{API}/bulk/plan", json={"action": "jobs.cancel", "filter": "queue:hidden"}).json()["jobs"] == 0


def test_a_bulk_action_is_planned_then_begun_and_can_be_stopped(
    web: TestClient, desk: Desk, database: Database
) -> None:
    for _ in range(3):
        put(database, "shop.mail")
    asked = {"action": "jobs.cancel", "filter": "type:shop.mail since:1h"}
    plan = web.post(f"{API}/bulk/plan", json=asked).json()
    assert (plan["jobs"], plan["whole"], len(plan["sample"])) == (3, True, 3)
    assert plan["filter"].startswith("type:shop.mail since:20")
    begun = web.post(f"{API}/bulk", json={**asked, "filter": plan["filter"]})
    assert begun.status_code == 202
    number = begun.json()["bulk_id"]
    shown = web.get(begun.headers["location"]).json()
    assert (shown["status"], shown["job_status"], shown["expected"]) == ("waiting", "PENDING", 3)
    # Jobs that come later are none of those that were meant.
    later = put(database, "shop.mail")
    told: list[tuple[int, int]] = []
    assert bulk.run(desk, number, lambda *far: told.append(far), lambda: False) == {"cancelled": 3}
    assert told == [(3, 3)]
    assert web.get(f"{API}/jobs/{later}").json()["job"]["status"] == "PENDING"
    assert web.post(f"{API}/bulk/{number}/cancel", json={}).status_code == 409
    number = web.post(f"{API}/bulk", json={"action": "jobs.cancel", "filter": "type:shop.mail"}).json()["bulk_id"]
    assert web.post(f"{API}/bulk/{number}/cancel", json={}).status_code == 204
    assert bulk.run(desk, number, lambda *far: told.append(far), lambda: False) == {}
    assert web.get(f"{API}/bulk").json()["rows"][0]["status"] == "cancelled"
    for wrong in ({**asked, "filter": " "}, {**asked, "queue": "mail"}, {**asked, "action": "jobs.move"}):
        assert web.post(f"{API}/bulk", json=wrong).status_code == 422, wrong
