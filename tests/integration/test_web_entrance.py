"""Who is let in, and what is refused before any route is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from web_place import HERE, add_user, browser, desk_at, sign_in, token_of

from jobplatform.actions.desk import Desk
from jobplatform.settings import Settings
from jobplatform.store import audit
from jobplatform.store.database import Database

_NONE = "/api/v1/jobs/00000000-0000-7000-8000-000000000000"


@pytest.fixture
def desk(settings: Settings, database: Database) -> Desk:
    return desk_at(settings, database)


@pytest.fixture
def web(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as client:
        yield client


def test_who_is_not_signed_in_is_sent_to_the_form_and_a_program_is_told(web: TestClient) -> None:
    page, program = web.get("/?a=1"), web.get(_NONE)
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2F%3Fa%3D1")
    assert program.status_code == 401
    assert program.headers["content-type"] == "application/problem+json"
    assert program.json()["type"] == "urn:jobplatform:not-signed-in"
    assert "jobplatform users add" in web.get("/sign-in").text


def test_a_session_begins_with_the_right_password_alone_and_ends_for_good(web: TestClient, desk: Desk) -> None:
    add_user(desk, "ann", "viewer")
    for name, password in (("ann", "wrong password 12345"), ("bob", "correct horse battery")):
        refused = web.post("/sign-in", data={"name": name, "password": password, "next": "//evil.example"})
        assert refused.status_code == 401 and "do not belong together" in refused.text
    sign_in(web, "ann")
    cookie = web.cookies["jobplatform-8700"]
    assert web.get("/").status_code == 200
    assert web.get(_NONE).status_code == 404
    assert web.post("/sign-out").headers["location"] == "/sign-in"
    assert web.get("/", headers={"cookie": f"jobplatform-8700={cookie}"}).status_code == 303
    with desk.look() as session:
        assert [row["outcome"] for row in audit.listed(session, 10, action="users.sign_in")][1:] == [
            {"refused": True}
        ] * 2


def test_a_session_outlives_the_process_that_began_it(web: TestClient, desk: Desk) -> None:
    add_user(desk, "ann", "viewer")
    sign_in(web, "ann")
    with browser(desk) as another:
        another.cookies.update(web.cookies)
        assert another.get("/").status_code == 200
        another.post("/sign-out")
    assert web.get("/").status_code == 303


def test_a_token_does_what_it_may_and_nothing_once_it_is_revoked(web: TestClient, desk: Desk) -> None:
    add_user(desk, "ann", "viewer")
    token = token_of(desk, "ann", "viewer")
    assert web.get(_NONE, headers=token).status_code == 404
    assert web.get(_NONE, headers={"authorization": "Bearer jp_wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": HERE}, 303),
        ({}, 403),
    ],
)
def test_a_page_of_another_site_changes_nothing(
    web: TestClient, desk: Desk, headers: dict[str, str], status: int
) -> None:
    add_user(desk, "ann", "viewer")
    sign_in(web, "ann")
    del web.headers["sec-fetch-site"]
    assert web.post("/sign-out", headers=headers).status_code == status


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1@evil.example", "localhost.evil.example", ""])
def test_a_name_that_is_not_the_servers_is_refused(web: TestClient, host: str) -> None:
    assert web.get("/sign-in", headers={"host": host}).status_code == 421
    assert web.get("/sign-in", headers={"host": "localhost:1"}).status_code == 200


def test_a_body_that_is_too_large_is_refused_however_it_is_sent(web: TestClient, desk: Desk) -> None:
    large = b"name=" + b"x" * (desk.settings.payload_limit + 100_000)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert web.post("/sign-in", content=large, headers=form).status_code == 413
    assert web.post("/sign-in", content=iter([large[:500_000], large[500_000:]]), headers=form).status_code == 413


def test_every_answer_says_what_a_browser_may_do_with_it(web: TestClient) -> None:
    for path in ("/sign-in", "/static/page.js", "/none", _NONE):
        headers = web.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
