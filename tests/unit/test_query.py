"""The filter that people type: read, refused with a position, and written again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobplatform.actions.query import LONGEST, parse, write
from jobplatform.errors import QueryRefused
from jobplatform.states import State
from jobplatform.store.listing import JobFilter
from jobplatform.store.payload_path import PayloadTerm, as_jsonpath

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
_ID = "00000000-0000-7000-8000-000000000000"


def test_a_filter_is_read_field_by_field() -> None:
    text = (
        'type:shop.charge state:failed,retrying queue:mail tag:vip tenant:"Acme Ltd" error:TimeoutError '
        f'root:{_ID} since:1d2h until:2026-05-01T13:00+02:00 kwargs.customer.id:42 args.0:"42" reset "by \\"peer\\""'
    )
    assert parse(text, NOW) == JobFilter(
        states=("FAILED", "RETRYING"),
        job_type="shop.charge",
        queue="mail",
        tag="vip",
        tenant="Acme Ltd",
        error_type="TimeoutError",
        error_texts=("reset", 'by "peer"'),
        payload=(PayloadTerm(("kwargs", "customer", "id"), 42), PayloadTerm(("args", "0"), "42")),
        created_after=NOW - timedelta(hours=26),
        created_before=datetime(2026, 5, 1, 11, tzinfo=UTC),
        root_id=_ID,
    )
    assert parse("  ", NOW) == JobFilter()


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("type:a stat:failed", 8, "stat: is no field"),
        ("state:failed,lost", 7, "'lost' is no state"),
        ("type:a type:b", 8, "is there twice"),
        ("queue: a", 7, "there is no value"),
        ('queue:""', 7, "there is no value"),
        ('type:a "b', 8, "this quote has no end"),
        ('"a""b"', 4, "a term ends here"),
        ("batch:42", 7, "this is no id"),
        ("since:yesterday", 7, "this is no time"),
        ("kwargs:1", 1, "a name is missing"),
        ("kwargs.a..b:1", 1, "a name is missing"),
        ("kwargs.a.1.2.3.4:1", 1, "the path is too long"),
        ("type:a args.customer.password:x", 8, "is masked, and not looked for"),
        ("kwargs.a:[1]", 10, "only one value"),
        ("kwargs.a:1e999", 10, "too large"),
        ("a\0", 2, "no such character"),
        ("x" * (LONGEST + 1), LONGEST + 1, "longer than"),
        ("a " * 21, 41, "more than 20 terms"),
    ],
)
def test_what_cannot_be_read_is_refused_by_position_and_with_the_fix(text: str, position: int, words: str) -> None:
    with pytest.raises(QueryRefused, match=f"at character {position}: .*; .+") as refused:
        parse(text, NOW)
    assert words in str(refused.value)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20).filter(
    str.strip
)
_NAMES = st.from_regex(r"[a-z]{1,5}|[0-9]{1,3}", fullmatch=True)
_VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
_TIMES = st.integers(0, 7_000_000_000_000_000).map(
    lambda after: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=after)
)
_TERMS = st.builds(
    PayloadTerm, st.tuples(st.sampled_from(["args", "kwargs"]), _NAMES, _NAMES.filter(str.isalpha)), _VALUES
)


def _few(of: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...] | None]:
    # Of values that are equal but differ in kind, such as 0 and false, one is enough here.
    return st.none() | st.lists(of, min_size=1, max_size=3, unique=True).map(tuple)


@settings(max_examples=50)
@given(
    st.builds(
        JobFilter,
        states=_few(st.sampled_from([str(state) for state in State])),
        job_type=st.none() | _TEXTS,
        queue=st.none() | _TEXTS,
        tag=st.none() | _TEXTS,
        tenant=st.none() | _TEXTS,
        error_type=st.none() | _TEXTS,
        error_texts=_few(_TEXTS),
        payload=_few(_TERMS),
        created_after=st.none() | _TIMES,
        created_before=st.none() | _TIMES,
        root_id=st.none() | st.uuids().map(str),
        batch_id=st.none() | st.uuids().map(str),
    )
)
def test_what_is_written_is_read_as_it_was(chosen: JobFilter) -> None:
    assert parse(write(chosen), NOW) == chosen


@settings(max_examples=60)
@given(st.text(max_size=100) | st.from_regex(r'((type|since|kwargs\.[a-z.0-9]*|[a-z]+)?:?"?[^"]{0,5}"? ?){1,6}'))
def test_any_text_is_read_or_refused_and_what_is_read_is_written_the_same(text: str) -> None:
    try:
        found = parse(text, NOW)
    except QueryRefused as refused:
        assert 1 <= refused.position <= len(text) + 1
        return
    assert parse(write(found), NOW) == found


def test_times_are_written_in_utc() -> None:
    moment = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert write(JobFilter(created_after=moment)) == "since:2026-05-01T12:00:00Z"


def test_a_path_asks_for_names_and_places_and_after_args_for_any_argument() -> None:
    assert as_jsonpath(()) is None
    assert (
        as_jsonpath([PayloadTerm(("args", "0"), 'a"b')]) == r'$ ? ((@."args"."0" == "a\"b" || @."args"[0] == "a\"b"))'
    )
    assert as_jsonpath([PayloadTerm(("args", "id"), 42), PayloadTerm(("kwargs", "x"), None)]) == (
        '$ ? ((@."args"[*]."id" == 42 || @."kwargs"."id" == 42) && (@."kwargs"."x" == null))'
    )
