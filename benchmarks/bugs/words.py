"""Words that nobody has seen."""

from __future__ import annotations

import random


def word(luck: random.Random) -> str:
    """Make up a word."""
    return "".join(luck.choice("bcdfghklmnprstvz") + luck.choice("aeiou") for _ in range(luck.randrange(2, 5)))


def name(luck: random.Random) -> str:
    """Make up a name, of one part or two."""
    parts = [word(luck).title() for _ in range(luck.choice([1, 2]))]
    return luck.choice(["{}", "{}", "O'{}", "Mc{}"]).format(" ".join(parts))
