"""What somebody means who wrote over a payload with masks in it, and what two payloads have apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.actions import query
from jobplatform.actions.differences import Difference, differences, edited, meant
from jobplatform.errors import InvalidPayload
from jobplatform.jobs.editing import Change
from jobplatform.masking import MASK, mask
from jobplatform.web import columns

BEFORE = {
    "args": ["plain", {"pin": 1, "count": 1}, {"pin": 2, "count": 2}],
    "kwargs": {"card": "4111", "url": "x://u:pw@h", "note": "*** urgent ***", "n": 1},
}
SHOWN = mask(BEFORE)


def written(**kwargs: Any) -> dict[str, Any]:
    return {**SHOWN, "kwargs": {**SHOWN["kwargs"], **kwargs}}


def test_a_mask_that_stays_where_it_was_keeps_what_is_stored() -> None:
    assert meant(SHOWN, BEFORE, SHOWN) == BEFORE
    assert meant(written(n=2), BEFORE, SHOWN)["kwargs"] == {**BEFORE["kwargs"], "n": 2}
    assert meant(written(card="4222"), BEFORE, SHOWN)["kwargs"]["card"] == "4222"
    beside = {**SHOWN, "args": [SHOWN["args"][0], {"pin": MASK, "count": 7}, SHOWN["args"][2]]}
    assert meant(beside, BEFORE, SHOWN)["args"][1] == {"pin": 1, "count": 7}
    longer = {**SHOWN, "args": [*SHOWN["args"], 5]}
    assert meant(longer, BEFORE, SHOWN)["args"] == [*BEFORE["args"], 5]


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        (written(note=MASK), "kwargs.note"),
        (written(new=MASK), "kwargs.new"),
        (written(card="4***"), "kwargs.card"),
        (written(url="x://u:***@elsewhere"), "kwargs.url"),
        ({**SHOWN, "args": [SHOWN["args"][0], SHOWN["args"][2], SHOWN["args"][1]]}, "args[1]"),
        ({**SHOWN, "args": SHOWN["args"][1:]}, "args[0]"),
        ({"args": [MASK], "kwargs": {}}, "args[0]"),
    ],
)
def test_a_mask_anywhere_else_is_refused_and_the_place_named(payload: Any, place: str) -> None:
    with pytest.raises(InvalidPayload, match="stands for a value that is hidden") as refused:
        meant(payload, BEFORE, SHOWN)
    assert refused.value.field == place


def test_items_that_look_alike_are_not_taken_for_each_other() -> None:
    before = [{"pin": 1}, {"pin": 2}]
    with pytest.raises(InvalidPayload):
        meant([{"pin": MASK}], before, mask(before))


_TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab*", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "pin", "card"]), inner),
    max_leaves=10,
)


@given(_TREES)
def test_what_was_not_changed_is_as_before_whatever_it_is(tree: Any) -> None:
    shown = mask(tree)
    assert meant(shown, tree, shown) == tree
    assert differences(tree, tree, (shown, shown)) == []


def test_an_edit_is_checked_before_anything_walks_through_it() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    with pytest.raises(InvalidPayload, match="nested"):
        edited({"args": deep}, [], BEFORE, SHOWN, 1_000_000)
    with pytest.raises(InvalidPayload, match="nested"):
        edited(None, [Change(("kwargs", "n"), deep)], BEFORE, SHOWN, 1_000_000)
    with pytest.raises(InvalidPayload, match="hidden"):
        edited(None, [Change(("kwargs", "n"), [MASK])], BEFORE, SHOWN, 1_000_000)
    for change in (Change(("args",), 5), Change(("kwargs",), None), Change(("other",), 1)):
        with pytest.raises(InvalidPayload):
            edited(None, [change], BEFORE, SHOWN, 1_000_000)
    assert edited(None, [Change(("args",), removes=True)], BEFORE, SHOWN, 1_000)["args"] == []


def test_differences_are_named_by_place_and_hide_what_is_hidden() -> None:
    after = {"args": ["plain", 1], "kwargs": {"card": "4222", "url": BEFORE["kwargs"]["url"], "n": True, "new": [1]}}  # type: ignore[index]
    found = differences(BEFORE, after, (SHOWN, mask(after)))
    assert found == [
        Difference("args[1]", "changed", {"pin": MASK, "count": 1}, 1),
        Difference("args[2]", "removed", {"pin": MASK, "count": 2}, None),
        Difference("kwargs.card", "changed", MASK, MASK),
        Difference("kwargs.note", "removed", "*** urgent ***", None),
        Difference("kwargs.n", "changed", 1, True),
        Difference("kwargs.new", "added", None, [1]),
    ]
    many = {"args": list(range(1_000)), "kwargs": {}}
    assert len(differences(BEFORE, many, (SHOWN, many))) == 200


def test_whatever_completes_a_filter_begins_one_that_can_be_read() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = query.beginnings(["shop.charge", 'odd "name"'], ["mail"])
    assert {"state:failed", "type:shop.charge", 'type:"odd \\"name\\""', "queue:mail", "since:1h", "kwargs."} <= {
        *found
    }
    for each in found:
        query.parse(each if each[-1] not in ":." else f"{each}x:1" if each[-1] == "." else f"{each}{_value(each)}", now)


def _value(field: str) -> str:
    return "00000000-0000-7000-8000-000000000000" if field in ("batch:", "root:") else "x"


def test_columns_are_those_that_are_known_and_the_usual_ones_for_none() -> None:
    usual = [column.name for column in columns.chosen([])]
    assert usual == ["state", "queue", "attempt", "created", "job", "error"]
    assert columns.chosen(["colour"]) == columns.chosen([]) and columns.written(columns.chosen([])) == ""
    some = columns.chosen(["took,queue", "worker"])
    assert [column.name for column in some] == ["queue", "took", "worker"]
    assert columns.written(some) == "queue,took,worker" and columns.chosen([columns.written(some)]) == some
