"""How many jobs a search looks at in its next step, so that it answers in time whatever each of them costs."""

from __future__ import annotations

#: Seconds within which a search looks for jobs.
SECONDS = 0.16
#: Seconds that a job may take in the next step, however little those before it took: they may be the last in memory.
_APART = 0.0002
#: A step is so many times all before it at most, and at least this part of them.
_MOST, _LEAST = 4, 1 / 20


def stride(looked: int, most: int, took: float, pace: float) -> int:
    """Give the number of jobs of the next step: as many as can be looked at in what is left of the time.

    :param looked: jobs so far, 1 or more.
    :param most: jobs of all steps.
    :param took: seconds so far.
    :param pace: seconds that each job took in the slowest step so far.
    :returns: 0 when it is time to answer.
    """
    left = most - looked
    step = min(left, int((SECONDS - took) / max(pace, _APART)), _MOST * looked)
    return step if step >= min(left, _LEAST * looked) else 0
