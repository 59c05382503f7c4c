"""Parts of a whole as one bar, drawn; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: Of a drawing; a part that is not nothing is wide enough to be seen.
WIDE, HIGH, LEAST = 1000, 24, 4.0


class Share(NamedTuple):
    """A part of a whole.

    :param size: how many these are.
    :param tone: of its colour, as states have them.
    """

    label: str
    size: int
    tone: str


class Part(NamedTuple):
    """A share, drawn."""

    share: Share
    x: float
    width: float


def stack(shares: Iterable[Share]) -> list[Part]:
    """Draw shares side by side over the whole width, without those of which there is nothing."""
    known = [share for share in shares if share.size > 0]
    whole = sum(share.size for share in known)
    widths = [max(LEAST, WIDE * share.size / whole) for share in known]
    scale, x, parts = WIDE / (sum(widths) or 1.0), 0.0, list[Part]()
    for share, width in zip(known, widths, strict=True):
        parts.append(Part(share, round(x, 1), round(width * scale, 1)))
        x += width * scale
    return parts
