"""What is answered over HTTP is what the document of the API says, field by field."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import told_areas as areas
import told_work as work
from celery import Celery
from command_line import CliEnvironment
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient
from told import API, Told
from told_filled import of_filled
from web_place import add_user, browser, desk_at, token_of

import jobplatform
from jobplatform import job
from jobplatform.actions import saved_filters, schedule_edits
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.jobs.published import published
from jobplatform.maintenance.type_publisher import TypePublisher
from jobplatform.settings import Settings
from jobplatform.store import attempt_logs, dependencies, search
from jobplatform.store import workers as worker_rows
from jobplatform.store.database import Database

# What the controller tells of job types is written here as well.
pytestmark = pytest.mark.owner

ROOT = at_terminal("ann")


@job(name="told.charge")
def charge(customer: int, card: str = "") -> None:
    """Charge."""


@pytest.fixture
def desk(settings: Settings, database: Database, client: Any) -> Iterator[Desk]:
    app = Celery("told", set_as_current=False)
    jobplatform.attach(app, settings)
    app.loader.import_default_modules()
    TypePublisher(database, published(app)).run_once(datetime.now(UTC))
    # A fleet that starts successors, jobs whose time is over, and somebody who cannot be told of alerts.
    more = {"fleet": "kubernetes", "keep_days": 1.0, "alert_smtp": "smtp://127.0.0.1:1", "alert_mail": ("a@b.example",)}
    made = desk_at(replace(settings, **more), database, app)
    add_user(made, "ann", "admin")
    yield made
    app.jobplatform.close()
    app.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as made:
        made.headers.update(token_of(desk, "ann", "admin"))
        yield made


def seed(cli: CliEnvironment, desk: Desk) -> dict[str, Any]:
    """Put at least one of everything there."""
    failed = cli.fail(job_type="told.charge", payload='{"args": [1], "kwargs": {}}', tags=("vip",), tenant="acme")
    after = cli.add("BLOCKED", job_type="told.charge")
    schedule_edits.add(desk, ROOT, "nightly", "told.charge", "0 4 * * *", {"payload_template": {"args": [1]}})
    saved_filters.save(desk, ROOT, "late", "state:failed", ["queue"])
    said = {
        "pid": 1,
        "status": "alive",
        "started_at": time.time(),
        "last_seen_at": time.time(),
        "report": {"queues": ["celery"]},
    }
    with desk.database.transaction() as transaction:
        attempt_logs.record(transaction, [{"job_id": failed, "attempt": 1, "at": 1.0, "text": "a\nb", "cut": 3}])
        edge = [{"job_id": after, "after": [[failed, "success", "cancel"]]}]
        dependencies.insert(transaction, json.dumps(edge))
        rows = [{"worker_id": "w1", "name": "w1@here", **said}]
        worker_rows.record(transaction, rows, datetime(2026, 1, 1, tzinfo=UTC))
    return {"failed": failed, "after": after}


def test_answers_have_the_fields_and_types_that_the_document_says(
    web: TestClient, desk: Desk, cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, told = seed(cli_environment, desk), Told(web)
    Draft202012Validator.check_schema({"components": told.components})
    shown = told.ask("GET", "/jobs/{job_id}", job_id=ids["failed"])
    assert shown["attempts"] and shown["decisions"] and shown["edges"]
    listed = told.ask("GET", "/jobs")
    assert len(listed["rows"]) == 2
    for path in ("/jobs/{job_id}/logs", "/jobs/{job_id}/logs/ends", "/jobs/{job_id}/graph"):
        assert told.ask("GET", path, job_id=ids["failed"])
    for path in (
        "/queues",
        "/workers",
        "/schedules",
        "/schedules/check",
        "/letters",
        "/letters/count",
        "/filters",
        "/jobs/count",
    ):
        assert told.ask("GET", path), path
    assert told.ask("GET", "/workers/{name}", name="w1@here")["status"] == "alive"
    assert told.ask("GET", "/schedules/{name}", name="nightly")["next_runs"]
    assert told.ask("GET", "/schedules/preview?cron=nightly")["rows"]
    assert told.ask("GET", "/letters/{dlq_id}", dlq_id=1)["payload"]
    edit = {"payload": {"args": [2], "kwargs": {}}, "dry_run": True}
    assert told.ask("PUT", "/letters/{dlq_id}/payload", json=edit, dlq_id=1)["changes"]
    assert told.ask("POST", "/jobs/{job_id}/resubmit", json=edit, job_id=ids["failed"])["changes"]
    made = told.ask("POST", "/jobs/{job_id}/resubmit", 201, {**edit, "dry_run": False}, job_id=ids["failed"])
    assert told.ask("GET", "/jobs/{job_id}", job_id=made["job_id"])["job"]["edited_from"] == ids["failed"]
    new = {"job_type": "told.charge", "payload": [5]}
    job_id = told.ask("POST", "/jobs", 201, new)["job_id"]
    told.ask("POST", "/jobs/many", 201, {"jobs": [new, new]})
    for verb, more in (("pause", {}), ("resume", {}), ("move", {"priority": 5}), ("cancel", {}), ("retry", {})):
        told.ask("POST", f"/jobs/{verb}", json={"job_ids": [made["job_id"]], **more})
    told.ask("POST", "/replays/plan", json={"dlq_ids": [1], "canaries": 0})
    told.ask("POST", "/letters/replay", json={"dlq_ids": [1]})
    told.ask("POST", "/letters/resolve", json={"dlq_ids": [1]})
    for path in ("/replays", "/clusters", "/types/published", "/bulk", "/batches", "/workflows"):
        told.ask("GET", path)
    assert told.ask("GET", "/types/published/{name}", name="told.charge")["schema"]
    plan = {"action": "jobs.cancel", "filter": "type:told.charge"}
    assert told.ask("POST", "/bulk/plan", json=plan)["jobs"]
    number = told.ask("POST", "/bulk", 202, plan)["bulk_id"]
    told.ask("GET", "/bulk/{bulk_id}", bulk_id=number)
    told.ask("POST", "/queues/pause", json={"names": ["celery"]})
    told.ask("POST", "/workers/cordon", json={"names": ["w1@here"]})
    assert job_id and len(told.seen) > 25
    with monkeypatch.context() as patched:
        patched.setattr(search, "LOOK", 2)
        assert told.ask("GET", "/jobs?q=args.0:29999")["looked"]
    about_all_else(told, desk, cli_environment, ids)
    said = {operation for operation, (_, schema) in told.answering().items() if schema}
    assert said == told.seen and told.named() == told.held


def about_all_else(told: Told, desk: Desk, cli: CliEnvironment, ids: dict[str, Any]) -> None:
    """Ask for all that is not of a job and its dead letter; what is asked first is there for what is asked later."""
    areas.of_overview(told, desk)
    areas.of_schedules(told, desk)
    areas.of_queues(told, desk)
    areas.of_workers(told, desk, cli)
    areas.of_fleet(told, desk)
    work.of_batches(told, desk, cli)
    work.of_workflows(told, desk, ids)
    work.of_letters(told, desk, cli)
    work.of_clusters(told, desk, ids["failed"])
    work.of_quarantine(told, desk)
    work.of_models(told, desk)
    work.of_durations(told, desk, cli)
    areas.of_people(told, desk)
    areas.of_alerts(told, desk)
    areas.of_retention(told, desk, cli)
    areas.of_decisions(told)
    of_filled(told, desk, ids)
    areas.of_plans(told, desk)


def test_whatever_answers_json_says_what(web: TestClient) -> None:
    # Lines of JSON and a page for people have no schema.
    silent = {operation: kind for operation, (kind, schema) in Told(web).answering().items() if not schema}
    assert silent == {
        ("GET", "/letters/export"): "application/x-ndjson",
        ("GET", "/audit/export"): "application/x-ndjson",
        ("GET", "/models/{version}/report"): "text/html",
    }


def test_refusals_are_problem_documents_as_the_document_says(web: TestClient, desk: Desk) -> None:
    told = Told(web)
    schema = {"$ref": "#/components/schemas/ProblemDocument", "components": told.components}
    check = Draft202012Validator(schema)
    web.headers["accept"] = "application/json"
    refused = [
        web.get(f"{API}/jobs/none"),
        web.get(f"{API}/jobs?q=colour:red"),
        web.get(f"{API}/jobs/00000000-0000-7000-8000-000000000000"),
        web.post(f"{API}/jobs", json={"job_type": "told.charge", "payload": {"customer": "x"}}),
        web.get(f"{API}/jobs", headers={"authorization": "Bearer none"}),
        web.get(f"{API}/audit", headers=token_of(desk, "ann", "viewer", Scope())),
    ]
    assert [reply.status_code for reply in refused] == [422, 422, 404, 422, 401, 403]
    for reply in refused:
        assert reply.headers["content-type"] == "application/problem+json"
        assert not [each.message for each in check.iter_errors(reply.json())], reply.text
    operations = [each for item in told.document["paths"].values() for each in item.values()]
    for each in operations:
        content = each["responses"]["422"]["content"]
        assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    described = [each for each in operations if _answers(each)]
    assert len(described) >= 40


def _answers(operation: dict[str, Any]) -> bool:
    replies = [reply for status, reply in operation["responses"].items() if status in ("200", "201", "202")]
    return any(kind["schema"] for reply in replies for kind in reply["content"].values())
