"""What pages are made of: forms, drawings, timelines, words; without a server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request

from jobplatform.errors import RequestRefused
from jobplatform.web import chart, drawing, form, live, look, paging, question, timeline, trace, wording
from jobplatform.web.cron_words import cron_words
from jobplatform.web.page import ENVIRONMENT
from jobplatform.web.pages.jobs import cell

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def attempt(number: int, status: str, start: float, end: float | None) -> dict[str, object]:
    ended = None if end is None else at(end)
    return {"attempt_number": number, "status": status, "started_at": at(start), "completed_at": ended}


def test_a_timeline_has_every_second_once_and_is_drawn_to_scale() -> None:
    job = {"created_at": NOON, "status": "PROCESSING", "completed_at": None}
    spans = timeline.spans(job, [attempt(1, "FAILED", 10, 20), attempt(2, "PROCESSING", 60, None)])
    assert [(each.words, each.tone) for each in spans] == [
        ("waited", "wait"),
        ("attempt 1 (failed)", "bad"),
        ("waited for attempt 2", "wait"),
        ("attempt 2 (processing)", "run"),
    ]
    assert [each.end for each in spans[:-1]] == [each.start for each in spans[1:]]
    assert [(bar.x, bar.width) for bar in timeline.bars(spans, at(100))] == [
        (0, 100),
        (100, 100),
        (200, 400),
        (600, 400),
    ]
    waiting = timeline.spans({**job, "status": "RETRYING"}, [attempt(1, "FAILED", 10, 20)])
    assert waiting[-1] == timeline.Span("is retrying", "wait", at(20), None)


def test_a_bar_is_never_out_of_the_drawing_nor_too_narrow_to_see() -> None:
    spans = [timeline.Span("a", "run", at(0), at(10_000)), timeline.Span("b", "run", at(10_000), at(10_000))]
    for bar in timeline.bars(spans, at(10_000)):
        assert bar.width >= 3 and bar.x + bar.width <= 1000


def test_a_workflow_is_drawn_from_left_to_right_and_no_two_jobs_cover_each_other() -> None:
    rows = [{"job_id": name, "after": list(after)} for name, after in (("d", "bc"), ("b", "a"), ("c", "a"), ("a", "x"))]
    drawn = drawing.draw(rows)
    levels = {node.row["job_id"]: node.level for node in drawn.nodes}
    assert levels == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert len({(node.x, node.y) for node in drawn.nodes}) == 4 and len(drawn.edges) == 4
    for node in drawn.nodes:
        assert 0 <= node.x <= drawn.width - drawing.WIDE and 0 <= node.y <= drawn.height - drawing.HIGH
    circle = drawing.draw([{"job_id": "a", "after": ["b"]}, {"job_id": "b", "after": ["a"]}])
    assert {node.level for node in circle.nodes} == {0}
    assert drawing.draw([]).edges == []


SCHEMA = {
    "required": ["name", "count"],
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "tone": {"anyOf": [{"$ref": "#/$defs/Tone"}, {"type": "null"}], "default": None},
        "loud": {"type": "boolean", "default": True},
        "more": {"type": "array", "default": [1]},
    },
    "$defs": {"Tone": {"type": "string", "enum": ["kind", "dry"]}},
}


def test_a_form_has_an_entry_for_each_argument_and_gives_values_of_its_types() -> None:
    kinds = {entry.name: (entry.kind, entry.required, entry.value) for entry in form.entries(SCHEMA, {})}
    assert kinds == {
        "name": ("text", True, ""),
        "count": ("number", True, ""),
        "tone": ("choice", False, ""),
        "loud": ("switch", False, "true"),
        "more": ("json", False, "[1]"),
    }
    given = {"name": "", "count": "3", "tone": "dry", "more": '{"a": 1}'}
    read, wrong = form.values(SCHEMA, given)
    assert read == {"name": "", "count": 3, "tone": "dry", "loud": False, "more": {"a": 1}} and not wrong
    _, wrong = form.values(SCHEMA, {"name": "x", "count": "many", "more": "{"})
    assert [each.name for each in wrong] == ["count", "more"]


def test_what_is_the_applications_own_is_set_apart_in_a_traceback() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/x/site-packages/celery/trace.py", line 1, in run\n    go()\n'
        '  File "/app/shop.py", line 2, in charge\n    pay()\nValueError: no'
    )
    found = trace.frames(text)
    assert [frame.ours for frame in found] == [True, False, True, True]
    assert "\n".join(frame.text for frame in found) == text


@pytest.mark.parametrize(
    ("asked", "typed", "sure"),
    [
        ("", "", False),
        ("7", "", True),
        ("101", "", False),
        ("101", "100", False),
        ("1001", "1,001", True),
        ("-1", "", False),
    ],
)
def test_above_a_hundred_it_takes_the_number_to_be_sure(asked: str, typed: str, sure: bool) -> None:
    assert question.is_sure(asked, typed) is sure


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(["a", "b"]) == "a b" and cell(None) == ""


def test_a_place_in_a_list_comes_back_as_it_was_written() -> None:
    place = (NOON, "01a20500-5122-7568-8768-1a0691f3e1da")
    assert paging.read(paging.written(place)) == place
    assert paging.read("") is None
    for text in ("x", "2026-01-01,", "2026-01-01T00:00:00,x", "2026-01-01T00:00:00+00:00"):
        with pytest.raises(RequestRefused):
            paging.read(text)


def test_times_are_said_as_people_say_them() -> None:
    assert [wording.duration(each) for each in (0.005, 2.5, 42, 90, 3_600, 90_000, None)] == [
        "5 ms", "2.5 s", "42 s", "1 min 30 s", "1 h", "1 d 1 h", "\N{EN DASH}",
    ]  # fmt: skip
    assert wording.ago(at(-90), NOON) == "1 min ago" and wording.ago(at(7_300), NOON) == "in 2 h"
    assert wording.number(1234567) == "1,234,567" and wording.number(0.384) == "0.38"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 8 * * mon-fri", "weekdays at 08:00"),
        ("*/5 * * * *", "every 5 minutes"),
        ("30 * * * *", "every hour at minute 30"),
        ("0 4 1 * *", "on day 1 of each month at 04:00"),
        ("@every 90s", "every 90 seconds"),
        ("0 8 * * 7", "Sundays at 08:00"),
        ("0 8 1 * mon", None),
        ("1,2 3-4 * 5 *", None),
        ("", None),
    ],
)
def test_a_cron_line_is_said_in_words_where_they_are_few(line: str, words: str | None) -> None:
    assert cron_words(line) == words


def test_a_look_is_one_of_those_that_there_are() -> None:
    assert look.chosen("dark", "compact", "off") == look.Look("dark", "compact", "off")
    assert look.chosen('"><script>', "x", "y", "z") == look.Look()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '" onload="x', "{{ 7 * 7 }}"])
def test_a_json_value_is_text_in_a_page(text: str) -> None:
    tree = ENVIRONMENT.get_template("_tree.html").module.tree  # type: ignore[attr-defined]
    shown = str(tree({text: [text, {text: text}], "n": 12345678901234567890, "none": None}))
    assert "<script" not in shown and 'onload="' not in shown and "49" not in shown
    assert "12345678901234567890" in shown and "null" in shown


def test_who_listens_hears_what_changed_once_and_no_more_than_they_may() -> None:
    async def story() -> None:
        marks = [{"jobs": 1, "audit": 1}, {"jobs": 2, "audit": 2}]
        told = live.Live(lambda: marks.pop(0) if len(marks) > 1 else marks[0])
        viewer, admin = told.join("ann", frozenset({"jobs"})), told.join("root", frozenset({"jobs", "audit"}))
        await asyncio.wait_for(admin.rung.wait(), 10)
        assert admin.take() == ["audit", "jobs"] and viewer.take() == ["jobs"]
        assert admin.take() == [] and not admin.rung.is_set()
        with pytest.raises(RequestRefused):
            for _ in range(live.MOST_OF_ONE):
                told.join("ann", frozenset())
        for listener in tuple(told.listeners):
            told.leave(listener)
        assert told._asking is None

    asyncio.run(story())
    assert live.moved(None, {"jobs": 1}) == frozenset()


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_who_does_not_read_is_dropped(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.01)

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def story() -> None:
        told = live.Live(lambda: {"jobs": 1})
        listener = told.join("ann", frozenset({"jobs"}))
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": version}}
        stream = live._Stream(Request(scope), told, listener)
        await asyncio.wait_for(stream(scope, never, never), 10)
        assert not told.listeners

    asyncio.run(story())


def test_a_chart_reaches_from_nothing_to_a_round_number_and_has_gaps() -> None:
    times = [at(60 * number) for number in range(5)]
    drawn = chart.draw(times, [0.0, 4.0, None, 2.0, 2.0])
    assert [tick.words for tick in drawn.up] == ["0", "2.5", "5"]
    assert drawn.line.count("M") == 2 and drawn.line.startswith(f"M{chart.LEFT:.1f} {chart.BOTTOM:.1f}L")
    assert drawn.across[0].words == "12:00" and drawn.across[-1].at == chart.RIGHT
    assert [chart.ceiling(each) for each in (0, 0.03, 1, 1.1, 4_999, 5_001)] == [1, 0.05, 1, 2, 5_000, 10_000]
    assert chart.draw([], []).line == "" and chart.draw(times[:1], [3.0]).line.count("L") == 1
