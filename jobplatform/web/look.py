"""How somebody likes the pages to look; kept in a cookie and written into the page, so that nothing flashes."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import Request

COOKIE = "jobplatform-look"
THEMES, DENSITIES, KEYS = ("auto", "light", "dark"), ("comfortable", "compact"), ("on", "off")


class Look(NamedTuple):
    """What can be chosen; each in words of its own."""

    theme: str = "auto"
    density: str = "comfortable"
    keys: str = "on"

    def as_cookie(self) -> str:
        """Give it as a browser keeps it."""
        return ".".join(self)


def look_of(request: Request) -> Look:
    """Read what a browser has kept; what is none counts as not chosen."""
    return chosen(*request.cookies.get(COOKIE, "").split("."))


def chosen(theme: str = "", density: str = "", keys: str = "", *_more: str) -> Look:
    """Take what there is to choose, and the first of each for anything else."""
    return Look(_of(THEMES, theme), _of(DENSITIES, density), _of(KEYS, keys))


def _of(known: tuple[str, ...], asked: str) -> str:
    return asked if asked in known else known[0]
