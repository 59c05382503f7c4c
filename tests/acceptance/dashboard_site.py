"""The dashboard of a fleet as its tests know it: every page, and jobs for them to show."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import browser_place as place
from fleet import Fleet
from processes import eventually

from jobplatform import Workflow, batch
from jobplatform.actions import breakers, plans, schedule_edits
from jobplatform.actions.actor import Actor, Via
from jobplatform.actions.permission import ROLES
from jobplatform.actions.plans import Blast
from jobplatform.store import alerts, models, quarantine

#: Texts that would do something if a page took them for anything but text (OWASP, XSS filter evasion).
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' onmouseover='alert(3)",
    "javascript:alert(4)",
    "</textarea><svg/onload=alert(5)>",
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "<iframe srcdoc='<script>alert(6)</script>'>",
    "\u202e<b onclick=alert(7)>",
)
#: Every page, by a name for its picture: where it is, with what was seeded in braces.
PAGES = {
    "overview": "/",
    "jobs": "/jobs",
    "jobs-failed": "/jobs?q=state%3Afailed",
    "jobs-none": "/jobs?q=type%3Anone",
    "jobs-refused": "/jobs?q=colour%3Ared",
    "job-failed": "/jobs/{failed}",
    "job-hostile": "/jobs/{hostile}",
    "job-edit": "/jobs/{failed}/edit",
    "jobs-columns": "/jobs/columns",
    "workflow": "/jobs/{root}/workflow",
    "submit-types": "/submit",
    "submit": "/submit?type=dashboard_jobs.greet",
    "bulk": "/bulk",
    "bulk-one": "/bulk/{bulk}",
    "queues": "/queues",
    "workers": "/workers",
    "dead-letters": "/dead-letters",
    "dead-letter": "/dead-letters/{letter}",
    "letter-edit": "/dead-letters/letters/{dlq}",
    "schedules": "/schedules",
    "schedule": "/schedules/{schedule}",
    "schedule-form": "/schedules/edit?cron=0+8+*+*+1-5&timezone=Europe/Berlin&name=x&job_type=y",
    "decisions": "/decisions",
    "metrics": "/history",
    "models": "/models",
    "model": "/models/{model}",
    "audit": "/audit",
    "people": "/people",
    "batches": "/batches",
    "batch": "/batches/{batch}",
    "limits": "/limits",
    "breakers": "/breakers?every=true",
    "plans": "/plans",
    "plan": "/plans/{plan}",
    "quarantine": "/quarantine",
    "quarantined": "/quarantine/{quarantined}",
    "alerts": "/alerts",
    "settings": "/settings",
    "api": "/api/docs",
    "problem": "/jobs/none",
}
#: What is got from the application and is no page for people, and the page that is looked at before anybody signs in.
NO_PAGES = {
    "/api/openapi.json": "a document",
    "/jobs/export": "a file",
    "/live": "a probe",
    "/live-updates": "a stream",
    "/metrics": "for Prometheus",
    "/ready": "a probe",
    "/sign-in": "where every test begins",
}


class Site(NamedTuple):
    """The dashboard of a fleet, and a browser that watches its pages.

    :param paths: of all pages.
    """

    fleet: Fleet
    here: str
    browser: Any
    watched: place.Watched
    paths: dict[str, str]


def seed(fleet: Fleet) -> dict[str, str]:
    """Let there be something of everything; gives the paths of all pages."""
    tasks = fleet.client.tasks
    flow = Workflow(fleet.client)
    first = flow.add(tasks["dashboard_jobs.greet"].s("first"), name="first")
    seconds = [flow.add(tasks["dashboard_jobs.greet"].s(f"second {n}"), after=[first], name=f"s{n}") for n in range(3)]
    flow.add(tasks["dashboard_jobs.greet"].s("last"), after=seconds, name="last")
    flow.submit()
    for name in ("Ann", *HOSTILE):
        tasks["dashboard_jobs.charge"].submit(name, 42)
        tasks["dashboard_jobs.report"].submit(name)
    eventually(lambda: fleet.states()["COMPLETED"] == 5 and fleet.states()["FAILED"] == len(HOSTILE) + 1, 60)
    eventually(lambda: bool(fleet.rows("select 1 as one from @queue_samples limit 1")), 30)
    _hostile_rows(fleet)
    add_alert(fleet, HOSTILE[0])
    breakers.force(*place.desk_of(fleet), [HOSTILE[0]], "open")
    schedule_edits.add(*place.desk_of(fleet), "tidy <b>up</b>", "dashboard_jobs.greet", "0 4 * * mon-fri", {})
    (root,) = fleet.rows("select job_id::text from @jobs where status = 'COMPLETED' order by created_at limit 1")
    (failed,) = fleet.rows(
        "select job_id::text, fingerprint from @jobs where status = 'FAILED' and fingerprint is not null limit 1"
    )
    (hostile,) = fleet.rows("select job_id::text from @jobs where tenant = 'hostile' limit 1")
    (dlq,) = fleet.rows("select dlq_id from @dead_letter_jobs order by dlq_id limit 1")
    seeded = {
        "failed": failed["job_id"],
        "letter": failed["fingerprint"],
        "hostile": hostile["job_id"],
        "dlq": str(dlq["dlq_id"]),
        "root": root["job_id"],
        "schedule": quote("tidy <b>up</b>"),
        "bulk": str(add_bulk(fleet)),
        "model": str(add_model(fleet)),
        "batch": add_batch(fleet),
        "plan": add_plan(fleet),
        "quarantined": str(add_quarantined(fleet)),
    }
    return {name: path.format(**seeded) for name, path in PAGES.items()}


def add_bulk(fleet: Fleet) -> int:
    """Write something that is to be done to many jobs, with hostile words, and is not begun; gives its id."""
    (row,) = fleet.rows(
        """
        insert into @bulk_actions (actor, via, permissions, action, wish, filter, reason, expected, whole)
        values (%(text)s, 'web', array['jobs.steer'], 'jobs.cancel', '{}', %(text)s, %(text)s, 900, false)
        returning bulk_id
        """,
        text=HOSTILE[0],
    )
    return int(row["bulk_id"])


def add_model(fleet: Fleet, kind: str = models.RETRY) -> int:
    """Write a model that is not in use; gives its version."""
    row = {"kind": kind, "window_from": 0.0, "window_to": 0.0, "rows": 300, "features": ["load"]}
    row |= {"base_rate": 0.5, "metrics": {"skill": 0.2}, "calibration": [[0.2, 0.25, 50], [0.8, 0.75, 50]]}
    with fleet.database.transaction() as transaction:
        version = models.add(transaction, {**row, "artifact": b"{}", "sha256": "0" * 64, "reason": HOSTILE[1]})
        models.retire(transaction, version, HOSTILE[0])
    return version


def add_batch(fleet: Fleet) -> str:
    """Open a batch of two jobs, one of which waits and one has failed; gives its id."""
    made = batch(HOSTILE[0], app=fleet.client).open()
    made.add(fleet.client.tasks["dashboard_jobs.report"], HOSTILE[0])
    made.add(fleet.client.tasks["dashboard_jobs.fail"], "torn")
    eventually(lambda: made.progress().failed == 1, 30)
    return made.id


def add_plan(fleet: Fleet) -> str:
    """Let an agent ask for something; gives the id of its plan."""
    desk, _ = place.desk_of(fleet)
    blast = Blast(2, ["job-1"], f"Cancel {HOSTILE[0]}")
    agent = Actor("ann/agent", Via.AGENT, ROLES["operator"])
    return str(plans.ask(desk, agent, "jobs.cancel", {"reason": HOSTILE[1]}, blast)["plan"])


def add_quarantined(fleet: Fleet) -> int:
    """Keep a message that nobody could read; gives its number."""
    row = {"stream_id": str(uuid.uuid4()), "field": "e1", "kind": "message", "queue": "mail", "job_id": None}
    body = base64.b64encode(json.dumps([[HOSTILE[0]], {}, {}]).encode()).decode()
    raw = json.dumps({"body": body, "headers": {"task": HOSTILE[0]}}).encode()
    row |= {"size": len(raw), "raw": base64.b64encode(raw).decode(), "reason": f"no job type: {HOSTILE[0]}"}
    with fleet.database.transaction() as transaction:
        quarantine.add(transaction, [row])
        return int(quarantine.list_quarantine(transaction, limit=1)[0]["quarantine_id"])


def add_alert(fleet: Fleet, subject: str) -> None:
    """Let people be told of something."""
    found = {"condition": "long wait", "subject": subject, "message": f"{subject} waits"}
    with fleet.database.transaction() as transaction:
        alerts.note_found(transaction, [found], datetime.now(UTC))


def _hostile_rows(fleet: Fleet) -> None:
    """Write what no door would let in, as another program that has the database may."""
    for text in HOSTILE:
        payload = json.dumps({"args": [text], "kwargs": {text: {text: [text]}}})
        fleet.rows(
            """
            insert into @jobs (job_id, job_type, status, payload, queue, attempt, error_type, error_message, tags,
                tenant, worker_id, result, hold_reason)
            values (%(id)s, left(%(text)s, 100), 'PAUSED', %(payload)s, left(%(text)s, 100), 1, left(%(text)s, 100),
                %(text)s, array[%(text)s], 'hostile', %(text)s, %(payload)s, %(text)s)
            returning job_id
            """,
            id=str(uuid.uuid4()), text=text, payload=payload,
        )  # fmt: skip
