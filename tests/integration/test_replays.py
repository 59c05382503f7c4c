"""Replays against a real PostgreSQL: the controller's part is driven round by round, the workers' by journals."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobplatform.fingerprint.identity import identify
from jobplatform.jobs.retry import decide_all
from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.mirror import JOURNAL, Mirror
from jobplatform.maintenance.replayer import Replayer
from jobplatform.records import NewJob, new_job_ids, rows_like
from jobplatform.store import dead_letters, new_jobs, replay_jobs, replays
from jobplatform.store.database import Database
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.store.replays import Wish

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUG = {"type": "ValueError", "message": "no such account", "classes": ["ValueError"], "final": True}
OTHER = {"type": "KeyError", "message": "'id'", "classes": ["KeyError"], "final": True}


class Place:
    """Jobs that ended badly, and the parts that bring them back."""

    def __init__(self, database: Database, client: Any) -> None:
        self.database = database
        self.mirror = Mirror(client, database, decide_all, lambda seconds: None, batch=1_000, block_seconds=0.01)
        self.replayer = Replayer(database)
        self.now = NOW

    def query(self, sql: str) -> list[dict[str, Any]]:
        with self.database.session() as session:
            found = session.connection.exec_driver_sql(sql.replace("@", f'"{self.database.schema}".'))
            return [dict(row) for row in found.mappings().all()]

    def execute(self, sql: str) -> None:
        """Run a statement that returns nothing."""
        with self.database.session() as session:
            session.connection.exec_driver_sql(sql.replace("@", f'"{self.database.schema}".'))

    def submit(self, count: int, **values: Any) -> list[str]:
        ids = new_job_ids(time.time(), count)
        like = NewJob(ids[0], **{"job_type": "shop.charge", "payload": "{}", "queue": "celery", **values})
        payload = '{"args":[],"kwargs":{}}'
        with self.database.transaction() as transaction:
            new_jobs.insert(transaction, rows_like(like, [(job_id, payload) for job_id in ids]))
        return ids

    def end(self, jobs: Mapping[str, int], error: Mapping[str, Any] | None) -> None:
        """Let attempts end, as their worker journals it."""
        lines = {f"e{number}": self._line(*item, error) for number, item in enumerate(jobs.items())}
        if lines:
            self.mirror.client.xadd(JOURNAL, lines)
            self.mirror.run_once(self.now)

    @staticmethod
    def _line(job_id: str, attempt: int, error: Mapping[str, Any] | None) -> str:
        head, at = entry.attempt_head(job_id, attempt, "w1", 1, 1_700_000_000.0, ""), 1_700_000_001.0
        if error is None:
            return entry.completed(head, at, at + 1, "null")
        return entry.ended(Kind.FAILED, head, at, at + 1, dict(error))

    def fail(self, count: int, error: Mapping[str, Any] = BUG, **values: Any) -> list[str]:
        ids = self.submit(count, **values)
        self.end(dict.fromkeys(ids, 1), error)
        return ids

    def ask(self, limit: int = 1_000_000, wish: Wish | None = None, **chosen: Any) -> int:
        with self.database.transaction() as transaction:
            row = replays.ask(transaction, LetterFilter(**chosen), wish or Wish("ann"), limit)
        assert row is not None
        return int(row["replay_id"])

    def round(self, seconds: float = 1.0) -> dict[str, int]:
        self.now += timedelta(seconds=seconds)
        return dict(self.replayer.run_once(self.now))

    def running(self) -> dict[str, int]:
        return {row["id"]: row["attempt"] for row in self.query(
            "select job_id::text as id, attempt from @jobs where status in ('PENDING', 'RETRYING')")}  # fmt: skip

    def replay(self, replay_id: int) -> dict[str, Any]:
        with self.database.session() as session:
            row = replays.show(session, replay_id)
        assert row is not None
        return dict(row)

    def finish(self, replay_id: int, error: Mapping[str, Any] | None, rounds: int = 200) -> dict[str, Any]:
        """Let all that is sent end in the same way, until the replay has ended and nothing of it runs."""
        for _ in range(rounds):
            self.round()
            self.end(self.running(), error)
            if self.replay(replay_id)["state"] != "running":
                self.round()
                return self.replay(replay_id)
        raise AssertionError(self.replay(replay_id))

    def open_letters(self) -> int:
        return int(
            self.query("select count(*) as letters from @dead_letter_jobs where resolved_at is null")[0]["letters"]
        )


@pytest.fixture
def place(database: Database, client: Any) -> Place:
    return Place(database, client)


def test_with_the_bug_still_there_only_the_canaries_run(place: Place) -> None:
    place.fail(1_000)
    replay_id = place.ask(fingerprints=(identify(BUG).digest,))
    ended = place.finish(replay_id, BUG)
    assert (ended["state"], ended["counts"]) == ("stopped", {"failed": 10, "waiting": 990})
    assert f"the error {identify(BUG).digest} came back in job" in ended["reason"]
    assert place.open_letters() == 1_000
    assert place.round() == {}


def test_with_the_bug_fixed_all_run_in_steps_that_double(place: Place) -> None:
    place.fail(100)
    replay_id = place.ask(job_type="shop.charge")
    sent = []
    while place.replay(replay_id)["state"] == "running":
        sent.append(place.round().get("sent", 0))
        place.end(place.running(), None)
    assert sent == [5, 10, 20, 40, 25, 0]
    ended = place.replay(replay_id)
    assert (ended["state"], ended["counts"], place.open_letters()) == ("done", {"succeeded": 100}, 0)
    letters = place.query("select distinct resolution, resolved_by, replay_id, replayed_attempt from @dead_letter_jobs")
    assert letters == [{"resolution": "replayed", "resolved_by": "ann", "replay_id": replay_id, "replayed_attempt": 2}]


def test_an_error_that_comes_back_in_an_attempt_that_is_retried_stops_at_once(place: Place) -> None:
    ids = place.fail(20)
    replay_id = place.ask()
    place.round()
    first = next(iter(place.running()))
    place.end({first: 2}, {**BUG, "final": False})
    # By the time of the next look, the retry has succeeded.
    place.execute(f"update @jobs set status = 'PENDING', attempt = 3 where job_id = '{first}'")
    place.end({first: 3}, None)
    assert place.round()["stopped"] == 1
    assert first in place.replay(replay_id)["reason"]
    assert len(ids) - place.open_letters() == 5


def test_a_canary_that_fails_of_something_else_stops_it_too(place: Place) -> None:
    place.fail(50)
    replay_id = place.ask()
    place.round()
    place.end({next(iter(place.running())): 2}, OTHER)
    assert place.round()["stopped"] == 1
    assert place.replay(replay_id)["reason"] == "1 of 5 canaries failed, most of KeyError"


def test_a_replay_that_was_stopped_still_notes_how_its_jobs_end(place: Place) -> None:
    place.fail(50)
    replay_id = place.ask()
    place.round()
    first, *others = place.running()
    place.end({first: 2}, BUG)
    place.round()
    place.end(dict.fromkeys(others, 2), None)
    assert place.round() == {"noted": 4}
    assert place.replay(replay_id)["counts"] == {"failed": 1, "succeeded": 4, "waiting": 45}


def test_nothing_is_sent_above_the_rate(place: Place) -> None:
    place.fail(60)
    place.ask(wish=Wish("ann", rate=4.0, canaries=0))
    sent = [place.round(0.25).get("sent", 0) for _ in range(16)]
    assert sent == [4, 0, 0, 0] * 4


def test_canaries_are_of_every_kind_of_error(place: Place) -> None:
    place.fail(40)
    place.fail(3, OTHER)
    place.ask()
    place.round()
    kinds = place.query(
        "select d.error_type, count(*) as jobs from @replay_jobs r join @dead_letter_jobs d using (dlq_id) "
        "where r.state = 'sent' group by 1 order by 1"
    )
    assert [(row["error_type"], row["jobs"]) for row in kinds] == [("KeyError", 2), ("ValueError", 3)]


def test_what_was_resolved_or_runs_already_is_skipped(place: Place) -> None:
    gone, resolved, *others = place.fail(9)
    replay_id = place.ask(wish=Wish("ann", canaries=0))
    place.execute(f"delete from @jobs where job_id = '{gone}'")
    place.execute(
        f"update @dead_letter_jobs set resolution = 'resolved', resolved_at = now() where job_id = '{resolved}'"
    )
    assert place.round()["sent"] == len(others)
    with place.database.session() as session:
        trouble = {row["job_id"]: row["reason"] for row in replay_jobs.trouble(session, replay_id, 10)}
    assert trouble == {
        gone: "its job is gone, runs or completed", resolved: "its dead letter is resolved already",
    }  # fmt: skip
    assert place.finish(replay_id, None)["counts"] == {"skipped": 2, "succeeded": 7}


def test_one_job_whose_key_is_taken_does_not_hold_back_the_others(place: Place) -> None:
    others = place.fail(6)
    keyed = place.fail(1, unique_key="k", unique_scope="unfinished")
    place.submit(1, unique_key="k", unique_scope="unfinished")
    replay_id = place.ask(wish=Wish("ann", canaries=0))
    assert place.round()["sent"] == len(others)
    with place.database.session() as session:
        (trouble,) = replay_jobs.trouble(session, replay_id, 10)
    assert (trouble["job_id"], "duplicate key" in trouble["reason"]) == (keyed[0], True)


def test_a_replay_that_is_cancelled_sends_nothing_more(place: Place) -> None:
    place.fail(50)
    replay_id = place.ask()
    place.round()
    with place.database.transaction() as transaction:
        assert replays.end(transaction, replay_id, "cancelled", "by ann", NOW)
        assert not replays.end(transaction, replay_id, "cancelled", "again", NOW)
    assert place.finish(replay_id, None)["counts"] == {"succeeded": 5, "waiting": 45}
    assert place.open_letters() == 45


def test_a_job_that_fails_again_is_a_new_dead_letter_that_names_the_earlier_one(place: Place) -> None:
    place.fail(1)
    place.finish(place.ask(), BUG)
    first, second = (row["dlq_id"] for row in place.query("select dlq_id from @dead_letter_jobs order by attempt"))
    with place.database.session() as session:
        before, after = dead_letters.show(session, first), dead_letters.show(session, second)
    assert before is not None and after is not None
    assert (before["later"], before["replayed_attempt"], after["earlier"], after["attempt"]) == (
        [second],
        2,
        [first],
        2,
    )


def test_of_two_replays_of_the_same_jobs_each_job_runs_once(place: Place) -> None:
    place.fail(5)
    first, second = place.ask(), place.ask()
    place.finish(first, None)
    assert place.finish(second, None)["counts"] == {"skipped": 5}
    assert place.query("select distinct attempt from @jobs") == [{"attempt": 2}]


@pytest.mark.owner
@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["well", "bug", "other"]), min_size=1, max_size=60), st.integers(0, 12))
def test_every_job_is_sent_or_stays_a_dead_letter(place: Place, ends: list[str], canaries: int) -> None:
    for table in ("jobs cascade", "dead_letter_jobs", "replays cascade"):
        place.execute(f"truncate @{table}")
    ids = place.fail(len(ends))
    replay_id = place.ask(wish=Wish("ann", canaries=canaries))
    how = dict(zip(ids, ends, strict=True))
    for _ in range(50):
        place.round()
        running = place.running()
        for name, error in (("well", None), ("bug", BUG), ("other", OTHER)):
            place.end({job_id: attempt for job_id, attempt in running.items() if how[job_id] == name}, error)
    ended = place.replay(replay_id)
    counts = {"waiting": 0, "succeeded": 0, "failed": 0, **ended["counts"]}
    assert ended["state"] == ("done" if set(ends) == {"well"} else ended["state"])
    assert ended["state"] in ("done", "stopped")
    assert counts["succeeded"] + counts["failed"] + counts["waiting"] == len(ends)
    assert place.open_letters() == counts["failed"] + counts["waiting"]
    if canaries and "well" not in ends:
        assert counts["failed"] == min(canaries, len(ends))
