"""Every page and every role: who is let in is written down here, and held to the rules by real requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient
from web_place import add_user, browser, desk_at, token_of

from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.web import pages as web_pages
from jobplatform.web.app import make_app
from jobplatform.web.rule import served

_ID = "00000000-0000-7000-8000-000000000000"
#: For everybody, signed in or not.
EVERYBODY = {"GET /sign-in", "POST /sign-in", "GET /live", "GET /ready"}
#: The least role for each of the rest; whoever adds a page says here who sees it, and of a button, who may press it.
LEAST = {
    "viewer": {
        "GET /",
        "GET /alerts",
        "GET /api/docs",
        "GET /api/openapi.json",
        "GET /batches",
        "GET /batches/{batch_id}",
        "GET /breakers",
        "GET /bulk",
        "GET /bulk/{bulk_id}",
        "GET /dead-letters",
        "GET /dead-letters/{fingerprint}",
        "GET /decisions",
        "GET /history",
        "GET /jobs",
        "GET /jobs/columns",
        "GET /jobs/export",
        "GET /jobs/{job_id}",
        "GET /jobs/{job_id}/workflow",
        "GET /limits",
        "GET /live-updates",
        "GET /metrics",
        "GET /models",
        "GET /models/{version}",
        "GET /quarantine",
        "GET /quarantine/{quarantine_id}",
        "GET /queues",
        "GET /schedules",
        "GET /schedules/edit",
        "GET /schedules/{name:path}",
        "GET /settings",
        "GET /workers",
        "POST /jobs/filters",
        "POST /jobs/filters/remove",
        "POST /settings/look",
        "POST /sign-out",
    },
    "operator": {
        "GET /plans",
        "GET /plans/{plan_id}",
        "GET /submit",
        "POST /alerts/mute",
        "POST /alerts/test",
        "POST /alerts/unmute",
        "POST /batches/{batch_id}/{verb}",
        "POST /breakers/force",
        "POST /bulk/{bulk_id}/cancel",
        "POST /dead-letters/{fingerprint}/discard",
        "POST /dead-letters/{fingerprint}/edit",
        "POST /dead-letters/{fingerprint}/replay",
        "POST /jobs/steer/{verb}",
        # The payload, which takes a permission of its own, comes with the form: without it there is nothing to send.
        "POST /plans/{plan_id}/{verb}",
        "POST /quarantine/do/{verb}",
        "POST /queues/pause",
        "POST /queues/resume",
        "POST /schedules/backfill",
        "POST /schedules/do/{verb}",
        "POST /schedules/edit",
        "POST /settings/tokens",
        "POST /settings/tokens/revoke",
        "POST /submit",
        "POST /workers/ask/{duty}",
        "POST /workers/size",
    },
    "admin": {
        "GET /audit",
        "GET /dead-letters/letters/{dlq_id}",
        "GET /jobs/{job_id}/edit",
        "POST /jobs/{job_id}/edit",
        "GET /people",
        "POST /dead-letters/letters/{dlq_id}",
        "POST /limits",
        "POST /limits/order",
        "POST /limits/remove",
        "POST /limits/weight",
        "POST /models/{version}/{verb}",
        "POST /people",
        "POST /people/change",
    },
}
#: Whoever may have it is answered for as long as they listen.
_ENDLESS = "GET /live-updates"


@pytest.fixture
def desk(settings: Settings, database: Database) -> Desk:
    return desk_at(settings, database)


@pytest.fixture
def web(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as client:
        yield client


def pages(web: TestClient) -> list[str]:
    """List what is asked for beside the API, each with its method."""
    found = [each for each in served(cast(FastAPI, web.app)) if not each.path.startswith("/api/v1/")]
    return sorted(f"{method} {each.path}" for each in found for method in each.methods - {"HEAD"})


def ask(web: TestClient, page: str, headers: dict[str, str]) -> tuple[int, str]:
    """Ask for a page of what is not there, so that nothing is done and a refusal is known to come first."""
    method, path = page.split()
    path = re.sub(r"\{(job_id|batch_id)\}", _ID, path)
    path = re.sub(r"\{(version|\w*_id)\}", "7", path)
    reply = web.request(method, re.sub(r"\{[\w:]+\}", "nothing", path), headers=headers)
    return reply.status_code, reply.text


def test_each_page_is_for_whom_it_is_said_to_be_and_for_nobody_else(web: TestClient, desk: Desk) -> None:
    known = EVERYBODY.union(*LEAST.values())
    assert set(pages(web)) == known, "a page was added or left: say in this file who may have it"
    add_user(desk, "ann", "admin")
    ranks = list(LEAST)
    tokens = {role: token_of(desk, "ann", role) for role in ranks}
    for page in sorted(known):
        least = next((rank for rank, role in enumerate(ranks) if page in LEAST[role]), None)
        status, text = ask(web, page, {})
        if least is None:
            assert status not in (401, 403, 500) and "/sign-in?next" not in text, page
            continue
        # A browser is sent to the form, and back from there; what changes something is refused.
        assert status == (303 if page.startswith("GET ") and not page.startswith("GET /api/") else 401), page
        for rank, role in enumerate(ranks):
            if page == _ENDLESS and rank >= least:
                continue
            status, text = ask(web, page, tokens[role])
            assert (status == 403) is (rank < least), (page, role, status)
            assert status not in (401, 500), (page, role, status)
            assert rank >= least or "permission" in text, (page, role)


def test_nobody_is_shown_a_way_that_leads_them_to_a_refusal(web: TestClient, desk: Desk) -> None:
    add_user(desk, "ann", "admin")
    for role in ROLES:
        token = token_of(desk, "ann", role)
        seen, waiting = set[str](), ["/"]
        while waiting:
            path = waiting.pop()
            reply = web.get(path, headers=token)
            assert reply.status_code == 200, (role, path, reply.status_code)
            seen.add(path)
            # What is told and not shown, as a file or a document, has no ways on.
            found = (
                re.findall(r'<a [^>]*href="(/[^"?#]*)', reply.text)
                if "text/html" in reply.headers["content-type"]
                else []
            )
            waiting += [each for each in dict.fromkeys(found) if each not in seen | set(waiting)]
        assert len(seen) > len(ROLES), role


def test_a_page_without_a_rule_keeps_the_application_from_starting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()

    @router.get("/anything")
    async def anything() -> None: ...

    monkeypatch.setattr(web_pages, "router", router)
    with pytest.raises(LookupError, match=r"anything: no rule says who may"):
        make_app(desk)
