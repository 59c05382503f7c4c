"""Rows that scripts have to know, kept as a hash in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jobplatform.transport.keeper import Command


def read(client: Any, key: str) -> dict[str, str]:
    """Read what Redis knows."""
    return {name.decode(): value.decode() for name, value in client.hgetall(key).items()}


def replace(client: Any, key: str, wanted: Mapping[str, str], also: Iterable[Command] = ()) -> None:
    """Let Redis know just what is wanted.

    :param also: commands to run in the same step.
    """
    with client.pipeline() as together:
        together.delete(key)
        if wanted:
            together.hset(key, mapping=dict(wanted))
        for command in also:
            together.execute_command(*command)
        together.execute()
