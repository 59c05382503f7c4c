"""The web application of a test, and whoever comes to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from starlette.testclient import TestClient

from jobplatform.actions import people
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.journal.writer import connect
from jobplatform.settings import Settings
from jobplatform.store.database import Database
from jobplatform.web.app import make_app

PASSWORD = "correct horse battery"
HERE = "http://127.0.0.1:8700"


def desk_at(settings: Settings, database: Database, application: Any = None) -> Desk:
    """Give the desk of a test."""
    return Desk(settings, database, lambda: connect(settings.redis_url), lambda: application)


def add_user(desk: Desk, name: str, role: str, **more: Any) -> None:
    """Add somebody who can sign in."""
    people.add_user(desk, at_terminal("root"), name, PASSWORD, role, **more)


@contextmanager
def browser(desk: Desk) -> Iterator[TestClient]:
    """Open a browser that has not signed in."""
    with TestClient(make_app(desk), HERE, follow_redirects=False, raise_server_exceptions=False) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        yield client


def sign_in(client: TestClient, name: str) -> None:
    """Sign somebody in."""
    reply = client.post("/sign-in", data={"name": name, "password": PASSWORD})
    assert reply.status_code == 303, reply.text


def token_of(desk: Desk, user: str, role: str, scope: Scope | None = None) -> dict[str, str]:
    """Give the header with which a program comes, as a user who is there."""

    made = people.add_token(
        desk,
        at_terminal("root"),
        user,
        "test",
        [str(each) for each in ROLES[role]],
        timedelta(days=1),
        scope or Scope(),
    )
    return {"authorization": f"Bearer {made.secret}"}
