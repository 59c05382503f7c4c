"""What is to be hidden of the jobs of a type."""

from __future__ import annotations

from typing import NamedTuple


class Hiding(NamedTuple):
    """What is to be hidden of a job.

    :param paths: where in its payload secrets are, by name and by position.
    :param encrypt: only who has the key may read its arguments and its result.
    """

    paths: tuple[str, ...] = ()
    encrypt: bool = False


NOTHING = Hiding()
