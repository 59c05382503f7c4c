"""A route of the API: who asks is known before what they sent is read, and what has a key is done once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from jobplatform.actions import repeated
from jobplatform.actions.repeated import Answer
from jobplatform.errors import RequestRefused
from jobplatform.web.api.body import storable
from jobplatform.web.rule import rule_of
from jobplatform.web.visit import Visit, visit

KEY = "idempotency-key"
_LONGEST_KEY = 255
_SAFE = frozenset({"GET", "HEAD"})
#: A submission has keys of its own, which count while PostgreSQL is away as well.
_OWN_KEYS = frozenset({"jobs.submit"})
#: Their answers or their contents are secrets, which are not to be kept.
_SECRET = frozenset({"tokens.add", "users.add", "users.change"})

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class Route(APIRoute):
    """Let somebody in first, and do a request that came before no second time."""

    def get_route_handler(self) -> Endpoint:
        """Give what answers a request."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            rule = rule_of(self.endpoint)
            if rule is None:
                return await inner(request)
            visited = await run_in_threadpool(visit, request)
            _check_address(request)
            key = request.headers.get(KEY)
            if key is None or request.method in _SAFE or _OWN_KEYS & {*rule}:
                return await inner(request)
            if _SECRET & {*rule}:
                raise RequestRefused("Idempotency-Key: the answer is secret and not kept; send this without a key")
            return await _once(request, visited, check_key(key), inner)

        return handle


def noun(tag: str) -> APIRouter:
    """Make the router of a noun."""
    return APIRouter(tags=[tag], route_class=Route, default_response_class=Response)


def check_key(key: str) -> str:
    """Give a key back.

    :raises RequestRefused: when it cannot be kept.
    """
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
        raise RequestRefused(f"Idempotency-Key: give 1 to {_LONGEST_KEY} printable characters")
    return key


def _check_address(request: Request) -> None:
    try:
        storable(request.url.path + "".join(map("".join, request.query_params.multi_items())))
        storable("".join(map(str, request.path_params.values())))
    except ValueError as error:
        raise RequestRefused(f"address: {error}") from None


async def _once(request: Request, visited: Visit, key: str, inner: Endpoint) -> Response:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + await request.body()
    before = await run_in_threadpool(repeated.claim, *visited, key, hashlib.sha256(asked).hexdigest())
    if before is not None:
        return Response(before.body or None, before.status, {"idempotency-replayed": "true"}, "application/json")
    done: Answer | None = None
    try:
        reply = await inner(request)
        if reply.status_code < 300:
            done = Answer(reply.status_code, bytes(reply.body))
        return reply
    finally:
        await run_in_threadpool(repeated.settle, *visited, key, done)
