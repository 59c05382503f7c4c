"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from jobplatform.actions import entry
from jobplatform.errors import SignInRefused, TooOften
from jobplatform.web.page import page
from jobplatform.web.problem import problem_of
from jobplatform.web.rule import does, open_to_all
from jobplatform.web.visit import Visiting, address_of, cookie_name, desk_of

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
@open_to_all
def sign_in_page(request: Request, next: str = "/") -> Response:
    """Show the form, or what to do where nobody can sign in yet."""
    return page(request, "sign_in.html", next=local(next), problem=None, name="", nobody=entry.nobody(desk_of(request)))


@router.post("/sign-in")
@open_to_all
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=100)],
    password: Annotated[str, Form(max_length=1_000)],
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Begin a session."""
    try:
        before = request.cookies.get(cookie_name(request))
        secret = entry.sign_in(desk_of(request), name, password, address_of(request), before)
    except (SignInRefused, TooOften) as refused:
        problem = problem_of(refused)
        shown = {"next": local(next), "problem": problem.detail, "name": name, "nobody": False}
        headers = {} if problem.again is None else {"retry-after": str(problem.again)}
        return page(request, "sign_in.html", problem.status, headers, **shown)
    reply = RedirectResponse(local(next), 303)
    secure = request.url.scheme == "https"
    reply.set_cookie(cookie_name(request), secret, path="/", httponly=True, samesite="lax", secure=secure)
    return reply


@router.post("/sign-out")
@does()
def sign_out(request: Request, visit: Visiting) -> Response:
    """End a session."""
    entry.sign_out(visit.desk, request.cookies.get(cookie_name(request), ""))
    reply = RedirectResponse("/sign-in", 303)
    reply.delete_cookie(cookie_name(request), path="/", secure=request.url.scheme == "https", httponly=True)
    return reply


def local(path: str) -> str:
    """Give a path of this server, and the first page for anything else."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"
