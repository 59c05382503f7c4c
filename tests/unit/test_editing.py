"""Changes of a payload: what is read, what is made of it, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.errors import InvalidPayload
from jobplatform.jobs.editing import Change, changed, parse_removal, parse_setting

PAYLOAD: dict[str, Any] = {"args": [1, [2, 3]], "kwargs": {"user": {"id": 7, "odd name": "x"}}}


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("kwargs.user_id=5", ("kwargs", "user_id"), 5),
        ("args[0]=null", ("args", 0), None),
        ("kwargs.name=Ann = Bea", ("kwargs", "name"), "Ann = Bea"),
        ('kwargs["odd=name"].x[2]={"a": [1]}', ("kwargs", "odd=name", "x", 2), {"a": [1]}),
        ('kwargs.name="5"', ("kwargs", "name"), "5"),
        ("kwargs.naïve=", ("kwargs", "naïve"), ""),
    ],
)
def test_settings_are_read(text: str, path: tuple[str | int, ...], value: Any) -> None:
    assert parse_setting(text) == Change(path, value)


@pytest.mark.parametrize(
    "text", ["", "kwargs", "kwargs=5", "user_id=5", "kwargs.=5", "kwargs.a", "args[x]=1", "args[0=1"]
)
def test_settings_that_name_no_place_are_refused(text: str) -> None:
    with pytest.raises(InvalidPayload, match="--set"):
        parse_setting(text)


def test_values_are_put_and_taken_away_and_the_payload_given_stays() -> None:
    before = json.dumps(PAYLOAD)
    settings = ["kwargs.user.id=8", "args[1][2]=4", "args[0]=0", 'kwargs.user["odd name"]="y"', "kwargs.new=[]"]
    made = changed(PAYLOAD, [*map(parse_setting, settings), parse_removal("args[1][0]")])
    assert made == {"args": [0, [3, 4]], "kwargs": {"user": {"id": 8, "odd name": "y"}, "new": []}}
    assert json.dumps(PAYLOAD) == before


@pytest.mark.parametrize("text", ["kwargs.none.x=1", "args[5]=1", "args[0].x=1", "kwargs.user[0]=1", "args[-9]=1"])
def test_a_path_that_leads_nowhere_names_where(text: str) -> None:
    with pytest.raises(InvalidPayload, match="no such place"):
        changed(PAYLOAD, [parse_setting(text)])
    with pytest.raises(InvalidPayload, match="no such place"):
        changed(PAYLOAD, [parse_removal(text.partition("=")[0])])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
)


@given(st.text(), values)
def test_any_value_comes_to_any_name(name: str, value: Any) -> None:
    setting = parse_setting(f"kwargs[{json.dumps(name)}]={json.dumps(value)}")
    assert changed({"args": [], "kwargs": {}}, [setting]) == {"args": [], "kwargs": {name: value}}
