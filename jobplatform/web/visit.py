"""A visit: the desk, and who comes to it; known before anything of a request is looked at."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from jobplatform.actions import entry
from jobplatform.actions.action import admit, note_refusal
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.errors import Forbidden, NotSignedIn
from jobplatform.web.rule import Rule, rule_of

_BEARER = "bearer "


class Visit(NamedTuple):
    """Where something is to be done, and who does it."""

    desk: Desk
    actor: Actor


def desk_of(request: Request) -> Desk:
    """Give the desk of the application."""
    desk: Desk = request.app.state.desk
    return desk


def address_of(request: Request) -> str | None:
    """Tell where a request came from; of a proxy that is trusted, what it says."""
    return request.client.host if request.client else None


def cookie_name(request: Request) -> str:
    """Name the cookie of a session.

    One whose name begins so is taken by browsers for this host alone, over TLS (RFC 6265bis, 4.1.3.2). A cookie knows
    no port, so that without TLS, which is on this machine alone, several platforms are told apart by name.
    """
    return "__Host-jobplatform" if request.url.scheme == "https" else f"jobplatform-{request.url.port or 80}"


def actor_of(request: Request) -> Actor | None:
    """Tell who asks, by a token or by a session; None when neither counts."""
    desk, address = desk_of(request), address_of(request)
    given = request.headers.get("authorization", "")
    if given:
        if not given.lower().startswith(_BEARER):
            return None
        return entry.of_token(desk, given[len(_BEARER) :].strip(), address)
    secret = request.cookies.get(cookie_name(request))
    return entry.of_session(desk, secret, address) if secret else None


def visit(request: Request) -> Visit:
    """Let somebody in who may do all that the route does.

    :raises NotSignedIn: when nobody is known.
    :raises Forbidden: when a permission is missing.
    """
    known: Visit | None = getattr(request.state, "visit", None)
    if known is not None:
        return known
    desk, actor = desk_of(request), actor_of(request)
    if actor is None:
        raise NotSignedIn
    try:
        for asked in (rule_of(request.scope["endpoint"]) or Rule()).actions:
            admit(actor, asked)
    except Forbidden as error:
        note_refusal(desk, actor, error)
        raise
    request.state.actor, request.state.visit = actor, Visit(desk, actor)
    return Visit(desk, actor)


#: Asks for it in the signature of a route.
Visiting = Annotated[Visit, Depends(visit)]
