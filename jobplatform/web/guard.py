"""What every request passes and every answer carries, whatever the route."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobplatform.errors import RequestRefused
from jobplatform.web.problem import answer

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Bytes beside the payload that a form or a document may have.
_BESIDE = 65_536
#: Nothing but what this server gives, and no script or style within a page (OWASP ASVS 5.0, 3.4.3).
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    # With none at all a browser would hide the origin of a form that is sent, too.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_YEAR = 31_536_000


class Guard:
    """Refuse what comes from elsewhere, is too large, or was meant for another host; then let the rest through.

    :param hosts: names under which the server is reached, beside those of this machine; a page of another site whose
        name was pointed here gives its own.
    :param most_bytes: of a body.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], payload_limit: int) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.most_bytes = payload_limit + _BESIDE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        scope.setdefault("state", {})["request_id"] = uuid.uuid4().hex
        reply = _with_headers(scope, send)
        try:
            self._check(request.method, request.url.scheme, request.headers)
        except RequestRefused as refused:
            await answer(request, refused)(scope, receive, reply)
            return
        await self.app(scope, _limited(receive, self.most_bytes), reply)

    def _check(self, method: str, scheme: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._known(host):
            raise RequestRefused(f"host: {host[:200]!r} is none of this server; add it to JOBPLATFORM_WEB_HOSTS", 421)
        if method not in _SAFE and not from_here(headers, f"{scheme}://{host}"):
            raise RequestRefused("origin: a page of another site asked for this; do it from a page of this one", 403)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.most_bytes:
            raise _too_large(self.most_bytes)

    def _known(self, host: str) -> bool:
        name = (urlsplit(f"//{host}").hostname or "") if _is_plain(host) else ""
        return name in self.hosts or name == "localhost" or _is_loopback(name)


def from_here(headers: Mapping[str, str], here: str) -> bool:
    """Tell whether a request that changes something was made by a page of this server, or by a program.

    What a program sends, a page of another site cannot: a header of its own choice. Of browsers, the newer say where
    the request comes from, and the others give the origin (OWASP, cross-site request forgery prevention).

    :param here: the origin of this server.
    """
    if "authorization" in headers:
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin == here if origin is not None else "cookie" not in headers


def _is_plain(host: str) -> bool:
    return not set(host) & set("/\\@?# \t")


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _too_large(most: int) -> RequestRefused:
    return RequestRefused(f"body: it is larger than {most} bytes; send less", 413)


def _limited(receive: Receive, most: int) -> Receive:
    """Stop reading a body that does not say how long it is, once it is too long.

    :raises RequestRefused: when it is.
    """
    seen = 0

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_large(most)
        return message

    return read


def _with_headers(scope: Scope, send: Send) -> Send:
    async def reply(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            headers["x-request-id"] = scope["state"]["request_id"]
            if scope.get("scheme") == "https":
                headers["strict-transport-security"] = f"max-age={_YEAR}"
        await send(message)

    return reply
