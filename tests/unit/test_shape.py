"""Schemas of what actions give, made of their types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from jobplatform.web.api.reply import plain
from jobplatform.web.gives import gives
from jobplatform.web.openapi import document
from jobplatform.web.rule import does
from jobplatform.web.shape import Shapes, given_by


class Tone(StrEnum):
    KIND = "kind"
    DRY = "dry"


class _Row(TypedDict):
    """A row."""

    name: str
    at: datetime | None


class _Whole(NamedTuple):
    row: Annotated[Mapping[str, Any], _Row]
    rows: Sequence[Annotated[Mapping[str, Any], _Row]]
    counts: dict[str, int]
    inner: _Whole | None
    pair: tuple[int, str]
    more: tuple[float, ...]


@dataclass
class _Made:
    tone: Tone
    mode: Literal["on", "off"]
    left: timedelta
    ids: frozenset[UUID]
    share: Decimal
    kinds: Counter[str]
    anything: Any
    _hidden: int = 0


def _gives() -> list[_Whole] | None: ...


def test_a_value_that_is_answered_is_what_its_type_says() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    row = {"name": "a", "at": now}
    whole = _Whole(row, [row, {**row, "at": None}], {"a": 1}, None, (1, "b"), (1.5,))
    made = _Made(
        Tone.DRY, "on", timedelta(seconds=2), frozenset({UUID(int=1)}), Decimal("0.5"), Counter(a=1), {"x": [1]}
    )
    for kind, value in ((given_by(_gives), [whole._replace(inner=whole)]), (_Made, made), (Iterator[bytes], [b"a"])):
        shapes = Shapes("#/$defs/")
        schema = {**shapes.of(kind), "$defs": shapes.named}
        Draft202012Validator.check_schema(schema)
        assert not list(Draft202012Validator(schema).iter_errors(plain(value)))
        for wrong in ([{"row": {}}], {"tone": "loud"}, [7], 5):
            assert list(Draft202012Validator(schema).iter_errors(wrong)), (kind, wrong)


def test_fields_are_required_and_named_and_rows_are_known_by_their_name() -> None:
    shapes = Shapes()
    assert shapes.of(_Whole) == {"$ref": "#/components/schemas/test_shape._Whole"}
    found = shapes.named["_Row"]
    assert (found["required"], found["description"]) == (["name", "at"], "A row.")
    assert found["properties"]["at"] == {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
    shapes.of(_Made)
    assert "_hidden" not in shapes.named["test_shape._Made"]["properties"]


@pytest.mark.parametrize("kind", [Callable[[], None], object.__init__, complex])
def test_what_is_no_answer_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="cannot be answered"):
        Shapes().of(kind)


def test_two_shapes_of_one_name_are_refused() -> None:
    class Other(TypedDict):
        name: int

    Other.__name__ = _Row.__name__
    shapes = Shapes()
    shapes.of(_Row)
    with pytest.raises(TypeError, match="two of this name"):
        shapes.of(Other)


def test_what_is_sent_is_not_replaced_by_what_is_answered() -> None:
    sent = type("_Row", (BaseModel,), {"__annotations__": {"name": str}})
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @does("jobs.submit")
    @gives(row=_Row)
    def submit(asked: Any) -> None: ...

    submit.__annotations__["asked"] = sent
    app.post("/api/v1/jobs")(submit)
    with pytest.raises(TypeError, match="_Row: something that is sent"):
        document(app)
