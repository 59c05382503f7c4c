"""How many jobs a search looks at in its next step, so that it answers in time whatever each of them costs."""

from __future__ import annotations

#: Seconds after which a search answers with what it has found.
SECONDS = 0.12
#: A step is so many times all before it at most, at least this part of them, and takes this part of what time is left.
_GROWTH, _LEAST, _SHARE = 8, 1 / 4, 0.7
#: No step takes less.
_SHORTEST = 1e-6


def stride(looked: int, took: float, most: int) -> int:
    """Give the number of jobs of the next step: those that the rest of the time allows at the pace so far.

    :param looked: jobs so far, 1 or more.
    :param took: seconds that they have taken.
    :param most: jobs of all steps.
    :returns: 0 when it is time to answer.
    """
    left, took = most - looked, max(took, _SHORTEST)
    step = min(left, int(looked * _SHARE * (SECONDS - took) / took), _GROWTH * looked)
    return step if step >= min(left, _LEAST * looked) else 0
