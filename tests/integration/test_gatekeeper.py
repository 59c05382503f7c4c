"""Jobs that fail of one cause, from the journal to their rows and back to their queues: held, tried, let go."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import CliEnvironment
from queues import acquire, message

from jobplatform.controller.policy import Policy
from jobplatform.jobs.breakers import Breakers
from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.mirror import Mirror
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.maintenance.gatekeeper import Gatekeeper
from jobplatform.maintenance.pauser import Pauser
from jobplatform.store import jobs, pauses
from jobplatform.store.database import Database
from jobplatform.store.pauses import Hold, Scope
from jobplatform.transport import keys
from jobplatform.transport.publisher import Publisher

CAUSE = "host:api.local"
#: No retry is due before its breaker has opened.
SLOW = {"base": 600.0, "jitter": False}
DOWN = {"type": "ConnectionError", "message": "no", "classes": ["ConnectionError", "OSError"], "host": "api.local"}


class NoMemory:
    """What a policy is without a past."""

    def features(self, groups: Mapping[str, str | None], *of: Any) -> dict[str, float | None]:
        return {}

    def expect(self, groups: Mapping[str, str | None]) -> None:
        pass

    def note(self, groups: Mapping[str, str | None], *of: Any) -> None:
        pass


class Place:
    """The services that have to do with breakers, run by hand at times of the test's own."""

    def __init__(self, cli: CliEnvironment, client: Any, publisher: Publisher) -> None:
        self.cli, self.client = cli, client
        self.database: Database = cli.database
        self.publisher = publisher
        self.began = time.time()
        self.begin()

    def begin(self) -> None:
        """Let another controller take over."""
        self.breakers = Breakers()
        self.policy = Policy(self.breakers, NoMemory(), lambda: None, lambda *of: False, 0.0, random.Random(1))
        self.gatekeeper = Gatekeeper(self.database, self.breakers)
        self.dispatcher = Dispatcher(self.database, self.publisher, 100, 0.1)
        self.mirror = Mirror(
            self.client, self.database, self.policy.decide, lambda seconds: None, 100, 0.01, observe=self.policy.observe
        )

    def at(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self.began + seconds, UTC)

    def step(self, seconds: float) -> dict[str, int]:
        """Let the gatekeeper, the pauser and the dispatcher look, so many seconds after the beginning."""
        counts = dict(self.gatekeeper.run_once(self.at(seconds)))
        Pauser(self.database, self.client).run_once(self.at(seconds))
        self.dispatcher.run_once(self.at(seconds))
        return counts

    def told(self, job_ids: Sequence[str], seconds: float, kind: Kind = Kind.FAILED, **error: Any) -> None:
        """Journal how attempts of jobs ended, and mirror it."""
        at = self.began + seconds
        for job_id in job_ids:
            head = entry.attempt_head(job_id, self.row(job_id)["attempt"], "w1", 1, None, "")
            if kind is Kind.FAILED:
                text = entry.ended(kind, head, at, at, {**DOWN, **error})
            else:
                text = entry.completed(head, at, at, "1")
            self.client.xadd(keys.JOURNAL, {"e1": text})
        self.mirror.run_once(self.at(seconds))

    def row(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cli.json("jobs", "show", job_id)
        return found

    def states(self, job_ids: Sequence[str]) -> dict[str, int]:
        found = [self.row(job_id)["status"] for job_id in job_ids]
        return {state: found.count(state) for state in sorted(set(found))}

    def down(self, count: int = 10) -> list[str]:
        """Make jobs that fail of one cause until its breaker is open."""
        job_ids = [self.cli.add(retry_rule=SLOW) for _ in range(count)]
        self.told(job_ids[:-2], 0.0)
        self.told(job_ids[-2:], 0.5)
        assert self.breakers.holding(CAUSE) is not None
        self.step(1.0)
        return job_ids


@pytest.fixture
def place(cli_environment: CliEnvironment, client: Any, publisher: Publisher) -> Iterator[Place]:
    yield Place(cli_environment, client, publisher)


def test_all_that_fails_of_a_cause_is_held_and_goes_on_after_it_is_over(place: Place) -> None:
    job_ids = place.down()
    assert place.states(job_ids) == {"RETRYING": 10}
    held = place.row(job_ids[-1])
    assert held["retry_count"] == 0
    decision = held["retry_decisions"][0]
    assert decision["decided_by"] == "breaker"
    assert "held, as others fail of host:api.local as well" in decision["reason"]
    assert place.cli.json("breakers", "list")["breakers"][0]["held"] == 10
    assert place.step(5.0) == {"released": 1}
    (canary,) = [job_id for job_id in job_ids if place.row(job_id)["status"] == "PENDING"]
    place.told([canary], 6.0, Kind.COMPLETED)
    for second, most in enumerate((2, 4, 3), 7):
        assert place.step(second) == {"released": most}
        place.told([job_id for job_id in job_ids if place.row(job_id)["status"] == "PENDING"], second, Kind.COMPLETED)
    place.step(10.0)
    assert place.states(job_ids) == {"COMPLETED": 10}
    assert {place.row(job_id)["retry_count"] for job_id in job_ids} == {0}
    assert place.cli.json("breakers", "list") == {"breakers": []}


def test_a_canary_that_fails_uses_up_no_retry_and_another_one_goes(place: Place) -> None:
    job_ids = place.down()
    tried = set()
    for second in (5.0, 50.0, 150.0):
        assert place.step(second) == {"released": 1}
        (canary,) = [job_id for job_id in job_ids if place.row(job_id)["status"] == "PENDING"]
        tried.add(canary)
        place.told([canary], second + 1)
        assert place.row(canary)["retry_count"] == 0
    assert len(tried) == 3
    assert place.states(job_ids) == {"RETRYING": 10}


def test_what_is_replayed_begins_anew(place: Place) -> None:
    (job_id, *_) = place.down()
    place.told([job_id], 2.0, final=True)
    with place.database.transaction() as transaction:
        before = jobs.retry_facts(transaction, [job_id])[job_id]
        assert jobs.replay(transaction, [job_id]) == [job_id]
        after = jobs.retry_facts(transaction, [job_id])[job_id]
    assert (before.status, after.status) == ("FAILED", "PENDING")
    assert (after.times_held, after.first_failed_at) == (0, None)


def test_jobs_of_a_type_that_does_nothing_but_fail_do_not_begin_but_the_canary_does(place: Place) -> None:
    job_ids = place.down()
    job_type = place.row(job_ids[0])["job_type"]
    assert [row["name"] for row in place.cli.json("types", "list")["types"] if row["paused_by"] == "breaker"] == [
        job_type
    ]
    place.step(5.0)
    (canary,) = [job_id for job_id in job_ids if place.row(job_id)["status"] == "PENDING"]
    queue = place.row(canary)["queue"]
    lists = [keys.queue_list(queue, step) for step in reversed(keys.PRIORITY_STEPS)]
    raw = [text for name in lists for text in place.client.lrange(name, 0, -1)]
    assert [b'"jp_trial":1,' in text for text in raw if canary.encode() in text] == [True]


def test_a_type_that_a_person_paused_stays_paused_when_the_breaker_closes(place: Place) -> None:
    job_ids = place.down()
    job_type = place.row(job_ids[0])["job_type"]
    with place.database.transaction() as transaction:
        pauses.pause(transaction, Scope.TYPE, job_type, Hold("not today", "ann"))
    place.cli.json("breakers", "close", CAUSE)
    place.step(5.0)
    with place.database.session() as session:
        assert [row["paused_by"] for row in pauses.list_pauses(session)] == ["ann"]


def test_who_leads_next_goes_on_with_what_is_held(place: Place) -> None:
    job_ids = place.down()
    place.begin()
    place.step(2.0)
    assert place.breakers.holding(CAUSE) is not None
    released = place.step(5.0)
    assert released == {"released": 1}
    assert place.states(job_ids) == {"PENDING": 1, "RETRYING": 9}


@pytest.mark.parametrize("command", ["open", "close"])
def test_a_person_has_the_last_word(place: Place, command: str) -> None:
    job_ids = place.down()
    place.cli.json("breakers", command, CAUSE)
    place.step(5.0)
    place.step(6.0)
    expected = {"RETRYING": 10} if command == "open" else {"PENDING": 10}
    assert place.states(job_ids) == expected
    place.cli.json("breakers", "auto", CAUSE)
    assert place.cli.json("breakers", "show", CAUSE)["forced"] is None
    place.step(7.0)
    later = [place.cli.add(retry_rule=SLOW) for _ in range(10)]
    place.told(later, 8.0)
    place.step(9.0)
    assert place.breakers.holding(CAUSE) is not None
    assert place.states(later) == {"RETRYING": 10}


def test_without_breakers_nothing_stays_held(place: Place) -> None:
    job_ids = place.down()
    off = Gatekeeper(place.database, None)
    assert off.run_once(place.at(2.0)) == {"released": 10}
    place.dispatcher.run_once(datetime.now(UTC) + timedelta(seconds=1))
    assert place.states(job_ids) == {"PENDING": 10}
    with place.database.session() as session:
        assert pauses.list_pauses(session) == []


def test_a_job_that_is_held_can_be_cancelled_and_hastened(place: Place) -> None:
    job_ids = place.down()
    with place.database.transaction() as transaction:
        assert jobs.hasten(transaction, job_ids[:1]) == job_ids[:1]
        jobs.cancel(transaction, job_ids[1:2], "no")
    place.step(60.0)
    assert place.row(job_ids[0])["retry_count"] == 0
    assert place.states(job_ids[:2]) == {"CANCELLED": 1, "PAUSED": 1}
    assert place.cli.json("breakers", "show", CAUSE)["held"] == 8


def test_a_trial_is_handed_out_and_runs_though_its_type_is_paused(place: Place) -> None:
    with place.database.transaction() as transaction:
        pauses.pause(transaction, Scope.TYPE, message(1).job_type, Hold("all fail", "breaker"))
    Pauser(place.database, place.client).run_once(place.at(0.0))
    place.publisher.push_many([message(1), replace(message(2), trial=True)])
    tags = {raw["headers"]["id"]: tag for tag, _, raw in acquire(place.client, 2)}
    assert [tag.endswith("p") for _, tag in sorted(tags.items())] == [True, False]
