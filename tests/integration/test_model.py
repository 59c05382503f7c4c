"""The platform as a state machine: whatever happens in whatever order, each job is in one place and settles once."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import HealthCheck, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model_sight import ROWS, Sight, judge, lines, places, priority_of, see
from model_story import Hold, Job
from model_world import World

from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings

WORKERS = st.sampled_from("ABC")
_ROUNDS = 8
FATES = st.sampled_from(["heard", "heard", "unheard", "delayed"])


class Platform(RuleBasedStateMachine):
    """Whatever can happen to a few jobs on three workers."""

    jobs: Bundle[Job] = Bundle("jobs")
    held: Bundle[Hold] = Bundle("held")
    running: Bundle[Hold] = Bundle("running")
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()

    def see(self) -> Sight:
        return see(self.world.client, self.world.sql(ROWS.format(self.world.database.schema)))

    def worker_of(self, hold: Hold) -> str | None:
        """Name the worker that holds something, if it still lives."""
        return next((name for name, worker in self.world.workers.items() if worker.node == hold.node), None)

    # Clients

    @rule(
        target=jobs,
        priority=st.sampled_from([1, 4]),
        how=st.sampled_from(["heard", "heard", "unheard", "away", "dies before the push", "through the journal"]),
    )
    @precondition(lambda self: len(self.world.story.jobs) < 5)
    def submit(self, priority: int, how: str) -> Job:
        job = self.world.story.new_job(priority)
        note(f"  a client submits job {job.number}: {how}")
        self.world.submit(job, how)
        return job

    @initialize(target=jobs, priority=st.sampled_from([1, 4]))
    def begin_with_a_job(self, priority: int) -> Job:
        return self.submit(priority, "heard")

    @rule(pick=st.integers(0, 4))
    @precondition(lambda self: self.world.late)
    def push_late(self, pick: int) -> None:
        waiting = sorted(self.world.late)
        job = self.world.story.jobs[waiting[pick % len(waiting)]]
        note(f"  the message of job {job.number} is pushed late")
        self.world.push_late(job)

    @rule(job=jobs)
    def cancel(self, job: Job) -> None:
        note(f"  job {job.number} is cancelled: {self.world.cancel(job)}")

    @rule(job=jobs)
    def replay(self, job: Job) -> None:
        note(f"  job {job.number} is to run once more: {self.world.replay(job)}")

    @rule()
    def look_after_submissions(self) -> None:
        self.world.keeper.look()

    # Workers

    @rule(target=held, name=WORKERS, count=st.integers(1, 3))
    def acquire(self, name: str, count: int) -> object:
        found = self.world.acquire(self.world.workers[name], count)
        note(f"  {name} is given {found}")
        return multiple(*found)

    @rule(name=WORKERS, count=st.integers(1, 2))
    def acquire_unheard(self, name: str, count: int) -> None:
        self.world.acquire_unheard(self.world.workers[name], count)

    @rule(target=running, hold=consumes(held))
    def begin(self, hold: Hold) -> object:
        name = self.worker_of(hold)
        begun = name is not None and self.world.begin_run(self.world.workers[name], hold)
        note(f"  {name} begins {hold}: {begun}")
        return multiple(hold) if begun else multiple()

    @rule(
        hold=consumes(running),
        how=st.sampled_from(["completes", "completes", "fails", "fails for good", "dies", "expires"]),
    )
    def settle(self, hold: Hold, how: str) -> None:
        self._settle(hold, how)

    @rule(hold=consumes(held), how=st.sampled_from(["is parked", "is unreadable", "expires"]))
    def refuse(self, hold: Hold, how: str) -> None:
        self._settle(hold, how)

    def _settle(self, hold: Hold, how: str) -> None:
        name = self.worker_of(hold)
        note(f"  {hold} {how} at {name}")
        if name is not None and not hold.ended:
            self.world.settle(self.world.workers[name], hold, how)

    @rule(hold=consumes(held))
    def give_back(self, hold: Hold) -> None:
        name = self.worker_of(hold)
        if name is not None:
            note(f"  {name} gives back {self.world.workers[name].ledger.recall([hold.tag])}")

    @rule(name=WORKERS, fate=FATES)
    def commit(self, name: str, fate: str) -> None:
        note(f"  {name} commits: {fate}")
        self.world.workers[name].commit(fate)

    @rule(pick=st.integers(0, 9))
    @precondition(lambda self: self.world.delayed())
    def a_delayed_commit_arrives(self, pick: int) -> None:
        delayed = self.world.delayed()
        worker = delayed[pick % len(delayed)]
        note(f"  a delayed commit of {worker.node} arrives")
        worker.line.arrive()

    @rule(name=WORKERS)
    def beat(self, name: str) -> None:
        self.world.workers[name].beat(self.world.story.step)

    @rule(name=WORKERS)
    def fall_silent(self, name: str) -> None:
        self.world.silence(self.world.workers[name], dies=False)

    @rule(name=WORKERS)
    def be_killed(self, name: str) -> None:
        self.world.replace(name)

    @rule(name=WORKERS)
    def end(self, name: str) -> None:
        note(f"  {name} ends and gives back what it holds")
        self.world.end(name)

    # The controller

    @rule(limit=st.sampled_from([100, 100, 1]))
    def rescue(self, limit: int) -> None:
        self.world.rescue(limit)

    @rule(fate=st.sampled_from(["heard"] * 4 + ["unheard", "away", "dies before it pushes", "dies in its transaction"]))
    def dispatch(self, fate: str) -> None:
        self.world.dispatch(fate)

    @rule(batch=st.sampled_from([1, 2, 100]), dies=st.sampled_from([False, False, True]))
    def mirror(self, batch: int, dies: bool) -> None:
        self.world.read_journal(batch, dies)

    @rule()
    def tell_early_news(self) -> None:
        self.world.early.run_once(self.world.now)

    @rule()
    def look_for_orphans(self) -> None:
        self.world.look()

    @rule()
    def copy_roster(self) -> None:
        self.world.copy_roster()

    @rule()
    def release_parked(self) -> None:
        self.world.release()

    @rule()
    def pass_time(self) -> None:
        self.world.pass_time()

    # Redis

    @rule()
    def empty_redis(self) -> None:
        self.world.empty()

    @rule()
    def remember(self) -> None:
        self.world.remember()

    @rule()
    @precondition(lambda self: self.world.may_roll_back())
    def redis_loses_its_last_writes(self) -> None:
        self.world.roll_back()

    @rule()
    def a_day_passes(self) -> None:
        self.world.expire_marks()

    @invariant()
    def each_job_is_in_one_place_and_settles_once(self) -> None:
        sight = self.see()
        self.world.note_journal(sight.journal_ids)
        try:
            judge(self.world.story, sight)
        except AssertionError:
            note("\n".join(lines(sight)))
            raise
        self.world.story.step += 1

    def teardown(self) -> None:
        """Let everything that lives do its work, and see that every job ends."""
        if sys.exc_info()[0] is not None:
            return
        self.world.stop_all()
        note("  everything that lives does its work")
        self._until(_is_at_rest, self.world.tend)
        self._until(_is_over, lambda: (self.world.work_off(), self.world.tend()))

    def _until(self, is_right: Callable[[Sight, Iterable[Job]], bool], work: Callable[[], object]) -> None:
        for _ in range(_ROUNDS):
            work()
            self.each_job_is_in_one_place_and_settles_once()
            sight = self.see()
            if is_right(sight, self.world.story.jobs.values()):
                return
        note("\n".join(lines(sight)))
        raise AssertionError(f"after {_ROUNDS} rounds the jobs are not right: {is_right.__doc__}")


def _is_at_rest(sight: Sight, jobs: Iterable[Job]) -> bool:
    """Every job has ended or waits in its queue, or is looked for when what waits there is gone."""
    busy = {priority_of(name) for name, _, _ in sight.messages}
    return not sight.leases and all(
        _has_ended(sight, job) or len(places(sight, job)) == 1 or job.priority in busy for job in jobs
    )


def _is_over(sight: Sight, jobs: Iterable[Job]) -> bool:
    """Every job has ended, and nothing is left in Redis."""
    return not (sight.messages or sight.leases or sight.journal) and all(_has_ended(sight, job) for job in jobs)


def _has_ended(sight: Sight, job: Job) -> bool:
    return job.job_id in sight.rows and sight.rows[job.job_id].is_final


@pytest.fixture(scope="module")
def world(stack: DevStack) -> Iterator[World]:
    # What is broken here on purpose fills a log.
    logging.disable(logging.ERROR)
    made = World(Settings(database_url=stack.database_url, redis_url=stack.redis_url, schema=f"model_{os.getpid()}"))
    yield made
    made.close()
    logging.disable(logging.NOTSET)


def test_whatever_happens_each_job_is_in_one_place_and_settles_once(world: World) -> None:
    class Here(Platform):
        pass

    Here.world = world
    chosen = hypothesis_settings()
    run_state_machine_as_test(
        Here,
        settings=hypothesis_settings(
            max_examples=2 * chosen.max_examples,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
