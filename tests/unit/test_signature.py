"""Call signatures of jobs: wrong calls are refused by name, good ones are converted."""

from __future__ import annotations

import enum
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from jobplatform.errors import InvalidPayload, JobOptionError
from jobplatform.jobs.signature import Signature


class Customer(BaseModel):
    id: int
    name: str = ""


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    customer: Customer
    due: datetime
    tags: set[str] = set()


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Plain:
    pass


def signature(function: Callable[..., Any], **options: Any) -> Signature:
    return Signature.of(function, options.get("payload_model"), options.get("bind", False))


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> InvalidPayload:
    with pytest.raises(InvalidPayload) as caught:
        signature(function).check(args, kwargs)
    return caught.value


def untyped(order_id, customer, note=None): ...  # type: ignore[no-untyped-def]


def plain(n: int, text: str, x: float = 0.0, flag: bool = False, items: list[Any] | None = None) -> None: ...


def rich(when: datetime, ids: list[int], key: uuid.UUID | None = None) -> None: ...


def only(a: int, /, b: int, *, c: int) -> None: ...


def var(a: int, *rest: int, **extra: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "field", "words"),
    [
        (untyped, (1,), {}, "kwargs.customer", "missing"),
        (untyped, (), {"customer": 1}, "kwargs.order_id", "missing"),
        (untyped, (1, 2, 3, 4), {}, "args[3]", "4 positional arguments were given and at most 3"),
        (untyped, (1, 2), {"custommer": 1}, "kwargs.custommer", "did you mean 'customer'?"),
        (untyped, (1, 2), {"zzz": 1}, "kwargs.zzz", "pass order_id, customer, note"),
        (untyped, (1, 2), {"order_id": 1}, "kwargs.order_id", "given twice, also as args[0]"),
        (lambda: None, (1,), {}, "args[0]", "no arguments"),
        (only, (1, 2), {}, "kwargs.c", "missing"),
        (only, (), {"b": 1, "c": 2}, "args[0]", "missing"),
        (only, (), {"a": 1, "b": 1, "c": 2}, "kwargs.a", "by position only"),
        (only, (1, 2, 3), {"c": 2}, "args[2]", "at most 2"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused(
    function: Callable[..., Any], args: Any, kwargs: Any, field: str, words: str
) -> None:
    error = refusal(function, *args, **kwargs)
    assert error.field == field
    assert words in str(error)


@pytest.mark.parametrize(
    ("args", "kwargs", "field", "words"),
    [
        (("5", "a"), {}, "args[0]", "it must be int, not str; pass n: int"),
        ((True, "a"), {}, "args[0]", "it must be int, not bool"),
        ((1.0, "a"), {}, "args[0]", "not float"),
        ((None, "a"), {}, "args[0]", "not NoneType"),
        ((1,), {"text": 1}, "kwargs.text", "it must be str, not int"),
        ((1, "a"), {"x": True}, "kwargs.x", "it must be float, not bool"),
        ((1, "a"), {"x": "1"}, "kwargs.x", "not str"),
        ((1, "a"), {"flag": 1}, "kwargs.flag", "it must be bool, not int"),
        ((1, "a"), {"items": {}}, "kwargs.items", "not dict"),
    ],
)
def test_a_plain_type_is_not_coerced(args: Any, kwargs: Any, field: str, words: str) -> None:
    error = refusal(plain, *args, **kwargs)
    assert error.field == field
    assert words in str(error)


class Size(enum.IntEnum):
    SMALL = 1


class Word(enum.StrEnum):
    A = "a"


def test_plain_values_are_taken_as_they_are() -> None:
    call = signature(plain)
    args: tuple[Any, ...]
    for args in [
        (1, "a"),
        (1, "a", 2),
        (1, "a", 2.5, True, []),
        (1, "a", 0, False, None),
        (Size.SMALL, Word.A),
    ]:
        assert tuple(call.convert(args, {})[0]) == args
    assert call.convert((1,), {"text": "a", "items": (1,)}) == ((1,), {"text": "a", "items": (1,)})


def test_a_default_of_none_makes_none_acceptable() -> None:
    def function(a: int = None, when: datetime = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    signature(function).check((None,), {"when": None})
    assert refusal(function, "x").field == "args[0]"


def test_unions_and_containers_of_anything_are_plain() -> None:
    def function(a: int | str, b: Optional[dict[str, Any]], c: list[object], d: None = None) -> None: ...  # noqa: UP045

    signature(function).check(("x", None, [1]), {"d": None})
    assert refusal(function, 1.5, None, []).field == "args[0]"
    assert refusal(function, 1, [], []).field == "args[1]"


def test_variable_parameters_check_each_value() -> None:
    call = signature(var)
    call.check((1, 2, 3), {"x": "a", "y": "b"})
    assert call.convert((1, 2), {"x": "a"}) == ([1, 2], {"x": "a"})
    assert refusal(var, 1, 2, "3").field == "args[2]"
    assert refusal(var, 1, x=2).field == "kwargs.x"
    assert refusal(var, x="a").field == "kwargs.a"


def test_a_positional_name_may_be_an_extra_keyword() -> None:
    def function(a: int, /, **extra: Any) -> None: ...

    signature(function).check((1,), {"a": 2})
    assert refusal(function, a=2).field == "args[0]"


def test_a_bound_function_skips_its_task() -> None:
    def function(self: Any, a: int) -> None: ...

    def gathers(*args: Any) -> None: ...

    Signature.of(function, None, True).check((1,), {})
    Signature.of(gathers, None, True).check((1, 2), {})
    with pytest.raises(InvalidPayload):
        Signature.of(function, None, True).check((1, 2), {})
    with pytest.raises(JobOptionError, match="add a first parameter"):
        Signature.of(lambda: None, None, True)


def test_json_values_are_converted_to_the_annotated_types() -> None:
    def function(
        when: datetime,
        price: Decimal,
        ids: set[int],
        pair: tuple[int, str],
        color: Color,
        point: Point,
        c: Customer,
    ) -> None: ...

    args = ["2024-01-02T03:04:05Z", "1.50", [1, 2], [1, "a"], "red", {"x": 1}]
    converted, kwargs = signature(function).convert(args, {"c": {"id": 5}})
    assert list(converted) == [
        datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), Decimal("1.50"), {1, 2}, (1, "a"), Color.RED, Point(1)
    ]  # fmt: skip
    assert kwargs == {"c": Customer(id=5)}


@pytest.mark.parametrize(
    ("args", "kwargs", "field", "words"),
    [
        ((5, []), {}, "args[0]", "valid datetime"),
        (("soon", []), {}, "args[0]", "pass when: datetime"),
        (("2024-01-02T03:04:05", [1, "5"]), {}, "args[1][1]", "valid integer, not str; pass ids: list[int]"),
        (("2024-01-02T03:04:05", [1, True, "x"]), {}, "args[1][1]", "not bool (and 1 more)"),
        (("2024-01-02T03:04:05",), {"ids": [], "key": "x"}, "kwargs.key", "UUID"),
        ((datetime(2024, 1, 2, tzinfo=UTC), []), {}, "args[0]", ".isoformat()"),
        (("2024-01-02T03:04:05", [1, {2}]), {}, "args[1][1]", "set is no JSON type"),
    ],
)
def test_a_rich_type_is_checked_as_strict_json(args: Any, kwargs: Any, field: str, words: str) -> None:
    error = refusal(rich, *args, **kwargs)
    assert error.field == field
    assert words in str(error)


def test_a_path_leaves_out_the_marks_of_a_union() -> None:
    def function(value: list[int] | dict[str, Customer]) -> None: ...

    assert refusal(function, {"a": {"id": "x"}}).field.startswith("args[0]")
    assert "dict" not in refusal(function, {"a": {"id": "x"}}).field


def test_constraints_of_an_annotation_hold() -> None:
    def function(n: Annotated[int, Field(gt=0)]) -> None: ...

    signature(function).check((1,), {})
    assert "greater than 0" in refusal(function, 0).problem


@pytest.mark.parametrize("annotation", ["Nowhere", "list[Nowhere]", "1 +", "Plain", "None.x"])
def test_an_annotation_that_cannot_be_read_takes_anything(annotation: str) -> None:
    def function(a): ...  # type: ignore[no-untyped-def]

    function.__annotations__ = {"a": annotation}
    for value in (1, "x", [None]):
        assert list(signature(function).convert((value,), {})[0]) == [value]
    assert signature(function).json_schema()["properties"] == {"a": {}}


def take_order(order: Order) -> None: ...


def test_a_model_makes_one_argument_of_the_keywords() -> None:
    call = signature(take_order, payload_model=Order)
    kwargs = {"customer": {"id": 1}, "due": "2024-01-02T03:04:05Z", "tags": ["a"]}
    call.check((), kwargs)
    converted, none = call.convert((), kwargs)
    assert none == {}
    assert converted[0] == Order(customer=Customer(id=1), due=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), tags={"a"})


@pytest.mark.parametrize(
    ("args", "kwargs", "field", "words"),
    [
        ((1,), {}, "args[0]", "pass the fields of Order by name"),
        ((), {"customer": {"id": "1"}, "due": "2024-01-02T03:04:05Z"}, "kwargs.customer.id", "valid integer"),
        ((), {"customer": {}, "due": "2024-01-02T03:04:05Z"}, "kwargs.customer.id", "Field required"),
        ((), {"customer": {"id": 1}}, "kwargs.due", "Field required"),
        ((), {"customer": {"id": 1}, "due": "2024-01-02T03:04:05Z", "x": 1}, "kwargs.x", "not permitted"),
        ((), {"customer": {"id": 1}, "due": datetime(2024, 1, 2, tzinfo=UTC)}, "kwargs.due", "isoformat"),
        ((), {"customer": {"id": 1, "name": "\ud800"}, "due": "x"}, "kwargs.customer.name", "surrogate"),
    ],
)
def test_keywords_that_do_not_fit_the_model_are_refused(args: Any, kwargs: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        signature(take_order, payload_model=Order).check(args, kwargs)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_a_model_that_cannot_be_used_is_refused_at_registration() -> None:
    with pytest.raises(JobOptionError, match="no pydantic model"):
        signature(take_order, payload_model=int)
    with pytest.raises(JobOptionError, match="give it one parameter"):
        signature(lambda: None, payload_model=Order)
    with pytest.raises(JobOptionError, match="give it one parameter"):
        signature(lambda a, b: None, payload_model=Order)


def test_the_json_schema_describes_the_parameters() -> None:
    def function(n: int, c: Customer, when: datetime | None = None, x: float | None = None, y: Any = "a") -> None: ...

    schema = signature(function).json_schema()
    assert schema["type"] == "object"
    assert schema["required"] == ["n", "c"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["n"] == {"type": "integer"}
    assert schema["properties"]["c"] == {"$ref": "#/$defs/Customer"}
    assert schema["properties"]["x"] == {"type": ["number", "null"], "default": None}
    assert schema["properties"]["y"] == {"default": "a"}
    assert schema["properties"]["when"]["default"] is None
    assert "Customer" in schema["$defs"]
    assert signature(var).json_schema()["additionalProperties"] is True
    assert signature(take_order, payload_model=Order).json_schema() == Order.model_json_schema()


def test_a_type_without_json_schema_leaves_the_schema_open() -> None:
    def function(n: Callable[[], int]) -> None: ...

    assert signature(function).json_schema()["properties"] == {"n": {}}


SHAPES: list[Callable[..., Any]] = [
    lambda: None,
    lambda a: None,
    lambda a, b=1: None,
    lambda a, /, b, *, c: None,
    lambda a, /, b=1, *, c=2: None,
    lambda a=1, /, **extra: None,
    lambda a, *rest, c: None,
    lambda *rest, **extra: None,
    lambda a, b=1, *rest, c=2, **extra: None,
]


@given(
    st.sampled_from(SHAPES),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from("abcd"), st.integers()),
)
def test_exactly_the_calls_that_python_takes_are_taken(
    function: Callable[..., Any], args: list[int], kwargs: dict[str, int]
) -> None:
    try:
        function(*args, **kwargs)
        fits = True
    except TypeError:
        fits = False
    try:
        signature(function).check(args, kwargs)
        taken = True
    except InvalidPayload:
        taken = False
    assert taken == fits


def test_plain_functions_do_not_import_pydantic() -> None:
    code = """
import sys
from datetime import datetime
from typing import Any
from jobplatform.errors import InvalidPayload
from jobplatform.jobs.signature import Signature

def plain(a: int, b: "str | None", c: list = (), d: dict[str, Any] | None = None, *e: float, **f: bool): ...
def untyped(a, b=1): ...
def rich(when: datetime): ...

Signature.of(plain, None, False).convert((1, None), {"d": {}, "g": True})
Signature.of(plain, None, False).json_schema()
Signature.of(untyped, None, False).check((1,), {"b": 2})
call = Signature.of(rich, None, False)
try:
    Signature.of(plain, None, False).check(("x", 1), {})
except InvalidPayload:
    pass
assert not [name for name in sys.modules if name.startswith("pydantic")]
call.check(("2024-01-02T03:04:05",), {})
assert "pydantic" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
