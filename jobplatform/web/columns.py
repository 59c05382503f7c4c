"""The columns of the list of jobs, of which somebody chooses some; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Column(NamedTuple):
    """A column, beside the job type, which always is the first.

    :param name: in an address.
    :param usual: shown unless somebody chooses others.
    """

    name: str
    label: str
    usual: bool = False
    number: bool = False


COLUMNS = (
    Column("state", "State", True),
    Column("queue", "Queue", True),
    Column("priority", "Priority", number=True),
    Column("attempt", "Attempt", True, number=True),
    Column("created", "Created", True),
    Column("started", "Started"),
    Column("ended", "Ended"),
    Column("took", "Took", number=True),
    Column("worker", "Worker"),
    Column("tenant", "Tenant"),
    Column("job", "Job", True),
    Column("error", "Last error", True),
)
_MOST_WORDS = 200


def chosen(asked: Iterable[str]) -> list[Column]:
    """Give the columns of some names, several of which may stand in one with commas; the usual ones for none.

    What is no column is left out: an address may come from another version.
    """
    names = {name for each in asked for name in each[:_MOST_WORDS].split(",")}
    return [column for column in COLUMNS if column.name in names] or [column for column in COLUMNS if column.usual]


def written(columns: Iterable[Column]) -> str:
    """Write columns as an address has them; nothing for the usual ones."""
    names = [column.name for column in columns]
    return "" if names == [column.name for column in COLUMNS if column.usual] else ",".join(names)
