"""What is answered to programs: JSON of whatever an action gives, with where the next page begins."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response

from jobplatform.web import cursor

_JSON = "application/json"


def plain(value: Any) -> Any:
    """Give a value as JSON has it: times in ISO 8601, durations in seconds, what is no number as null."""
    if value is None or isinstance(value, str | bool):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value) if item.name[0] != "_"}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Iterable):
        return [plain(each) for each in (sorted(value) if isinstance(value, set | frozenset) else value)]
    raise TypeError(f"{type(value).__name__} cannot be answered as JSON")


def answer(request: Request, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a value; a program that has it already is told so (RFC 9110, 13.1.2)."""
    body = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()
    known = dict(headers or {})
    if request.method == "GET":
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        known |= {"etag": tag, "cache-control": "private, no-cache"}
        asked = request.headers.get("if-none-match", "")
        if tag in {each.strip().removeprefix("W/") for each in asked.split(",")}:
            return Response(status_code=304, headers=known)
    return Response(body, status, known, _JSON)


def page(request: Request, rows: Any, place: Any, **more: Any) -> Response:
    """Answer with a page of a list and where the next one begins, in the body and as a link (RFC 8288)."""
    following = cursor.write(place)
    links = {}
    if following is not None:
        links["link"] = f'<{request.url.include_query_params(after=following)}>; rel="next"'
    return answer(request, {"rows": rows, "next": following, **more}, headers=links)


def nothing() -> Response:
    """Answer that it was done, and that there is nothing to tell."""
    return Response(status_code=204)
