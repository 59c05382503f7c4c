"""What is of other queues and tenants is neither read nor changed by its id: asked of every route that takes one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any, cast

import pytest
from celery import Celery
from command_line import CliEnvironment
from fastapi import FastAPI
from starlette.testclient import TestClient
from web_place import add_user, browser, desk_at, token_of

import jobplatform
from jobplatform.actions import bulk, replays, schedule_edits
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.bulk import Wish
from jobplatform.actions.desk import Desk
from jobplatform.actions.replays import Pace
from jobplatform.records import new_job_id
from jobplatform.settings import Settings
from jobplatform.store import batches, clusters, job_types, quarantine
from jobplatform.store.database import Database
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.web.rule import Served, served

ROOT = at_terminal("root")
SCOPES = (Scope(frozenset({"celery"})), Scope(None, frozenset({"acme"})))
#: What only the jobs of others say.
WHISPER = "whispered"
#: Of what a route with a place in its path tells or changes for everybody, whatever their queues.
EVERYBODYS = {
    "workers.show", "models.show", "models.evaluate", "models.report", "durations.show", "scaling.show",
    "clusters.show", "clusters.family",
}  # fmt: skip
#: Of people, and plans of agents.
OTHERS = {"users.change", "tokens.revoke", "plans.show", "plans.approve", "plans.refuse"}
#: What routes without a place in their path are told in their bodies.
NAMED: dict[str, dict[str, Any]] = {
    **{f"/jobs/{verb}": {"job_ids": ["{job_id}"]} for verb in ("retry", "cancel", "pause", "resume")},
    "/jobs/move": {"job_ids": ["{job_id}"], "priority": 5},
    **{f"/letters/{verb}": {"dlq_ids": ["{dlq_id}"]} for verb in ("resolve", "replay")},
    **{path: {"dlq_ids": ["{dlq_id}"]} for path in ("/replays", "/replays/plan")},
    **{f"/schedules/{verb}": {"names": ["{schedule}"]} for verb in ("pause", "resume", "run")},
    **{f"/quarantine/{verb}": {"ids": ["{quarantine_id}"]} for verb in ("replay", "discard")},
    **{f"/queues/{verb}": {"names": ["hidden"]} for verb in ("pause", "resume")},
}
#: What those with a place are told beside it.
BODIES: dict[str, Any] = {
    "letters.edit": {"payload": {"args": [1], "kwargs": {}}}, "clusters.assign": {"who": "ann"},
    "clusters.note": {"text": "mine"}, "clusters.mute": {"muted": True}, "clusters.merge": {"into": "{cluster}"},
    "limits.set": {"slots": 1}, "limits.order": {"fair": True}, "limits.weight": {"weight": 2.0},
    "schedules.change": {"cron": "@daily"},
    "schedules.backfill": {"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T02:00:00Z"},
}  # fmt: skip


@pytest.fixture
def desk(settings: Settings, database: Database, client: Any) -> Iterator[Desk]:
    app = Celery("scoped", set_as_current=False)
    jobplatform.attach(app, settings)
    made = desk_at(settings, database, app)
    add_user(made, "ann", "admin")
    yield made
    app.jobplatform.close()
    app.close()


@pytest.fixture
def hidden(desk: Desk, cli_environment: CliEnvironment) -> dict[str, str]:
    """Everything that has an id, of a queue and a tenant of others."""
    batch_id, fingerprint = new_job_id(), "ab" * 8
    with desk.database.transaction() as transaction:
        batches.insert(transaction, batch_id, WHISPER, {})
        kept = {"kind": "message", "size": 5, "job_id": None, "reason": "no JSON", "queue": "hidden"}
        raw = base64.b64encode(WHISPER.encode()).decode()
        quarantine.add(transaction, [{**kept, "raw": raw, "stream_id": "1-1", "field": "f"}])
        told = {"name": "shop.secret", "queue": "hidden", "words": WHISPER, "schema": None, "positional": []}
        job_types.publish(transaction, [{**told, "options": {}, "tool": False}], desk.now())
    place = {"queue": "hidden", "tenant": "other", "job_type": "shop.secret"}
    payload = f'{{"args": ["{WHISPER}"], "kwargs": {{}}}}'
    job_id = cli_environment.fail(message=WHISPER, payload=payload, batch_id=batch_id, **place)
    cli_environment.add(root_id=job_id, parent_id=job_id, **place)
    seen = {"errors": 1, "first_seen": 1.0, "last_seen": 2.0, "job_types": {"shop.secret": 1}, "releases": []}
    error = {"fingerprint": fingerprint, "error_type": "E", "text": "E", "sample": WHISPER, "traceback": WHISPER}
    with desk.database.transaction() as transaction:
        clusters.count(transaction, [{**error, **seen, "sample_job": job_id}])
        run = transaction.connection.exec_driver_sql
        dlq_id = run(f'update "{desk.settings.schema}".dead_letter_jobs set fingerprint = %s returning dlq_id',
                     (fingerprint,)).scalar_one()  # fmt: skip
    says = {"queue": "hidden", "payload_template": {"args": [WHISPER], "kwargs": {}}}
    schedule_edits.add(desk, ROOT, "theirs", "shop.secret", "@hourly", says)
    made = replays.start(desk, ROOT, LetterFilter((dlq_id,)), Pace(None, None, 10))
    assert made is not None
    return {
        "job_id": job_id, "root_id": job_id, "batch_id": batch_id, "dlq_id": str(dlq_id), "cluster": fingerprint,
        "replay_id": str(made["replay_id"]), "bulk_id": str(bulk.start(desk, ROOT, Wish("jobs.retry", "queue:hidden"))),
        "quarantine_id": "1", "queue": "hidden", "tenant": "other", "schedule": "theirs",
    }  # fmt: skip


def routes(web: TestClient) -> list[Served]:
    """List the routes of the API that name something, in their paths or by what they are told."""
    found = [each for each in served(cast(FastAPI, web.app)) if each.path.startswith("/api/v1/")]
    named = [each for each in found if "{" in each.path or each.path.removeprefix("/api/v1") in NAMED]
    return [each for each in named if each.rule and each.rule[0] not in EVERYBODYS | OTHERS]


def ask(web: TestClient, route: Served, hidden: dict[str, str], headers: dict[str, str]) -> Any:
    nouns = {"schedules": "theirs", "limits": "queue:hidden", "types": "shop.secret"}
    names = {**hidden, "name": nouns.get(route.path.split("/")[3], "")}
    path = re.sub(r"\{(\w+)\}", lambda place: names[place[1]], route.path)
    (method,) = route.methods - {"HEAD"}
    body = NAMED.get(route.path.removeprefix("/api/v1")) or BODIES.get((route.rule or ("",))[0], {})
    written = re.sub(r"\"\{(\w+)\}\"", lambda place: _value(hidden[place[1]]), json.dumps(body))
    more = {"content": written, "headers": {**headers, "content-type": "application/json"}}
    return web.request(method, path, **(more if method not in ("GET", "DELETE") else {"headers": headers}))


def _value(text: str) -> str:
    return text if text.isdecimal() else f'"{text}"'


def contents(desk: Desk) -> dict[str, str]:
    """Give what the tables hold of jobs, and not of who asked."""
    with desk.look() as session:
        run = session.connection.exec_driver_sql
        names = run("select tablename from pg_tables where schemaname = %s", (desk.settings.schema,)).scalars()
        told = "select coalesce(string_agg(t::text, chr(10) order by t::text), '') from"
        return {
            name: run(f'{told} "{desk.settings.schema}"."{name}" t').scalar_one()
            for name in sorted({*names} - {"audit_log", "api_tokens", "users", "request_keys"})
        }


@pytest.mark.owner
def test_what_is_out_of_scope_is_neither_told_nor_changed_by_any_route(desk: Desk, hidden: dict[str, str]) -> None:
    with browser(desk) as web:
        tokens = [token_of(desk, "ann", "admin", scope) for scope in (Scope(), *SCOPES)]
        found = routes(web)
        assert len(found) > 40
        for route in found:
            if "GET" in route.methods:
                assert ask(web, route, hidden, tokens[0]).status_code == 200, route
        before = contents(desk)
        for route, (scope, headers) in product(found, zip(SCOPES, tokens[1:], strict=True)):
            if scope.queues is None and route.rule == ("job_types.show",):
                # A type is of a queue, and of no tenant.
                continue
            reply = ask(web, route, hidden, headers)
            told = (route, scope, reply.text)
            assert reply.status_code in ((403, 404) if "{" in route.path else (200, 403, 404)), told
            assert WHISPER not in reply.text, told
        assert contents(desk) == before
