"""Where the next page of a list begins, as one word that says nothing to who carries it."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from jobplatform.errors import RequestRefused

Place = tuple[datetime, str]

_LONGEST = 1_000
_MOST_ID = 2**63 - 1


def write(place: Any) -> str | None:
    """Write where a page begins: a number, a name, or a time and a name; None when there is none."""
    if place is None:
        return None
    known = [place[0].isoformat(), place[1]] if isinstance(place, tuple) else place
    return base64.urlsafe_b64encode(json.dumps(known).encode()).rstrip(b"=").decode()


def read_place(text: str | None) -> Place | None:
    """Read a time and a name.

    :raises RequestRefused: when it was not written here, as the others do.
    """
    if text is None:
        return None
    known = _read(text)
    if not isinstance(known, list) or len(known) != 2 or not all(isinstance(part, str) for part in known):
        raise _refused()
    try:
        moment = datetime.fromisoformat(known[0])
    except ValueError:
        raise _refused() from None
    if moment.tzinfo is None:
        raise _refused()
    return moment, _clean(known[1])


def read_job(text: str | None) -> Place | None:
    """Read a time and the id of a job or a batch."""
    place = read_place(text)
    return None if place is None else (place[0], _uuid(place[1]))


def read_id(text: str | None) -> str | None:
    """Read the id of a job."""
    return None if text is None else _uuid(read_name(text))


def read_number(text: str | None) -> int | None:
    """Read a number."""
    if text is None:
        return None
    known = _read(text)
    if type(known) is not int or not 0 <= known <= _MOST_ID:
        raise _refused()
    return known


def read_name(text: str | None) -> str:
    """Read a name, the empty one for the first page."""
    if text is None:
        return ""
    known = _read(text)
    if not isinstance(known, str):
        raise _refused()
    return _clean(known)


def _read(text: str) -> Any:
    if len(text) > _LONGEST:
        raise _refused()
    try:
        return json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _refused() from None


def _clean(text: str) -> str:
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise _refused()
    return text


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise _refused() from None


def _refused() -> RequestRefused:
    return RequestRefused("after: it is no place in this list; take next of the page before, or leave it out")
