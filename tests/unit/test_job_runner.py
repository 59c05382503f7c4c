"""The runner that users test their jobs with: the platform's own rules, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery, chain, chord
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jobplatform import RetryRule, Unique, Workflow, batch, current_job, job
from jobplatform.errors import IdempotencyConflict, InvalidPayload, KeyTaken, Superseded
from jobplatform.states import State
from jobplatform.testing import JobRunner, NotEnded

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
DONE: list[Any] = []
FIXED = RetryRule(base=10, factor=2, jitter=False)


@job(name="kit.add")
def add(x: int, y: int = 1) -> int:
    DONE.append((x, y))
    return x + y


@job(name="kit.fail", max_retries=2, retry=FIXED)
def fail(text: str) -> None:
    add.submit(0)
    raise ValueError(text)


@job(name="kit.ask", bind=True, max_retries=1)
def ask(self: Any) -> str:
    if self.request.retries:
        return "second"
    raise self.retry(countdown=90)


@job(name="kit.charge", max_retries=3, retry=FIXED)
def charge(order: int) -> int:
    run = current_job()
    run.progress(1, 2, "charging")
    with run.effect("charge") as first:
        if first:
            DONE.append(order)
    run.checkpoint({"charged": order})
    return run.attempt


@job(name="kit.forget", retry=FIXED)
def forget(order: int) -> None:
    DONE.append(order)


@job(name="kit.nightly", schedule="30 2 * * *", timezone="Europe/Paris")
def nightly() -> None:
    DONE.append("nightly")


@job(name="kit.report")
def report(summary: dict[str, Any]) -> str:
    return f"{summary['completed']} of {summary['total']}"


@job(name="kit.sole", unique=Unique("sole:{key}"))
def sole(key: str) -> None:
    """Be the only one of a key."""


@job(name="kit.zombie", retry=FIXED)
def zombie() -> int:
    run = current_job()
    try:
        with run.effect("pay"):
            DONE.append(run.attempt)
    except Superseded:
        DONE.append("superseded")
        raise
    return run.attempt


@pytest.fixture
def runner() -> Iterator[JobRunner]:
    DONE.clear()
    app = Celery("kit", set_as_current=False)
    app.conf.task_always_eager = True
    made = JobRunner(app, NOON)
    with made.in_charge():
        yield made


def test_a_job_runs_when_the_test_says_so_and_not_before(runner: JobRunner) -> None:
    result = add.submit(2, y=3)
    assert DONE == []
    assert (runner.job(result).status, result.state) == (State.PENDING, "PENDING")
    assert runner.run() == 1
    assert (result.get(), DONE, runner.job(result).status) == (5, [(2, 3)], State.COMPLETED)
    assert runner.job(result).attempts[0].status is State.COMPLETED


def test_arguments_are_checked_and_pass_through_json(runner: JobRunner) -> None:
    with pytest.raises(InvalidPayload, match="x"):
        add.submit("two")
    with pytest.raises(InvalidPayload):
        charge.submit(order=datetime.now(UTC))
    report.submit({"completed": (1, 2), "total": 3})
    assert runner.submitted()[0].payload == {"summary": {"completed": [1, 2], "total": 3}}


def test_a_failing_job_is_retried_by_its_rule_and_then_a_dead_letter(runner: JobRunner) -> None:
    result = fail.submit("no")
    runner.run()
    seen = runner.job(result)
    assert (seen.status, seen.attempt, seen.due_at) == (State.RETRYING, 1, NOON + timedelta(seconds=10))
    with pytest.raises(NotEnded, match=r"RETRYING until 2027-03-01T12:00:10.*ValueError: no"):
        result.get()
    assert runner.advance(timedelta(seconds=9)) == 0
    runner.advance(timedelta(seconds=1))
    assert (runner.job(result).attempt, runner.job(result).retry_count) == (2, 1)
    runner.finish()
    seen = runner.job(result)
    assert (seen.status, seen.dead, len(seen.attempts)) == (State.FAILED, True, 3)
    assert seen.reasons[-1] == "ValueError: all 2 retries are used up"
    assert "raise ValueError(text)" in (seen.attempts[0].traceback or "")
    with pytest.raises(ValueError, match="no"):
        result.get()
    assert {each.parent_id for each in runner.assert_submitted(add, count=3)} == {result.id}
    runner.replay(result)
    runner.run()
    assert runner.job(result).status is State.RETRYING


def test_a_job_asks_for_its_own_retry(runner: JobRunner) -> None:
    result = ask.submit()
    runner.advance(timedelta(seconds=89))
    assert runner.job(result).status is State.RETRYING
    runner.advance(timedelta(seconds=1))
    assert result.get() == "second"


def test_what_waits_for_others_follows_them(runner: JobRunner) -> None:
    flow = Workflow(runner.app)
    first = flow.add(fail.s("no"), name="first")
    flow.add(add.s(1), after=first, name="second")
    results = flow.submit()
    after = add.using(after=results["second"]).submit(2)
    runner.finish()
    assert runner.job(results["second"]).error_type == "DependencyUnmet"
    assert runner.job(after).status is State.CANCELLED
    late = add.using(after=runner.submitted(add)[-1].id).submit(3)
    runner.assert_submitted("kit.add", x=1, after=results["first"])
    runner.finish()
    assert runner.job(late).ended


def test_a_batch_calls_back_when_all_of_it_has_ended(runner: JobRunner) -> None:
    with batch("import", on_complete=report.s("{batch}"), app=runner.app) as made:
        made.add_many(add, [1, 2])
        made.add(fail, "no")
    runner.run()
    assert (made.progress().completed, runner.submitted(report)) == (2, [])
    runner.finish()
    assert [each.result for each in runner.submitted(report)] == ["2 of 3"]


def test_celerys_canvas_and_links_run_through_rows_as_well(runner: JobRunner) -> None:
    assert chain(add.s(1), add.s(10)).delay().get() == 12
    add.apply_async((1,), link=add.s(100))
    runner.run()
    assert (100 + 2, 1) not in DONE and (2, 100) in DONE
    total = chord([add.s(1), add.s(2)])(report_total.s())
    runner.advance(timedelta(seconds=5))
    assert total.get() == 5


@job(name="kit.total")
def report_total(numbers: list[int]) -> int:
    return sum(numbers)


def test_keys_are_respected(runner: JobRunner) -> None:
    one, other = sole.submit("a"), sole.submit("a")
    assert one.id == other.id
    with pytest.raises(KeyTaken):
        sole.using(unique=Unique("sole:{key}", mode="reject")).submit("a")
    runner.run()
    assert sole.submit("a").id != one.id
    once = add.using(idempotency_key="k")
    assert once.submit(1).id == once.submit(1).id
    with pytest.raises(IdempotencyConflict):
        once.submit(2)
    runner.assert_submitted(add, count=1)


def test_times_come_in_their_order(runner: JobRunner) -> None:
    add.using(countdown=3 * 86_400).submit(3)
    add.using(countdown=60).submit(1)
    runner.travel_to(NOON + timedelta(days=2))
    assert DONE == [(1, 1), "nightly", "nightly"]
    assert runner.now == NOON + timedelta(days=2)
    runner.hold_schedules()
    runner.finish()
    assert DONE[3:] == [(3, 1)]
    with pytest.raises(ValueError, match="has passed"):
        runner.travel_to(NOON)


def test_a_job_that_comes_too_late_is_cancelled(runner: JobRunner) -> None:
    late = add.using(countdown=60, expires=30).submit(1)
    waiting = add.using(expires=30).submit(2)
    assert runner.advance(timedelta(seconds=45), working=False) == 0
    runner.finish()
    assert {runner.job(late).error_type, runner.job(waiting).error_type} == {"Expired"}
    assert DONE == []


@pytest.mark.parametrize("at", ["before", "during", "after effect", "after"])
def test_a_job_survives_its_worker_and_its_effect_happens_once(runner: JobRunner, at: str) -> None:
    runner.crash(charge, at=at)
    result = charge.submit(7)
    assert result.get() == 2
    seen = runner.job(result)
    assert (DONE, seen.state, seen.retry_count) == ([7], {"charged": 7}, 0)
    assert [each.error_type for each in seen.attempts] == ["WorkerLost", None]


def test_a_job_that_kills_its_workers_is_given_up(runner: JobRunner) -> None:
    runner.crash("kit.add", at="during", times=3)
    result = add.submit(1)
    runner.run()
    assert runner.job(result).dead
    assert "poisoned" in runner.job(result).reasons[-1]


def test_a_message_that_comes_twice_shows_who_is_not_idempotent(runner: JobRunner) -> None:
    runner.deliver_twice(charge)
    runner.deliver_twice(forget)
    charge.submit(1)
    forget.submit(2)
    runner.run()
    assert DONE == [1, 2, 2]
    assert runner.faults_left() == []


@pytest.mark.parametrize(("at", "done"), [("after", [1]), ("before", ["superseded", 2])])
def test_who_lost_the_lease_settles_nothing(runner: JobRunner, at: str, done: list[Any]) -> None:
    runner.stale_lease(zombie, at=at)
    result = zombie.submit()
    assert result.get() == 2
    assert DONE[: len(done)] == done
    assert runner.job(result).attempts[0].stale is not None


def test_a_cancelled_job_never_starts(runner: JobRunner) -> None:
    result = add.submit(1)
    runner.cancel(result)
    runner.run()
    revoked = add.using(countdown=60).submit(2)
    revoked.revoke()
    runner.finish()
    assert (runner.job(result).status, revoked.state, DONE) == (State.CANCELLED, "REVOKED", [])


def test_rows_in_the_callers_transaction_go_with_it(runner: JobRunner) -> None:
    with Session(create_engine("sqlite://")) as session:
        add.using(session=session).submit(1)
        session.rollback()
        assert runner.submitted() == []
        add.using(session=session).submit(2)
        assert runner.run() == 0
        session.commit()
    assert (runner.run(), DONE) == (1, [(2, 1)])


def test_what_is_missing_is_told_with_what_came_nearest(runner: JobRunner) -> None:
    add.submit(1, y=5)
    sole.submit("a")
    with pytest.raises(AssertionError) as failure:
        runner.assert_submitted(add, x=1, y=6, queue="mail")
    assert str(failure.value).splitlines() == [
        "kit.add(x=1, y=6) on 'mail' was to be submitted at least once, and was 0 times",
        "the nearest is kit.add(x=1, y=5) on 'celery', PENDING",
        "  y: wanted 6, it is 5",
        "  queue: wanted 'mail', it is 'celery'",
    ]
    with pytest.raises(AssertionError, match="2 times, and was 1 times"):
        runner.assert_submitted(add, count=2)
    assert runner.assert_submitted(add, payload={"x": 1}, count=1)[0].payload["y"] == 5
