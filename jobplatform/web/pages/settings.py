"""How pages look, for everybody; tokens, for who may have some; users, for who administers them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from jobplatform.actions import people
from jobplatform.actions.actor import Scope
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.errors import JobOptionError
from jobplatform.web.look import COOKIE, DENSITIES, KEYS, THEMES, chosen
from jobplatform.web.page import go, page
from jobplatform.web.question import Question, ask, is_sure
from jobplatform.web.rule import does
from jobplatform.web.visit import Visiting

router = APIRouter()

_YEAR, _MOST, _DAYS = 31_536_000, 200, 366


@router.get("/settings")
@does()
def settings(request: Request, visit: Visiting) -> Response:
    """Show what can be chosen, and the actor's tokens."""
    may = visit.actor.may(Permission.TOKENS_WRITE)
    return page(
        request,
        "settings.html",
        themes=THEMES,
        densities=DENSITIES,
        keys=KEYS,
        tokens=people.list_tokens(*visit, _MOST) if may else None,
        permissions=sorted(map(str, visit.actor.permissions)),
        made=None,
    )


@router.post("/settings/look")
@does()
def choose_look(
    request: Request,
    visit: Visiting,
    theme: Annotated[str, Form()] = "",
    density: Annotated[str, Form()] = "",
    keys: Annotated[str, Form()] = "",
) -> Response:
    """Keep how pages are to look."""
    reply = go(request, "/settings", "Kept in this browser.")
    look, secure = chosen(theme, density, keys), request.url.scheme == "https"
    reply.set_cookie(COOKIE, look.as_cookie(), max_age=_YEAR, path="/", httponly=True, samesite="strict", secure=secure)
    return reply


@router.post("/settings/tokens")
@does("tokens.add", "tokens.list")
def add_token(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=100)],
    days: Annotated[int, Form(ge=1, le=_DAYS)],
    permission: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Make a token, and show it once."""
    if not name.strip():
        raise JobOptionError("name: there is none; say what the token is for")
    actor = visit.actor
    made = people.add_token(*visit, actor.name, name.strip(), permission or [], timedelta(days=days), Scope())
    return page(
        request,
        "settings.html",
        themes=THEMES,
        densities=DENSITIES,
        keys=KEYS,
        tokens=people.list_tokens(*visit, _MOST),
        permissions=sorted(map(str, actor.permissions)),
        made=made.secret,
    )


@router.post("/settings/tokens/revoke")
@does("tokens.revoke")
def revoke_token(request: Request, visit: Visiting, token_id: Annotated[int, Form(ge=1, le=2**62)]) -> Response:
    """Let a token count no more."""
    name = people.revoke_token(*visit, token_id)
    return go(request, "/settings", f"The token {name} counts no more.")


@router.get("/people")
@does("users.list")
def list_users(request: Request, visit: Visiting, after: str = "") -> Response:
    """List users."""
    rows = people.list_users(*visit, _MOST + 1, after)
    return page(
        request,
        "people.html",
        rows=rows[:_MOST],
        next=rows[_MOST - 1]["name"] if len(rows) > _MOST else None,
        after=after,
        roles=list(ROLES),
    )


@router.post("/people")
@does("users.add")
def add_user(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=100)],
    password: Annotated[str, Form(max_length=1_000)],
    role: Annotated[str, Form()],
) -> Response:
    """Add a user."""
    people.add_user(*visit, name, password, role)
    return go(request, "/people", f"{name} can sign in.")


@router.post("/people/change")
@does("users.change")
def change_user(
    request: Request,
    visit: Visiting,
    name: Annotated[str, Form(max_length=100)],
    role: Annotated[str, Form()] = "",
    disabled: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Give a user another role, or keep them out."""
    if not is_sure(sure, ""):
        return ask(
            request,
            Question(
                title=f"Change {name}?",
                words=f"They become {role}, and have to sign in again."
                if role
                else "They cannot sign in, and their tokens do not count."
                if disabled == "yes"
                else "They can sign in again.",
                action="/people/change",
                verb="Change",
                fields=[("name", name), ("role", role), ("disabled", disabled)],
                jobs=1,
                back="/people",
                harm=disabled == "yes",
            ),
        )
    people.change_user(*visit, name, role or None, disabled={"yes": True, "no": False}.get(disabled))
    return go(request, "/people", f"{name} was changed.")
