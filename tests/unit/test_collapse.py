"""What parked and unreadable messages amount to."""

from __future__ import annotations

from itertools import permutations

import pytest

from jobplatform.decision import RetryFacts
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.collapse import collapse, rows_of
from jobplatform.journal.entry import Entry, Kind, parse
from jobplatform.states import State, is_ahead

ID = "00000000-0000-7000-8000-000000000000"
FACTS = {ID: RetryFacts(ID, 3, 0, None)}


def head(attempt: int) -> str:
    return entry.attempt_head(ID, attempt, "w1", 7, None, "")


def parked(attempt: int) -> Entry:
    return parse(entry.ended(Kind.PARKED, head(attempt), None, 5.0, {"message": "unroutable"}).encode())


def started(attempt: int) -> Entry:
    return parse(entry.started(head(attempt), 5.0).encode())


def unreadable(attempt: int) -> Entry:
    return parse(entry.unreadable("celery", b"x", "no JSON", 5.0, (ID, attempt)).encode())


def test_a_parked_attempt_pauses_the_job_and_is_no_execution() -> None:
    rows = rows_of(collapse([parked(2)]), {}, decide_all)
    (job,) = rows.jobs
    assert (job["status"], job["attempt"], job["hold_reason"], job["hold_by"]) == (
        "PAUSED",
        2,
        "unroutable",
        "platform",
    )
    assert (job["completed_at"], "error_message" in job) == (None, False)
    assert not (rows.executions or rows.decisions or rows.dead_letters)


@pytest.mark.parametrize("entries", list(permutations([parked(1), started(1), parked(2), parked(2)])))
def test_the_order_of_parking_and_starting_does_not_matter(entries: tuple[Entry, ...]) -> None:
    rows = rows_of(collapse(entries), {}, decide_all)
    assert [(row["status"], row["attempt"]) for row in rows.jobs] == [("PAUSED", 2)]
    assert len(rows.executions) == 1


def test_parking_is_ahead_of_waiting_and_behind_running() -> None:
    assert is_ahead(1, State.PAUSED, 1, State.PENDING)
    assert is_ahead(2, State.PENDING, 1, State.PAUSED)
    assert not is_ahead(1, State.PAUSED, 1, State.PROCESSING)
    assert is_ahead(1, State.PROCESSING, 1, State.PAUSED)


def test_an_unreadable_message_fails_the_attempt_that_it_names_for_good() -> None:
    rows = rows_of(collapse([unreadable(1)]), FACTS, decide_all)
    assert [(row["status"], row["error_type"], row["result"]) for row in rows.jobs] == [
        ("FAILED", "InvalidMessage", None)
    ]
    assert [row["reason"] for row in rows.dead_letters] == ["InvalidMessage: no JSON"]
    assert rows.executions == []


def test_an_unreadable_message_that_names_nobody_changes_no_row() -> None:
    news = collapse([parse(entry.unreadable("celery", b"x", "no JSON").encode())])
    assert rows_of(news, {}, decide_all).jobs == []
