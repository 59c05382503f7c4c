"""Where a page of a list begins, as one word of an address; pure."""

from __future__ import annotations

from datetime import datetime

from jobplatform.errors import RequestRefused


def written(after: tuple[datetime, str] | None) -> str | None:
    """Write where the next page begins; None when there is none."""
    return None if after is None else f"{after[0].isoformat()},{after[1]}"


def read(text: str | None) -> tuple[datetime, str] | None:
    """Read it back.

    :raises RequestRefused: when it is none that was written here.
    """
    if not text:
        return None
    time, comma, name = text.partition(",")
    try:
        when = datetime.fromisoformat(time)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None or not comma or not name or len(name) > 100:
        raise RequestRefused("after: it is no place in a list; go to the first page")
    return when, name
