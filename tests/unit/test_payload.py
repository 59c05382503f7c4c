"""Payloads and results as JSON text: what is refused, what is repaired, and that nothing else is."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import pickle
import uuid
from collections import OrderedDict, deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from jobplatform.errors import InvalidPayload, ResultTooLarge
from jobplatform.jobs.payload import decode_payload, encode_payload
from jobplatform.journal.result import encode_result
from jobplatform.journal.storable import MAX_DEPTH, MAX_DIGITS, find_problem

LIMIT = 1_048_576


def refusal(*args: object, **kwargs: object) -> InvalidPayload:
    with pytest.raises(InvalidPayload) as caught:
        encode_payload(args, kwargs, LIMIT)
    return caught.value


def nested(levels: int) -> object:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Shade(enum.Enum):
    DARK = "dark"


class Model(BaseModel):
    x: int


@dataclasses.dataclass
class Point:
    x: int


class Pair(NamedTuple):
    a: int
    b: int


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class HostileMeta(type):
    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no")


class Unnamed(metaclass=HostileMeta):
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_the_text_is_compact() -> None:
    assert encode_payload((1, "é"), {"a": [None, True]}, LIMIT) == ('{"args":[1,"\\u00e9"],"kwargs":{"a":[null,true]}}')


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ({1}, "list("),
        (frozenset(), "list("),
        (b"x", "base64"),
        (bytearray(), "base64"),
        (1j, "value.real"),
        (Decimal("1.5"), "str("),
        (datetime.now(UTC), ".isoformat()"),
        (date(2024, 1, 2), ".isoformat()"),
        (timedelta(1), ".total_seconds()"),
        (uuid.uuid4(), "str("),
        (Path("a"), "str("),
        (Shade.DARK, ".value"),
        (Model(x=1), "model_dump"),
        (Point(1), "asdict"),
        (deque([1]), "list("),
        (range(3), "list("),
        (ValueError("x"), "str("),
        (object(), "id of what it stands for"),
        (Hostile(), "id of what it stands for"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_no_json_is_refused_with_its_path_its_type_and_a_fix(value: object, fix: str) -> None:
    error = refusal({"ids": [1, 2, 3, value]})
    assert error.field == "args[0].ids[3]"
    assert type(value).__qualname__ in error.problem
    assert fix in error.fix
    assert refusal(customer=value).field == "kwargs.customer"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "nan is no JSON number"),
        (math.inf, "inf is no JSON number"),
        (-math.inf, "-inf is no JSON number"),
        ("a\0b", "NUL"),
        ("\ud800", "lone surrogate"),
        ("\udc00\ud800", "lone surrogate"),
        ("\ud83d\ude00", "lone surrogate"),
        (10**MAX_DIGITS, "more than 4000 digits"),
        (-(10**MAX_DIGITS), "more than 4000 digits"),
        (10**5000, "more than 4000 digits"),
    ],
    ids=range(10),
)
def test_a_value_that_no_store_holds_is_refused(value: object, problem: str) -> None:
    error = refusal(0, customer={"ids": [0, value]})
    assert (error.field, problem in error.problem) == ("kwargs.customer.ids[1]", True)
    assert str(error).encode()
    assert "\0" not in str(error)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({1: "a"}, "args[0][1]"),
        ({None: "a"}, "args[0][None]"),
        ({"a": [{2.5: 0}]}, "args[0].a[0][2.5]"),
        ({True: 0}, "args[0][True]"),
        ({(1, 2): 0}, "args[0][<tuple>]"),
        ({10**5000: 0}, "args[0][<int>]"),
        ([OrderedDict({Level.LOW: 0})], "args[0][0][<test_payload.Level>]"),
        ({"a\0": 0}, r"args[0]['a\x00']"),
        ({"\ud800": 0}, r"args[0]['\ud800']"),
        ({"a b": {3}}, "args[0]['a b']"),
    ],
)
def test_a_bad_key_is_refused(value: object, field: str) -> None:
    assert refusal(value).field.replace("tests.unit.", "") == field


def test_a_keyword_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidPayload, match=r"kwargs\[1\]: the key is of type int"):
        encode_payload((), {1: 2}, LIMIT)  # type: ignore[dict-item]


def test_a_long_key_is_shortened_in_the_path() -> None:
    assert len(refusal({"k" * 10_000: {1}}).field) < 100


@pytest.mark.parametrize(
    "value",
    [
        Color.RED,
        Level.LOW,
        "😀",
        "한국어 \\u0000 \\ud800",
        r"C:\u0000",
        10**MAX_DIGITS - 1,
        "9" * 10_000,
        -0.0,
        1e308,
        {Color.RED: 1},
        {"😀": [{"": 0}]},
        (1, (2,)),
        Pair(1, 2),
        OrderedDict(a=1),
        [[1] * 200, [{}] * 200],
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_comes_back_equal_is_taken(value: Any) -> None:
    args, kwargs = decode_payload(encode_payload((value,), {"k": value}, LIMIT))
    assert args == [kwargs["k"]] == [json.loads(json.dumps(value))]


def test_other_sequences_and_mappings_of_arguments_are_taken() -> None:
    assert encode_payload(range(2), OrderedDict(a=1), LIMIT) == '{"args":[0,1],"kwargs":{"a":1}}'
    assert decode_payload(encode_payload(deque([1]), {}, LIMIT)) == ([1], {})


def test_the_depth_limit_is_exact() -> None:
    encode_payload((nested(MAX_DEPTH),), {"k": nested(MAX_DEPTH)}, LIMIT)
    error = refusal(0, nested(MAX_DEPTH + 1))
    assert error.field.startswith("args[1].k[0].k[0]")
    assert "deeper than 100 levels" in error.problem
    lists: Any = 1
    for _ in range(MAX_DEPTH):
        lists = [lists]
    encode_payload((lists,), {}, LIMIT)
    assert "deeper" in refusal([lists]).problem


@pytest.mark.parametrize("levels", [102, 900, 5_000, 200_000])
def test_any_depth_is_refused_and_repaired_without_a_crash(levels: int) -> None:
    value: Any = nested(levels)
    assert "deeper" in refusal(value).problem
    assert json.loads(encode_result(value, LIMIT))["__type__"].startswith("builtins.")
    while isinstance(value, (list, dict)):  # taken apart by hand: the interpreter frees it recursively
        value = value.pop() if isinstance(value, list) else value.pop("k")


def test_a_circular_reference_is_refused_where_it_closes() -> None:
    loop: dict[str, Any] = {"a": [1]}
    loop["a"].append(loop)
    assert refusal(loop).field == "args[0].a[1]"
    assert "circular" in refusal(loop).problem
    assert json.loads(encode_result(loop, LIMIT))["__type__"] == "builtins.dict"
    shared = [1]
    encode_payload((shared, shared), {"k": [shared, shared]}, LIMIT)


def test_an_oversize_payload_names_size_and_limit() -> None:
    text = encode_payload(("x" * 50,), {}, LIMIT)
    assert encode_payload(("x" * 50,), {}, len(text)) == text
    with pytest.raises(InvalidPayload) as caught:
        encode_payload(("x" * 50,), {}, len(text) - 1)
    assert caught.value.field == "payload"
    assert f"{len(text)} bytes and the limit is {len(text) - 1} bytes" in caught.value.problem
    assert "reference" in caught.value.fix


def test_the_error_survives_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(refusal({1})))
    assert (error.field, str(error)) == ("args[0]", str(refusal({1})))


def test_find_problem_says_none_when_all_is_well() -> None:
    assert find_problem("args", [1, {"a": ("x", None)}]) is None
    assert find_problem("x", {1: 2}, text_keys=False) is None


@pytest.mark.parametrize("stored", ['{"args":[1],"kwargs":{"a":2}}', {"args": [1], "kwargs": {"a": 2}}])
def test_a_payload_is_decoded_from_text_and_from_objects(stored: object) -> None:
    assert decode_payload(stored) == ([1], {"a": 2})


@pytest.mark.parametrize(
    ("stored", "field"),
    [
        ("{", "payload"),
        (b"\xff", "payload"),
        ("[" * 200_000, "payload"),
        ("[]", "payload"),
        (None, "payload"),
        ({"args": {}}, "payload.args"),
        ({"kwargs": None}, "payload.kwargs"),
        ({"customer": 1}, "payload.customer"),
    ],
    ids=range(8),
)
def test_what_is_no_payload_is_not_decoded(stored: object, field: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        decode_payload(stored)
    assert caught.value.field == field


def test_missing_parts_of_a_payload_are_empty() -> None:
    assert decode_payload("{}") == ([], {})


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (5, "5"), ("é", '"\\u00e9"'), ((1, 2), "[1,2]"), ({1: 2}, '{"1":2}'), ("\\u0000", None)],
)
def test_a_json_result_is_kept_as_it_is(value: object, text: str | None) -> None:
    assert encode_result(value, LIMIT) == (text or json.dumps(value))


@pytest.mark.parametrize(
    ("value", "representation", "kind"),
    [
        ({1}, "{1}", "builtins.set"),
        (Decimal("1.5"), "Decimal('1.5')", "decimal.Decimal"),
        ([math.nan], "[nan]", "builtins.list"),
        ("a\0b", r"'a\x00b'", "builtins.str"),
        ("\ud800", r"'\ud800'", "builtins.str"),
        ({"k\0": 1}, r"{'k\x00': 1}", "builtins.dict"),
        (Shade.DARK, "<Shade.DARK: 'dark'>", "Shade"),
        (10**5000, "<no repr>", "builtins.int"),
        (Unnamed(), "<no repr>", "unknown"),
        (Hostile(), "<Hostile instance at", "Hostile"),
    ],
    ids=range(10),
)
def test_any_other_result_is_kept_as_its_repr(value: object, representation: str, kind: str) -> None:
    stored = json.loads(encode_result(value, LIMIT))
    assert stored["__repr__"].startswith(representation)
    assert stored["__type__"].endswith(kind)


@pytest.mark.parametrize("text", ["\0", "\ud800", "x" * 10_000, 7, "\udfff" * 2_000])
def test_a_repr_is_bounded_and_cleaned(text: str) -> None:
    class Odd:
        def __repr__(self) -> str:
            return text

    for value in (Odd(), [Odd()] * 100_000):
        stored = encode_result(value, LIMIT)
        assert len(json.loads(stored)["__repr__"]) <= 1000
        assert jsonb_takes(json.loads(stored))


def test_a_result_with_hostile_code_is_repaired() -> None:
    class Items(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("no")

    assert "__repr__" in encode_result(Items(a=1), LIMIT)


def test_an_oversize_result_names_size_and_limit() -> None:
    with pytest.raises(ResultTooLarge, match=r"takes 102 bytes and the limit is 101 bytes; .*reference"):
        encode_result("x" * 100, 101)
    assert len(encode_result("x" * 100, 102)) == 102


any_text = st.text(st.characters(exclude_categories=()), max_size=8)
json_scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text
keys = any_text | st.integers() | st.none()
values = st.recursive(
    json_scalars | st.binary(max_size=2) | st.decimals(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
good_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
good_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | good_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(good_text, inner, max_size=4),
    max_leaves=20,
)


def jsonb_takes(value: Any) -> bool:
    """Say what a store takes, by an independent definition: it comes back equal and holds no refused text."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and jsonb_takes(key) and jsonb_takes(value[key]) for key in value)
    if isinstance(value, list):
        return all(map(jsonb_takes, value))
    if isinstance(value, str):
        return "\0" not in value and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


@given(st.lists(good_values, max_size=4), st.dictionaries(good_text, good_values, max_size=4))
def test_every_good_value_comes_back_equal(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert decode_payload(encode_payload(args, kwargs, LIMIT)) == (args, kwargs)


@given(values)
def test_exactly_the_storable_values_are_taken(value: Any) -> None:
    try:
        text = encode_payload((value,), {"k": value}, LIMIT)
    except InvalidPayload as error:
        assert not jsonb_takes(value)
        assert error.field.startswith("args[0]")
        assert str(error).encode()
    else:
        assert jsonb_takes(value)
        assert decode_payload(text) == ([value], {"k": value})


@given(any_text, st.sampled_from(["\0", "\ud800", "\udfff"]), any_text)
def test_text_with_nul_or_surrogates_is_refused_or_repaired(left: str, bad: str, right: str) -> None:
    text = left + bad + right
    assert refusal({"ids": [text]}).field == "args[0].ids[0]"
    assert refusal({text: 1}).field.startswith("args[0][")
    assert jsonb_takes(json.loads(encode_result({text: [text]}, LIMIT)))


@given(values)
def test_every_result_becomes_storable_text(value: Any) -> None:
    stored = json.loads(encode_result(value, LIMIT))
    assert jsonb_takes(stored)
