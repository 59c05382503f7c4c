"""Values held against a JSON Schema: each field that does not fit is named, and no other."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from jobplatform.actions.schema import MOST, problems, step


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=5)
    children: list[Tree] = Field(default_factory=list, max_length=2)


class Card(BaseModel):
    kind: Literal["card"]
    digits: str = Field(pattern=r"^\d{4}$")


class Cash(BaseModel):
    kind: Literal["cash"]
    amount: Annotated[float, Field(gt=0, le=100, multiple_of=0.5)]


class Payment(BaseModel):
    by: Annotated[Card | Cash, Field(discriminator="kind")]
    at: datetime | None = None
    tags: set[str] = set()
    counts: dict[str, int] = {}
    pair: tuple[int, str] = (1, "a")
    left: Decimal = Decimal(1)
    who: int | str = 1


GOOD: dict[str, Any] = {"by": {"kind": "cash", "amount": 1.5}}


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({}, []),
        ({"at": None, "tags": ["a", "b"], "counts": {"a": 1}, "pair": [2, "b"], "left": "1.5", "who": "x"}, []),
        ({"by": {"kind": "card", "digits": "1234"}}, []),
        ({"by": {"kind": "card", "digits": "12345"}}, ["/by/digits"]),
        ({"by": {"kind": "cash", "amount": 0}}, ["/by/amount"]),
        ({"by": {"kind": "cash", "amount": 101}}, ["/by/amount"]),
        ({"by": {"kind": "cash", "amount": 1.2}}, ["/by/amount"]),
        ({"by": {"kind": "cash"}}, ["/by/amount"]),
        ({"by": None}, ["/by"]),
        ({"at": 3}, ["/at"]),
        ({"tags": ["a", "a"]}, ["/tags"]),
        ({"counts": {"a": 1, "b/c~": "2"}}, ["/counts/b~1c~0"]),
        ({"pair": ["x", 1]}, ["/pair/0", "/pair/1"]),
        ({"pair": [1]}, ["/pair"]),
        ({"who": True}, ["/who"]),
        ({"who": 10**400}, []),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], pointers: list[str]) -> None:
    found = problems({**GOOD, **change}, Payment.model_json_schema())
    assert [each.pointer for each in found] == pointers, found


def test_a_schema_that_refers_to_itself_ends_with_the_value() -> None:
    schema = Tree.model_json_schema()
    schema = {**schema, **schema["$defs"]["Tree"]} if "$ref" in schema else schema
    good = {"name": "a", "children": [{"name": "b"}]}
    assert problems(good, schema) == []
    bad = {"name": "", "children": [{"name": "toolong"}, {"nam": "x"}, {"name": "c"}]}
    assert sorted({each.pointer for each in problems(bad, schema)}) == [
        "/children", "/children/0/name", "/children/1/nam", "/children/1/name", "/name"
    ]  # fmt: skip
    deep: Any = {"name": "a"}
    for _ in range(5_000):
        deep = {"name": "a", "children": [deep]}
    assert "too deeply" in problems(deep, schema)[0].problem
    assert problems({}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})[0].problem.endswith("too deeply")


def test_not_more_is_told_than_somebody_reads() -> None:
    assert len(problems([1] * 1_000, {"items": {"type": "string"}})) == MOST


def test_a_pattern_that_takes_others_for_ever_takes_no_time() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    assert problems("a" * 50_000 + "!", schema)
    assert problems("x", {"pattern": "(?<!y)x("}) == []


def test_no_problem_tells_a_value() -> None:
    secret = "4111111111111111"
    for schema in ({"type": "integer"}, {"maxLength": 3}, {"enum": ["a"]}, {"pattern": "^x$"}, {"const": 1}):
        (found,) = problems(secret, schema)
        assert secret not in found.problem


def test_a_step_is_written_as_the_standard_has_it() -> None:
    assert (step("a/b"), step("m~n"), step(0)) == ("/a~1b", "/m~0n", "/0")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abxy"), inner, max_size=3),
    max_leaves=6,
)


class Sample(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    a: int = Field(ge=0)
    b: str | None = None
    x: list[int | str] = []
    y: dict[str, bool] = {}


@given(_VALUES)
def test_it_agrees_with_pydantic(value: Any) -> None:
    try:
        TypeAdapter(Sample).validate_json(json.dumps(value))
    except ValidationError:
        taken = False
    else:
        taken = True
    assert (problems(value, Sample.model_json_schema()) == []) is taken
