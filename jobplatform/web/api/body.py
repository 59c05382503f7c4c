"""What programs send, and how each value of it is bounded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from jobplatform.jobs.editing import Change

#: The most names, ids or numbers in one request.
MOST = 1_000
_BIGGEST = 2**63 - 1


def storable(value: Any) -> Any:
    """Let a value through that PostgreSQL can keep.

    :raises ValueError: for a text with a NUL or half a character in it.
    """
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= each <= "\udfff" for each in value)):
        raise ValueError("it holds a character that PostgreSQL does not keep; remove it")
    if isinstance(value, dict):
        for name, each in value.items():
            storable(name)
            storable(each)
    elif isinstance(value, list):
        for each in value:
            storable(each)
    return value


def _in_reach(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 2999:
        raise ValueError("it is out of range; give a time from 1970 to 2999")
    return moment


class Body(BaseModel):
    """A document in which nothing is ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


Text = Annotated[str, BeforeValidator(storable), Field(max_length=2_000)]
Name = Annotated[str, BeforeValidator(storable), Field(min_length=1, max_length=200)]
Names = Annotated[list[Name], Field(min_length=1, max_length=MOST)]
Number = Annotated[int, Field(ge=0, le=_BIGGEST)]
Numbers = Annotated[list[Number], Field(min_length=1, max_length=MOST)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_reach)]
#: Seconds of a delay, at most a hundred years.
Seconds = Annotated[float, Field(ge=0, le=100 * 366 * 86_400, allow_inf_nan=False)]
Priority = Annotated[int, Field(ge=1, le=5)]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Rows of a page.")]
After = Annotated[
    Annotated[str, Field(max_length=1_000)] | SkipJsonSchema[None], Query(description="`next` of the page before.")
]


class Placed(Body):
    """A value at a place of a payload; without one, what stands there is taken away."""

    path: Annotated[list[Name | Annotated[int, Field(ge=0, le=1_000_000)]], Field(min_length=1, max_length=20)]
    value: Any = None
    removes: bool = False


class Payload(Body):
    """Another payload: whole, or the one that there is with changes.

    :param dry_run: check all of it, tell what changes, and write nothing.
    """

    payload: dict[str, Any] | None = None
    changes: Annotated[list[Placed], Field(max_length=100)] = Field(default_factory=list)
    dry_run: bool = False

    @property
    def edits(self) -> list[Change]:
        """Give the changes as actions take them."""
        return [Change(tuple(each.path), each.value, each.removes) for each in self.changes]
