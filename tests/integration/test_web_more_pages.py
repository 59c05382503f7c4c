"""Pages of batches, limits, breakers, plans, the quarantine and alerts: read and steered, as the permissions say."""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from command_line import CliEnvironment
from starlette.testclient import TestClient
from web_place import add_user, browser, desk_at, sign_in, token_of

from jobplatform.actions import plans, schedule_edits
from jobplatform.actions.actor import Actor, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.actions.plans import Blast
from jobplatform.devstack.stack import DevStack
from jobplatform.maintenance.tallier import Tallier
from jobplatform.records import new_job_id
from jobplatform.settings import Settings
from jobplatform.store import alerts, audit, batches, breakers, migrate, models, quarantine, samples
from jobplatform.store.database import Database, Transaction

#: A text that would do something if a page took it for anything but text.
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def desk(stack: DevStack) -> Iterator[Desk]:
    """The desk of all of these tests, each of which has things of its own there: what is slow is to migrate."""
    schema = f"pages_{os.getpid()}_{uuid.uuid4().hex[:6]}"
    database = Database(settings := Settings(stack.database_url, stack.redis_url, schema=schema))
    migrate.upgrade(database)
    made = desk_at(settings, database)
    for name in ROLES:
        add_user(made, name, name)
    yield made
    database.close()


@pytest.fixture(scope="module")
def door(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as client:
        yield client


@pytest.fixture
def web(door: TestClient) -> TestClient:
    door.cookies.clear()
    sign_in(door, "admin")
    return door


@pytest.fixture
def place(desk: Desk) -> CliEnvironment:
    return CliEnvironment({}, desk.database)


def text(web: TestClient, path: str, status: int = 200) -> str:
    reply = web.get(path)
    assert reply.status_code == status, (path, reply.status_code, reply.text)
    assert "<script>alert" not in reply.text
    return reply.text


def press(web: TestClient, path: str, **fields: Any) -> str:
    """Press a button, answer what is asked, and give the page that tells of it."""
    reply = web.post(path, data=fields)
    if reply.status_code == 200:
        asked = re.search(r'name="sure" value="(\d+)"', reply.text)
        assert asked is not None, reply.text
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', reply.text)
        answer: dict[str, Any] = {}
        for name, value in hidden:
            answer.setdefault(name, []).append(unescape(value))
        reply = web.post(path, data={**answer, "typed": asked[1], **fields})
    assert reply.status_code == 303, (path, reply.status_code, reply.text)
    return text(web, reply.headers["location"])


def deeds(desk: Desk) -> list[str]:
    with desk.look() as session:
        return [row["action"] for row in audit.listed(session, 50)]


def test_a_batch_is_followed_and_steered(web: TestClient, desk: Desk, place: CliEnvironment) -> None:
    assert "No batches yet" in text(web, "/batches")
    batch_id = new_job_id()
    with desk.database.transaction() as transaction:
        batches.insert(transaction, batch_id, HOSTILE, {})
    failed, waiting = place.fail(batch_id=batch_id), place.add(batch_id=batch_id)
    counted(desk)
    assert batch_id in text(web, "/batches") and batch_id in text(web, "/batches?unfinished=true")
    shown = text(web, f"/batches/{batch_id}")
    assert "1 failed, 1 waiting" in shown and f"q=batch%3A{batch_id}+state%3Afailed" in shown.replace("%20", "+")
    assert text(web, f"/jobs?q=batch:{batch_id}+state:failed").count(failed) and place.status(waiting) == "PENDING"
    assert "1 failed job to run once more." in press(web, f"/batches/{batch_id}/retry")
    assert place.status(failed) == "PENDING"
    assert "It is closed" in press(web, f"/batches/{batch_id}/close")
    assert "It is being cancelled" in press(web, f"/batches/{batch_id}/cancel", reason="enough")
    counted(desk)
    assert "enough" in text(web, f"/batches/{batch_id}") and "2 cancelled" in text(web, f"/batches/{batch_id}")
    assert "No batches here" in text(web, "/batches?unfinished=true")
    text(web, f"/batches/{new_job_id()}", 404)


def counted(desk: Desk) -> None:
    tallier = Tallier(desk.database)
    while tallier.run_once(datetime.now(UTC)):
        pass


def test_limits_and_the_order_of_queues_are_set_and_removed(web: TestClient, desk: Desk) -> None:
    assert "No limits" in text(web, "/limits")
    said = press(web, "/limits", name="queue:mail", slots="5", rate="100/m", burst="20")
    assert "queue:mail is limited: at most 5 at once, 100 a minute, 20 together after a pause." in said
    press(web, "/limits", name=f"type:{HOSTILE.replace(' ', '')}", slots="1")
    assert "queue:mail" not in table(text(web, "/limits?find=type:"))
    form = text(web, "/limits?of=queue:mail")
    assert 'value="100/m"' in form and 'name="slots" value="5"' in form and 'value="20"' in form
    for given, problem in (
        ({"name": "mail", "slots": "1"}, "not named after anything"),
        ({"name": "queue:mail"}, "bounds nothing"),
        ({"name": "queue:mail", "slots": "1.5"}, "no whole number"),
        ({"name": "queue:mail", "rate": "often"}, "is no rate"),
    ):
        reply = web.post("/limits", data=given)
        assert reply.status_code == 422 and problem in reply.text and 'name="slots"' in reply.text
    assert "mail is served by tenants" in press(web, "/limits/order", queue="mail", fair="true", age="60")
    assert "a weighs 3 in mail." in press(web, "/limits/weight", queue="mail", tenant="a", weight="3")
    assert "a: 3" in text(web, "/limits")
    assert web.post("/limits/weight", data={"queue": "mail", "tenant": "a", "weight": "0"}).status_code == 422
    assert "is not limited any more" in press(web, "/limits/remove", name="queue:mail")
    assert "was not limited" in press(web, "/limits/remove", name="queue:mail")


def table(page: str) -> str:
    """Give the list of a page alone."""
    return page.partition("<tbody>")[2].partition("</tbody>")[0]


def test_breakers_say_what_they_do_and_are_forced(web: TestClient, desk: Desk) -> None:
    assert "No breaker holds anything" in text(web, "/breakers")
    now = datetime.now(UTC).timestamp()
    row = {"cause": HOSTILE, "state": "open", "reason": "19 of 20 jobs failed", "opened_at": now - 120.0}
    row |= {"probe_at": now + 300.0, "probes": 2, "canary_at": None, "job_types": ["shop.charge"]}
    with desk.database.transaction() as transaction:
        breakers.save(transaction, [row])
    shown = unescape(text(web, "/breakers"))
    assert "Holds what fails of it (opened 2 min ago): 19 of 20 jobs failed." in shown
    assert "The next job tries in 4 min, after 2 tries in vain." in shown
    assert f"{HOSTILE} is held closed." in unescape(press(web, "/breakers/force", cause=HOSTILE, forced="closed"))
    assert "admin forced it closed, and so it stays until it is reset." in text(web, "/breakers")
    assert "decides by itself again" in press(web, "/breakers/force", cause=HOSTILE, forced="auto")
    assert "host:api.local is held open." in press(web, "/breakers/force", cause="host:api.local", forced="open")
    assert "host:api.local" in text(web, "/breakers?every=true")
    assert web.post("/breakers/force", data={"cause": "x", "forced": "ajar"}).status_code == 422


AGENT = Actor("ann/agent", Via.AGENT, ROLES["operator"])


def planned(desk: Desk, jobs: int = 2, action: str = "jobs.cancel", **arguments: Any) -> str:
    blast = Blast(jobs, ["job-1"], f"Cancel {HOSTILE}")
    return str(plans.ask(desk, AGENT, action, {"reason": "\u202eesaelp", **arguments}, blast)["plan"])


def test_a_plan_is_read_and_decided_on_by_a_person(web: TestClient, desk: Desk) -> None:
    assert "No plan waits" in text(web, "/plans")
    plan = planned(desk, password="canary-secret", note=HOSTILE)
    assert plan in text(web, "/plans") and "waits for you" in text(web, "/plans")
    shown = unescape(text(web, f"/plans/{plan}"))
    assert "It touches 2" in shown and "\\u202eesaelp" in shown and HOSTILE in shown
    assert "canary-secret" not in shown and "***" in shown
    assert f"Approved: the agent may apply {plan} once" in press(web, f"/plans/{plan}/approve")
    assert ">Approve<" not in text(web, f"/plans/{plan}")
    assert f"the agent cannot apply {plan}" in press(web, f"/plans/{plan}/refuse")
    assert "refused" in text(web, f"/plans/{plan}") and "No plan waits" in text(web, "/plans")
    assert web.post(f"/plans/{plan}/approve", data={"sure": "2"}).status_code == 422
    assert {"plans.approve", "plans.refuse"} <= set(deeds(desk))


def test_a_plan_is_approved_with_the_number_that_it_touches_by_who_might_do_it(web: TestClient, desk: Desk) -> None:
    many, strange = planned(desk, 101), planned(desk, 1, "models.promote")
    asked = web.post(f"/plans/{many}/approve", data={"sure": "101"})
    assert asked.status_code == 422 and "type 101" in asked.text
    # Somebody else was shown another number.
    assert "touches 101, not 5" in unescape(web.post(f"/plans/{many}/approve", data={"sure": "5"}).text)
    press(web, f"/plans/{many}/approve")
    sign_in(web, "operator")
    shown = text(web, f"/plans/{strange}")
    assert ">Approve<" not in shown and "takes the permission models.write" in shown
    assert web.post(f"/plans/{strange}/approve", data={"sure": "1"}).status_code == 403
    assert "Refused" in press(web, f"/plans/{strange}/refuse")


def kept(desk: Desk, raw: bytes, kind: str = "message", queue: str | None = "mail") -> int:
    row = {"stream_id": f"{new_job_id()}", "field": "e1", "kind": kind, "queue": queue, "size": len(raw)}
    row |= {"job_id": None, "raw": base64.b64encode(raw).decode(), "reason": f"no JSON: {HOSTILE}"}
    with desk.database.transaction() as transaction:
        quarantine.add(transaction, [row])
        return int(quarantine.list_quarantine(transaction, limit=1)[0]["quarantine_id"])


def test_what_is_in_quarantine_is_read_replayed_and_discarded(web: TestClient, desk: Desk, client: Any) -> None:
    assert "Nothing is in quarantine" in text(web, "/quarantine")
    body = base64.b64encode(json.dumps([[], {"password": "canary-secret"}, {}]).encode()).decode()
    first = kept(desk, json.dumps({"body": body, "headers": {"task": HOSTILE}}).encode())
    second, third = kept(desk, b"\xff\x1b password=canary-secret"), kept(desk, b"{", "entry", None)
    listed = text(web, "/quarantine?kind=message&queue=mail")
    assert f"message {first}" in listed and f"entry {third}" not in listed
    for number, word in ((first, HOSTILE), (second, r"\xff\u001b")):
        shown = unescape(text(web, f"/quarantine/{number}"))
        assert "canary-secret" not in shown and word in shown and "***" in shown
    assert "1 replayed." in press(web, "/quarantine/do/replay", quarantine_id=first)
    assert client.llen("mail") == 1 and "replayed" in text(web, f"/quarantine/{first}")
    assert "1 discarded." in press(web, "/quarantine/do/discard", quarantine_id=second)
    assert web.post("/quarantine/do/discard", data={}).status_code == 422
    assert web.post("/quarantine/do/replay", data={"whole": "true", "queue": "none"}).status_code == 422
    assert "1 discarded." in press(web, "/quarantine/do/discard", whole="true", kind="entry")
    assert "discarded" in text(web, "/quarantine?resolved=true&kind=entry")
    viewer = token_of(desk, "admin", "viewer")
    web.cookies.clear()
    shown = web.get(f"/quarantine/{second}", headers=viewer).text
    assert "jobs.payload" in shown and r"\xff" not in shown and "<button data-asks" not in shown


def test_alerts_are_listed_muted_and_tried(web: TestClient, desk: Desk) -> None:
    shown = text(web, "/alerts")
    assert (
        "Nothing is wrong" in shown and "20 jobs are given up within 10 minutes" in shown and "Send a test" not in shown
    )
    now = datetime.now(UTC)
    found = [{"condition": "long wait", "subject": HOSTILE, "message": f"{HOSTILE} waits"}]
    with desk.database.transaction() as transaction:
        alerts.note_found(transaction, found, now - timedelta(hours=1))
        alerts.note_found(transaction, [{**found[0], "subject": "mail", "message": "mail waits"}], now)
        alerts.close_calm(transaction, now)
    assert "mail waits" in text(web, "/alerts") and f"{HOSTILE} waits" in unescape(text(web, "/alerts?every=true"))
    meant = {"condition": "long wait", "subject": "mail"}
    said = press(web, "/alerts/mute", **meant, until="a day", reason="known")
    assert "Nobody is told of long wait (mail), for a day." in said and "known" in said and "muted" in said
    assert "People are told of long wait (mail) again." in press(web, "/alerts/unmute", **meant)
    assert web.post("/alerts/unmute", data=meant).status_code == 409
    assert web.post("/alerts/mute", data={**meant, "sure": "1", "until": "once"}).status_code == 422
    assert "the settings name no target" in press(web, "/alerts/test")


def test_times_that_are_past_are_counted_before_they_are_made_up_for(web: TestClient, desk: Desk) -> None:
    name = "tidy/all of it"
    schedule_edits.add(desk, at_terminal("root"), name, "shop.tidy", "0 4 * * *", {})
    path = f"/schedules/{quote(name)}"
    assert "Count them" in text(web, path)
    asked = {"name": name, "since": "2026-01-01T00:00", "until": "2026-01-03T23:00"}
    counted = web.post("/schedules/backfill", data=asked)
    assert "Make 3 jobs of tidy/all of it?" in counted.text and "2026-01-01 04:00:00 UTC" in counted.text
    assert "3 jobs were made." in press(web, "/schedules/backfill", **asked)
    again = web.post("/schedules/backfill", data={**asked, "until": "2026-01-04T05:00", "in_turn": "true"})
    assert "of which 3 have a job already" in again.text and "one after the other" in again.text
    for wrong in ({"since": "soon"}, {"since": "2026-01-03T23:00", "until": "2026-01-01T00:00"}):
        reply = web.post("/schedules/backfill", data={**asked, **wrong})
        assert reply.status_code == 422 and 'class="problem"' in reply.text


def test_queues_and_models_are_drawn_with_their_numbers_beside(web: TestClient, desk: Desk) -> None:
    assert "no samples" in text(web, "/queues")
    at = datetime.now(UTC) - timedelta(minutes=5)
    sample = {"queue": "celery", "depth": 7, "arrived": 0, "started": 0, "finished": 0, "running": 0, "seconds": 30}
    with desk.database.transaction() as transaction:
        samples.add_queues(transaction, [sample], at)
        version = model(transaction, "retry", [[0.1, 0.15, 40], [0.8, 0.7, 10]])
        other = model(transaction, "demand", [0.5])
    shown = text(web, "/queues")
    assert 'class="line" d="M' in shown and "celery in the last hour: 7 to 7 waited" in shown
    assert re.search(r'</th><td class="num">7</td></tr>', shown)
    assert f"retry {version}" in text(web, "/models")
    shown = text(web, f"/models/{version}")
    assert shown.count('<circle class="dot"') == 2 and "70.0 %" in shown
    assert "calibration" not in text(web, f"/models/{other}").partition("<main")[2]


def model(transaction: Transaction, kind: str, calibration: list[Any]) -> int:
    row: dict[str, Any] = {"kind": kind, "window_from": 0.0, "window_to": 1.0, "rows": 1, "features": []}
    row |= {"base_rate": 0.5, "metrics": {}, "calibration": calibration, "artifact": b"", "sha256": "", "reason": ""}
    return models.add(transaction, row)


def test_who_may_not_steer_sees_no_buttons_and_fewer_places(web: TestClient, desk: Desk) -> None:
    sign_in(web, "viewer")
    for path in ("/batches", "/limits", "/breakers", "/quarantine", "/alerts", "/queues", "/schedules"):
        shown = text(web, path)
        assert "<button data-asks" not in shown and 'method="post" action="/alerts' not in shown, path
        assert 'href="/plans"' not in shown and 'href="/limits"' in shown and ">Room<" in shown
    text(web, "/plans", 403)
