"""Traces of retries: what was known of each when it was decided on, and what came of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as parquet

from jobplatform.learning.history import History
from jobplatform.learning.replay import Retry, replay
from jobplatform.learning.training import Example


@dataclass(frozen=True, slots=True)
class Trace:
    """Retries after failures, in the order in which they were decided on.

    :param levels: of their groups, from special to general.
    :param own: the levels that belong to an owner alone; a new owner has nothing there.
    :param groups: what each is weighed with.
    :param owners: whom each belongs to; held out together.
    :param eventually: whether it or a later attempt of the same work succeeded.
    :param fails: attempts of the same group that had failed by then, since one had succeeded; first attempts included.
    """

    name: str
    levels: tuple[str, ...]
    own: tuple[str, ...]
    retries: Sequence[Retry]
    groups: Sequence[str]
    owners: Sequence[str]
    eventually: Sequence[bool]
    fails: Sequence[int]

    def __len__(self) -> int:
        return len(self.retries)

    def examples(self) -> list[Example]:
        """Give what the product's history knew of each, with its outcome."""
        features = replay(History(self.levels), self.retries)
        return [
            Example(known, None, retry.succeeded, group, retry.decided, later)
            for known, retry, group, later in zip(features, self.retries, self.groups, self.eventually, strict=True)
        ]

    def among(self, wanted: Sequence[bool]) -> Trace:
        """Give the part of the trace that is wanted."""
        part = [index for index, each in enumerate(wanted) if each]
        columns: dict[str, Any] = {
            name: [getattr(self, name)[index] for index in part]
            for name in ("retries", "groups", "owners", "eventually", "fails")
        }
        return replace(self, **columns)

    def anonymous(self, hidden: Sequence[bool]) -> Trace:
        """Give the trace with some of the retries stripped of their owner's groups."""
        retries = [
            replace(retry, groups={**retry.groups, **dict.fromkeys(self.own)}) if hide else retry
            for retry, hide in zip(self.retries, hidden, strict=True)
        ]
        return replace(self, retries=retries)


def fold_of(owner: str, folds: int) -> int:
    """Tell in which fold an owner is held out."""
    return zlib.crc32(owner.encode()) % folds


def frames(data: Path, fits: Callable[[set[str]], bool]) -> pd.DataFrame | None:
    """Read every Parquet file below a directory whose columns fit as one table; None where there is none."""
    files = [path for path in sorted(data.rglob("*.parquet")) if fits(set(parquet.read_schema(path).names))]
    return pd.concat([pd.read_parquet(path) for path in files], ignore_index=True) if files else None
