"""Users, tokens and the audit log over HTTP."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from jobplatform.actions import audit, people
from jobplatform.actions.actor import Scope
from jobplatform.actions.audit import Asked
from jobplatform.actions.permission import Permission
from jobplatform.web import cursor
from jobplatform.web.api.body import MOST, After, Body, Limit, Moment, Name, Number
from jobplatform.web.api.reply import answer, nothing, page, plain
from jobplatform.web.api.route import noun
from jobplatform.web.gives import gives, gives_page
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = noun("people")

Role = Literal["viewer", "operator", "admin"]
Part = Annotated[str, Path(min_length=1, max_length=100)]
Few = Annotated[list[Name], Field(max_length=MOST)]
Some = Annotated[str | None, Query(max_length=200)]
_DAY = 86_400.0


class Within(Body):
    """Queues and tenants; null is all."""

    queues: Few | None = None
    tenants: Few | None = None

    @property
    def scope(self) -> Scope:
        """Give them as actions take them."""
        queues, tenants = (None if each is None else frozenset(each) for each in (self.queues, self.tenants))
        return Scope(queues, tenants)


class NewUser(Within):
    """Somebody who is to come in."""

    name: Annotated[Name, Field(max_length=100)]
    password: Annotated[str, Field(min_length=1, max_length=1_000)]
    role: Role
    more: list[Permission] = Field(default_factory=list)


class Changed(Body):
    """What is to be otherwise of somebody; null stays as it is."""

    role: Role | None = None
    more: list[Permission] | None = None
    password: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    disabled: bool | None = None
    scope: Within | None = None


class NewToken(Within):
    """A token that is to be made."""

    user: Annotated[Name, Field(max_length=100)]
    name: Annotated[Name, Field(max_length=100)]
    permissions: list[Permission]
    seconds: Annotated[float, Field(gt=0, le=people.LONGEST_TOKEN.total_seconds(), allow_inf_nan=False)] = 30 * _DAY


@router.get("/users")
@does("users.list")
@gives(people.list_users, "rows", next=str | None)
def list_users(request: Request, visit: Visiting, limit: Limit = 100, after: After = None) -> Response:
    """List users by name."""
    found = people.list_users(*visit, limit, cursor.read_name(after))
    return page(request, found, found[-1]["name"] if len(found) == limit else None)


@router.post("/users", status_code=204)
@does("users.add")
def add_user(visit: Visiting, asked: NewUser) -> Response:
    """Add a user."""
    people.add_user(*visit, asked.name, asked.password, asked.role, asked.more, asked.scope)
    return nothing()


@router.patch("/users/{name}", status_code=204)
@does("users.change")
def change_user(visit: Visiting, name: Part, asked: Changed) -> Response:
    """Change a user, whose sessions end; the last one who administers stays."""
    scope = None if asked.scope is None else asked.scope.scope
    people.change_user(*visit, name, asked.role, asked.more, asked.password, asked.disabled, scope)
    return nothing()


@router.get("/tokens")
@does("tokens.list")
@gives(people.list_tokens, "rows", next=str | None)
def list_tokens(request: Request, visit: Visiting, limit: Limit = 100, after: After = None) -> Response:
    """List one's own tokens; those of all for who administers users."""
    found = people.list_tokens(*visit, limit, cursor.read_number(after) or 0)
    return page(request, found, found[-1]["token_id"] if len(found) == limit else None)


@router.post("/tokens", status_code=201)
@does("tokens.add")
@gives(people.add_token)
def add_token(request: Request, visit: Visiting, asked: NewToken) -> Response:
    """Make a token, which may do no more than who makes it; its secret is shown once."""
    lasts = timedelta(seconds=asked.seconds)
    return answer(request, people.add_token(*visit, asked.user, asked.name, asked.permissions, lasts, asked.scope), 201)


@router.delete("/tokens/{token_id}")
@does("tokens.revoke")
@gives(people.revoke_token, "name")
def revoke_token(request: Request, visit: Visiting, token_id: Number) -> Response:
    """Let a token count no more."""
    return answer(request, {"name": people.revoke_token(*visit, token_id)})


@router.get("/audit")
@does("audit.list")
@gives_page(audit.list_deeds)
def list_deeds(
    request: Request,
    visit: Visiting,
    actor: Some = None,
    action: Some = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """List what was done, the newest first."""
    found = audit.list_deeds(*visit, Asked(actor, action, since, until), limit, cursor.read_number(after))
    return page(request, found.rows, found.next)


@router.get("/audit/export")
@does("audit.export")
def export(
    visit: Visiting,
    actor: Some = None,
    action: Some = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Response:
    """Give all that was done, each as a line of JSON, the newest first; that it was asked for is written down."""
    rows = audit.export(*visit, Asked(actor, action, since, until))
    headers = {"content-disposition": 'attachment; filename="audit.ndjson"'}
    return StreamingResponse((json.dumps(plain(row)) + "\n" for row in rows), 200, headers, "application/x-ndjson")


@router.get("/audit/verify")
@does("audit.verify")
@gives(audit.verify, "broken")
def verify(request: Request, visit: Visiting) -> Response:
    """Name the first row that was changed, or before which another was taken out; null when there is none."""
    return answer(request, {"broken": audit.verify(*visit)})
