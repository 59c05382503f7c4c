"""How alike two errors are, from what their fingerprints are made of.

Words and character trigrams are hashed into a vector, each with a sign of its own, so that collisions cancel out on
average (K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009).
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from itertools import combinations

DIMENSIONS = 256
#: Pairs that are less alike than this are no suggestion.
LEAST = 0.7
_WORD = re.compile(r"[a-z0-9]+")
#: A word says more than one of its trigrams.
_WORD_WEIGHT = 2.0


def embed(text: str) -> list[float]:
    """Give the vector of a text, of length 1; zeros if there is no word in it."""
    vector = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.lower()):
        _add(vector, word, _WORD_WEIGHT)
        padded = f"_{word}_"
        for start in range(len(padded) - 2):
            _add(vector, f"3{padded[start : start + 3]}", 1.0)
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


def _add(vector: list[float], feature: str, weight: float) -> None:
    digest = zlib.crc32(feature.encode())
    vector[digest % DIMENSIONS] += weight if digest & 0x8000_0000 else -weight


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Give the cosine of the angle between two vectors of length 1."""
    return sum(map(float.__mul__, one, other))


def alike(
    vectors: Mapping[str, Sequence[float]], name: str | None, least: float, limit: int
) -> list[tuple[str, str, float]]:
    """List the pairs that are most alike, as (one, other, cosine).

    :param name: one that is to be in each pair; None for all pairs.
    """
    pairs = (
        combinations(sorted(vectors), 2)
        if name is None
        else ((min(name, each), max(name, each)) for each in vectors if each != name)
    )
    found = ((one, other, cosine(vectors[one], vectors[other])) for one, other in pairs)
    return sorted((pair for pair in found if pair[2] >= least), key=lambda pair: (-pair[2], *pair[:2]))[:limit]
