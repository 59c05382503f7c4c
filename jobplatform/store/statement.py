"""Named SQL: each statement has a name, a sentence and one home."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

_TABLE = re.compile(r"@([a-z_]+)")


class Statement:
    """One SQL statement, its tables written ``@name`` and its parameters ``%(name)s``.

    :param name: unique, a verb and a noun.
    :param sql: the text.
    :param example: parameters with which the statement can be planned; used by the test that explains it.
    :param registered: not so for a variant of a statement that is.
    """

    registry: ClassVar[dict[str, Statement]] = {}

    def __init__(self, name: str, sql: str, example: Mapping[str, Any], registered: bool = True) -> None:
        if registered and name in self.registry:
            raise ValueError(f"statement {name!r} is defined twice; choose another name")
        self.name = name
        self.sql = sql
        self.example = example
        if registered:
            self.registry[name] = self

    @property
    def tables(self) -> frozenset[str]:
        """Name the tables that the statement speaks of; functions of ours are among them."""
        return frozenset(_TABLE.findall(self.sql))

    def text(self, schema: str) -> str:
        """Give the statement for the tables of one schema."""
        return _render(self.sql, schema)


@lru_cache(maxsize=512)
def _render(sql: str, schema: str) -> str:
    return _TABLE.sub(rf'"{schema}".\1', sql)
