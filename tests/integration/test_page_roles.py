"""Every page and every role: shown or refused as the actions and the roles say, by real requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import cast

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient
from web_place import add_user, browser, desk_at

from jobplatform.actions import people
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.web import pages as web_pages
from jobplatform.web.app import make_app
from jobplatform.web.rule import Served, served

#: What a page looks at before it does what its rule names.
MORE = {"/dead-letters/{fingerprint}/replay": frozenset({Permission.LETTERS_READ})}
_ID = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def desk(settings: Settings, database: Database) -> Desk:
    return desk_at(settings, database)


@pytest.fixture
def web(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as client:
        yield client


def pages(web: TestClient) -> list[Served]:
    return [each for each in served(cast(FastAPI, web.app)) if not each.path.startswith("/api/") and each.rule]


def ask(web: TestClient, route: Served, headers: dict[str, str]) -> int:
    """Ask without the fields of a form, so that nothing is done and a refusal is known to come first."""
    path = re.sub(r"\{(\w*_id)\}", lambda named: _ID if named[1] == "job_id" else "7", route.path)
    path = re.sub(r"\{version\}", "7", path)
    (method,) = route.methods - {"HEAD"}
    return web.request(method, re.sub(r"\{[\w:]+\}", "nothing", path), headers=headers).status_code


def test_each_page_is_for_whom_its_rule_names_and_nobody_else(web: TestClient, desk: Desk) -> None:
    add_user(desk, "ann", "admin")
    tokens: dict[frozenset[Permission], dict[str, str]] = {}

    def token(held: frozenset[Permission]) -> dict[str, str]:
        if held not in tokens:
            made = people.add_token(desk, at_terminal("r"), "ann", "t", list(held), timedelta(days=1), Scope())
            tokens[held] = {"authorization": f"Bearer {made.secret}"}
        return tokens[held]

    found = pages(web)
    assert len(found) > 35
    for route in found:
        assert route.rule
        wanted = frozenset(each.permission for each in route.rule.actions) | MORE.get(route.path, frozenset())
        assert ask(web, route, {}) == (303 if "GET" in route.methods else 401), route
        for held in (*ROLES.values(), wanted, frozenset(Permission) - {min(wanted)}):
            status = ask(web, route, token(held))
            if wanted <= held:
                assert status in (200, 303, 404, 422), (route, held, status)
            else:
                assert status == 403, (route, held, status)


def test_a_page_without_a_rule_keeps_the_application_from_starting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()

    @router.get("/anything")
    async def anything() -> None: ...

    monkeypatch.setattr(web_pages, "router", router)
    with pytest.raises(LookupError, match=r"anything: no rule says who may"):
        make_app(desk)
