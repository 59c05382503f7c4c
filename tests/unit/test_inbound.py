"""Headers and bodies are judged before anything uses them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.journal.foreign import ForeignMessage, storable
from jobplatform.journal.inbound import check_body, check_headers, named
from jobplatform.transport.message import split_payload

GOOD = {
    "id": "11111111-2222-3333-4444-555555555555",
    "task": "shop.charge",
    "retries": 0,
    "jp_attempt": 1,
    "jp_at": 5.0,
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "timelimit", "eta", "expires", "jp_deadline", "stamps", "stamped_headers"]), anything
    )
)
def test_headers_of_any_kind_pass_or_are_refused_by_name(headers: dict[str, Any]) -> None:
    try:
        check_headers({**GOOD, **headers})
    except ValueError as error:
        assert str(error).split(":")[0] in {**GOOD, **headers}


def test_headers_of_newer_code_are_ignored() -> None:
    check_headers({**GOOD, "jp_future": {"v": 2}, "jp_lease": ["x"]})


@given(anything, anything, anything)
def test_bodies_of_any_kind_pass_or_are_refused(args: Any, kwargs: Any, embed: Any) -> None:
    try:
        check_body(args, kwargs, embed)
    except ValueError:
        return
    assert isinstance(args, list)
    assert isinstance(kwargs, dict)


@given(anything)
def test_a_message_names_an_attempt_or_none(headers: Any) -> None:
    found = named(headers)
    assert found is None or found[1] >= 1


def foreign(args: list[Any], **headers: Any) -> dict[str, Any]:
    given = {**GOOD, **headers}
    message = SimpleNamespace(
        properties={"priority": 9, "reply_to": "me"}, body=b"[raw]", content_type="application/json",
        content_encoding="utf-8",
    )  # fmt: skip
    row: dict[str, Any] = json.loads(ForeignMessage(message, given, args, {}, {"chain": None}, "mail").row())
    return row


@pytest.mark.parametrize("args", [[1, "x"], ["\N{GRINNING FACE}"], ["\\u0000"], []])
def test_a_foreign_row_holds_all_that_its_message_said(args: list[Any]) -> None:
    row = foreign(args, retries=2, timelimit=[9, 8], expires="2027-01-01T00:00:00+00:00", color="red", id="mine")
    assert json.loads(split_payload(json.dumps(row["payload"]))[0]) == args
    assert (row["queue"], row["priority"], row["attempt"], row["retry_count"]) == ("mail", 5, 3, 2)
    assert (row["timeout"], row["soft_timeout"], row["expires_at"]) == (9, 8, 1798761600.0)
    assert row["message"]["task_id"] == "mine"
    assert row["message"]["headers"] == {"color": "red", "jp_attempt": 1, "jp_at": 5.0}
    assert row["message"]["properties"] == {"reply_to": "me"}


@pytest.mark.parametrize("argument", [float("nan"), "a\0b", "a\ud800b", object()])
def test_what_the_tables_cannot_hold_is_kept_as_the_body_that_it_was(argument: Any) -> None:
    assert storable(argument) is None
    row = foreign([argument])
    assert row["message"]["body"] == ["application/json", "utf-8", "W3Jhd10="]
    assert "repr" in row["payload"]
