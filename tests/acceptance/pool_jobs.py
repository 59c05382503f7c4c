"""Jobs that are large on the way in and on the way out."""

from __future__ import annotations

from jobplatform import job


@job()
def echo(text: str) -> str:
    """Give the text back."""
    return text


@job()
def number(value: int) -> int:
    """Give the number back."""
    return value
