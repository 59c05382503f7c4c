"""Searching many jobs: each filter finds what it says, in pages that look at a bounded number, and leaves none out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.search import QUERIES, explained, fill
from jobplatform.actions import query
from jobplatform.store import search
from jobplatform.store.database import Database
from jobplatform.store.search import Place

JOBS = 30_000
NOW = datetime.now(UTC)


@pytest.fixture
def filled(database: Database) -> Database:
    fill(database, JOBS)
    return database


def still() -> float:
    return 0.0


class Slow:
    """A clock by which each look at it takes so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def pages(database: Database, text: str, limit: int, clock: Callable[[], float] = still) -> Iterator[search.Found]:
    place: Place | None = None
    while True:
        with database.session() as session:
            found = search.find(session, query.parse(text, NOW), limit, place, clock)
        yield found
        if found.next is None:
            return
        assert found.next != place
        place = found.next


def test_a_search_looks_at_a_bounded_number_says_how_far_and_goes_on(filled: Database) -> None:
    for text, wanted in (
        ("kwargs.customer.id:29999", [29_999]),
        ("args.0:29999", [29_999]),
        ("args.0:-1", []),
        ('"connection 29800 reset"', [29_800]),
        ("reset 29800", [29_800]),
        ("tag:vip kwargs.customer.id:20", [20]),
        ("type:shop.type1 args.0:29951", [29_951]),
        ("tenant:tenant0 state:failed", list(range(3_000, JOBS + 1, 3_000))),
        ("error:Error0 type:shop.type0 args.0:1400", [1_400]),
        ("state:pending", [7]),
    ):
        found = [*pages(filled, text, 1_000)]
        numbers = [int(row["job_id"][-12:], 16) for page in found for row in page.rows]
        assert numbers == wanted, text
        assert all(page.reach is None or page.reach.looked <= search.LOOK for page in found)
    first = next(pages(filled, "args.0:29999", 10))
    assert first.rows == [] and first.reach is not None
    assert (first.reach.looked, first.next is not None) == (search.LOOK, True)
    newest = next(pages(filled, "", 1)).rows[0]["created_at"]
    assert first.reach.back_to == newest - timedelta(seconds=search.LOOK - 1)


def test_a_search_that_is_slow_answers_in_time_and_goes_on_where_it_came_to(filled: Database) -> None:
    first = next(pages(filled, "args.0:3000", 10, Slow(0.05)))
    assert first.rows == [] and first.reach is not None and first.next is not None
    assert 100 < first.reach.looked < 1_000
    newest = next(pages(filled, "", 1)).rows[0]["created_at"]
    assert first.reach.back_to == newest - timedelta(seconds=first.reach.looked - 1)
    for text in ("args.0:3000", "tenant:tenant0 state:failed", "tag:vip kwargs.customer.id:20"):
        whole = [row["job_id"] for page in pages(filled, text, 50) for row in page.rows]
        assert [row["job_id"] for page in pages(filled, text, 50, Slow(0.03)) for row in page.rows] == whole, text


def test_no_filter_reads_the_whole_table_or_more_than_a_page_looks_at(filled: Database) -> None:
    with filled.session() as session:
        session.connection.exec_driver_sql("set enable_seqscan = off")
        for text in QUERIES:
            nodes = [*explained(session, query.parse(text, NOW))]
            read = [node for node in nodes if node.get("Relation Name") == "jobs"]
            assert read and all(node["Node Type"] != "Seq Scan" for node in read), text
            assert sum(node["Actual Rows"] * node["Actual Loops"] for node in read) <= 2 * search.LOOK + 1_000, text
        session.connection.exec_driver_sql("reset enable_seqscan")
