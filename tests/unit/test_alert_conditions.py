"""What people are told of, as values."""

from __future__ import annotations

import pytest

from jobplatform.maintenance.conditions import (
    NAMES,
    Lost,
    Missed,
    Open,
    Sight,
    Thresholds,
    Waiting,
    judge,
)

LIMITS = Thresholds()

HOLDS = [
    (Sight(letters=20), "dead letters", "", "20 jobs were given up within 10 minutes"),
    (Sight(alive=1, waiting=[Waiting("imports", 7, 301)]), "long wait", "imports", "the oldest of 7 jobs"),
    (Sight(lost=[Lost("w1@a", 61)]), "worker lost", "w1@a", "silent for 61 s"),
    (Sight(wanted=3, alive=2), "workers missing", "", "2 workers live, and there are to be 3"),
    (Sight(waiting=[Waiting("celery", 2, 1)]), "no worker", "", "2 jobs wait"),
    (Sight(missed=[Missed("nightly", 301)]), "schedule missed", "nightly", "5 minutes ago"),
    (Sight(breakers=[Open("api.example", "all fail")]), "breaker open", "api.example", "all fail"),
    (Sight(redis="refused"), "redis unreachable", "", "refused"),
    (Sight(memory=0.71), "redis full", "", "71%"),
    (Sight(journal=50_001), "journal long", "", "50001 commits"),
    (Sight(decisions=(50, 26)), "model fallback", "", "26 of 50"),
    (Sight(broken=12), "audit broken", "", "row 12"),
]


@pytest.mark.parametrize(("seen", "condition", "subject", "words"), HOLDS, ids=[case[1] for case in HOLDS])
def test_each_condition_says_what_is_wrong_of_what(seen: Sight, condition: str, subject: str, words: str) -> None:
    (found,) = judge(seen, LIMITS)
    assert (found.condition, found.subject) == (condition, subject) and words in found.message


def test_nothing_is_wrong_just_below() -> None:
    seen = Sight(
        letters=19,
        waiting=[Waiting("imports", 7, 300)],
        wanted=2,
        alive=2,
        lost=[Lost("w1", 60)],
        missed=[Missed("nightly", 300)],
        memory=0.7,
        journal=50_000,
        decisions=(49, 49),
    )
    assert judge(seen, LIMITS) == []
    assert judge(Sight(decisions=(50, 25)), LIMITS) == []


def test_a_threshold_of_nothing_switches_off() -> None:
    seen = Sight(letters=1_000, alive=1, waiting=[Waiting("a", 1, 1e6)], missed=[Missed("a", 1e6)], memory=1.0)
    assert judge(seen, Thresholds(letters=0, wait=0, late=0, memory=0)) == []


def test_all_that_can_be_found_can_be_muted() -> None:
    assert {case[1] for case in HOLDS} | {"postgresql unreachable"} == set(NAMES)
