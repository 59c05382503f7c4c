"""Every route and every role: allowed or refused as the actions and the roles say, by real requests."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import cast

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from web_place import add_user, browser, desk_at, token_of

import jobplatform.actions
from jobplatform.actions import people
from jobplatform.actions.action import ACTIONS
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.web.app import make_app
from jobplatform.web.rule import Served, served

_ID = "00000000-0000-7000-8000-000000000000"
#: Actions of which the parameters take more than the route: they are refused later, and for this.
_LATER = {"letters.export": Permission.JOBS_PAYLOAD}
for _module in pkgutil.iter_modules(jobplatform.actions.__path__):
    importlib.import_module(f"jobplatform.actions.{_module.name}")

#: Actions that no route does, and why.
_UNREACHED = {
    "backups.make": "a file of the server's own disk, with all payloads: from a terminal of its machine",
    "backups.restore": "into an empty database, in which nobody can sign in yet",
    "keys.rotate": "it takes the keys, old and new, and long: from a terminal that has them",
    "metrics.read": "at /metrics, in the words of Prometheus",
    "retention.prune": "as the owner of the tables: from a terminal; the controller does the rest by itself",
}


@pytest.fixture
def desk(settings: Settings, database: Database) -> Desk:
    return desk_at(settings, database)


@pytest.fixture
def web(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as client:
        yield client


def routes(web: TestClient) -> list[Served]:
    return [each for each in served(cast(FastAPI, web.app)) if each.path.startswith("/api/")]


def path_of(route: Served) -> str:
    named = re.sub(
        r"\{(\w*_id|version)\}", lambda m: _ID if m[1] in ("job_id", "batch_id", "root_id") else "7", route.path
    )
    return re.sub(r"\{\w+\}", "nothing", named)


def ask(web: TestClient, route: Served, headers: dict[str, str]) -> tuple[int, str]:
    """Ask with a body that fits no route, so that nothing is done and a refusal is known to come first."""
    method = next(iter(route.methods - {"HEAD"}))
    body = None if method in ("GET", "DELETE") else "[["
    reply = web.request(method, path_of(route), headers={**headers, "content-type": "application/json"}, content=body)
    return reply.status_code, reply.text


def test_each_route_lets_in_whom_its_rule_names_and_nobody_else(web: TestClient, desk: Desk) -> None:
    tokens: dict[frozenset[Permission], dict[str, str]] = {}
    add_user(desk, "ann", "admin")

    def token(held: frozenset[Permission]) -> dict[str, str]:
        if held not in tokens:
            made = people.add_token(desk, at_terminal("r"), "ann", "t", list(held), timedelta(days=1), Scope())
            tokens[held] = {"authorization": f"Bearer {made.secret}"}
        return tokens[held]

    found = routes(web)
    assert len(found) > 100
    for route in found:
        assert route.rule is not None, f"{route.path} is open to all"
        wanted = frozenset(each.permission for each in route.rule.actions)
        assert ask(web, route, {})[0] == 401, route
        every = [*ROLES.values(), wanted, frozenset(Permission) - {min(wanted, default=None)}]
        for held in every:
            status, text = ask(web, route, token(held))
            if wanted <= held:
                later = {str(_LATER[name]) for name in route.rule if name in _LATER}
                assert status not in (401, 403, 500) or any(name in text for name in later), (route, held, text)
            else:
                assert status == 403 and any(str(each) in text for each in wanted - held), (route, held, status)


def test_a_route_without_a_rule_keeps_the_application_from_starting(desk: Desk) -> None:
    app = make_app(desk)

    async def anything() -> None: ...

    app.router.routes.append(APIRoute("/api/v1/anything", anything))
    with pytest.raises(LookupError, match=r"anything: no rule says who may"):
        served(app)
    bare = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    bare.mount("/more", FastAPI())
    with pytest.raises(LookupError, match=r"/more: no rule"):
        served(bare)


def test_every_action_is_reached_and_told_with_summary_errors_and_permission(web: TestClient, desk: Desk) -> None:
    reached = {name for route in routes(web) for name in route.rule or ()}
    assert set(ACTIONS) - reached == set(_UNREACHED)
    add_user(desk, "ann", "admin")
    token = token_of(desk, "ann", "viewer")
    made = web.get("/api/openapi.json", headers=token).json()
    for route in routes(web):
        if not route.path.startswith("/api/v1/"):
            continue
        for method in route.methods - {"HEAD"}:
            operation = made["paths"][route.path][method.lower()]
            assert operation["summary"] and operation["x-permissions"], route
            assert {"400", "401", "403", "404", "413", "421", "422", "429", "503"} <= operation["responses"].keys()
    page = web.get("/api/docs", headers=token)
    assert page.status_code == 200 and "POST /api/v1/jobs/cancel" in page.text and "<script>" not in page.text
