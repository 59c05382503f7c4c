"""What pages say and draw of limits, breakers, alerts, models and bytes; without a server."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobplatform.limits import parse_rate
from jobplatform.maintenance.conditions import NAMES, Thresholds, rules
from jobplatform.web import limit_words, reliability, spark, wording
from jobplatform.web.pages.breakers import sentence
from jobplatform.web.places import PLACES
from jobplatform.web.readable import readable
from jobplatform.web.stacked import LEAST, WIDE, Share, stack

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("written", ["100/s", "100/m", "20/m", "5/h", "1/d", "3/s"])
def test_a_rate_is_written_as_it_was_given(written: str) -> None:
    assert limit_words.rate(parse_rate(written)) == written


def test_a_limit_says_what_it_lets() -> None:
    row: dict[str, Any] = {"slots": 5, "rate": parse_rate("7/3s"), "burst": 2.5}
    assert limit_words.bounds(row) == "at most 5 at once, 140 a minute, 2.5 together after a pause"
    assert limit_words.bounds({"slots": 1_000, "rate": None, "burst": None}) == "at most 1,000 at once"
    assert (
        limit_words.rate(None) == "" and limit_words.rate(2.5) == "150/m" and limit_words.rate(0.1 + 1e-3) == "6.06/m"
    )


def breaker(**values: Any) -> dict[str, Any]:
    row = {"cause": "host:a", "state": "open", "reason": "all fail.", "opened_at": NOON, "probe_at": None, "probes": 0}
    return {**row, "canary_at": None, "forced": None, "forced_by": None, "held": 0, **values}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"held": 1}, "Holds what fails of it (opened 1 min ago): all fail. It holds 1 job."),
        (
            {"probe_at": NOON, "probes": 1},
            "Holds what fails of it (opened 1 min ago): all fail. "
            "The next job tries at any moment, after 1 try in vain.",
        ),
        ({"canary_at": NOON}, "Holds what fails of it (opened 1 min ago): all fail. One job tries, let go 1 min ago."),
        ({"state": "releasing"}, "Lets go what it held (opened 1 min ago): all fail."),
        ({"state": "closed"}, "Holds nothing: all fail."),
        (
            {"state": "closed", "forced": "open", "forced_by": "ann"},
            "Holds nothing: all fail. ann forced it open, and so it stays until it is reset.",
        ),
    ],
)
def test_a_breaker_says_what_it_does_and_why(row: dict[str, Any], words: str) -> None:
    assert sentence(breaker(**row), NOON + timedelta(minutes=1)) == words


def test_each_condition_has_a_rule_that_says_when_it_holds() -> None:
    said = rules(Thresholds())
    assert set(said) == set(NAMES) and len(set(said.values())) == len(NAMES)
    assert rules(Thresholds(letters=0))["dead letters"] == "switched off by the settings"
    assert said["long wait"] == "a job waits in a queue for more than 5 minutes"


def test_parts_fill_a_bar_and_none_is_too_narrow_to_see() -> None:
    parts = stack([Share("a", 1_000_000, "good"), Share("b", 0, "bad"), Share("c", 1, "run")])
    assert [part.share.label for part in parts] == ["a", "c"] and parts[1].width >= LEAST * 0.99
    assert parts[0].x == 0 and parts[1].x + parts[1].width == pytest.approx(WIDE, abs=0.2)
    assert stack([Share("a", 0, "good")]) == []


def test_a_small_line_has_gaps_where_nothing_is_known() -> None:
    assert spark.line([None, 0.0, 4.0, None, 2.0]) == "M31.0 26.0h1L60.0 2.0M118.0 14.0h1"
    assert spark.line([]) == "" and spark.line([0.0]) == "M2.0 26.0h1"


def test_what_was_foretold_lies_on_the_diagonal_when_it_came_true() -> None:
    found = reliability.plot([[0.0, 0.0, 10], [0.5, 0.5, 40], [1.0, 0.2, 1]])
    for dot in found.dots[:2]:
        assert dot.x - reliability.LEFT == pytest.approx(reliability.BOTTOM - dot.y, abs=0.2)
    assert found.dots[2].y > reliability.up(0.3) and found.dots[1].radius == 8
    assert found.line.startswith("M40") and reliability.plot([]).line == ""


def test_bytes_are_read_as_far_as_they_can_be_without_secrets() -> None:
    body = base64.b64encode(json.dumps([[], {"token": "canary-secret"}]).encode()).decode()
    shown = readable(json.dumps({"body": body, "id": "\u202ex"}).encode())
    assert '"token": "***"' in shown and "\\u202ex" in shown
    assert readable(b"\xff{ password: canary-secret") == "\\xff{ password: ***"
    assert readable(b"[" * 15_000).startswith("[[")
    assert readable(json.dumps({"body": "no base64"}).encode()) == '{\n  "body": "no base64"\n}'


def test_what_cannot_be_seen_is_seen_by_its_number() -> None:
    assert wording.plain("a\u202eb\x1b[2J\tc\nd") == "a\\u202eb\\u001b[2J\tc\nd"


def test_no_two_places_share_a_key_and_groups_stand_together() -> None:
    assert len({place.key for place in PLACES}) == len(PLACES)
    order = [place.group for place in PLACES]
    assert order == sorted(order, key=order.index)
