"""The platform as a state machine: whatever happens, in whatever order, each job is in one place and settles once.

The scripts, the ledger, the heart, the keeper and the controller's services are the real ones, over a real Redis and
PostgreSQL. Time is not waited for: leases and heartbeats are made old. A model follows along (``model_story``) and
knows who was given what and what befell it; after every step it is held against what lies in the stores
(``model_sight``). In the end everything that lives does its work, and every job must end.

More of it: ``pytest tests/integration/test_model.py --hypothesis-profile=long``; add ``--hypothesis-seed=N`` to repeat.
"""

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
from model_sight import Sight, judge, judge_end, leading_places, lines, priority_of
from model_story import Hold, Job
from model_world import World

from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings

#: One does most of the work, so that what befalls a worker befalls one that has some.
WORKERS = st.sampled_from("AAABBC")
PRIORITIES = st.sampled_from([1, 4])
SUBMISSIONS = ["heard", "unheard", "away", "dies before the push", "through the journal"]
ENDINGS = ["completes", "completes", "fails", "fails for good", "dies", "expires"]
REFUSALS = ["is given back", "is given back", "is parked", "is unreadable", "expires"]
DISPATCHES = ["heard"] * 4 + ["unheard", "away", "dies before it pushes", "dies in its transaction"]
#: What may follow when Redis has forgotten something: the workers have news, or tell all; what nobody holds is rescued;
#: orphans are looked for, while the workers are heard, or what they tell is delayed.
AFTERMATHS = ["nothing", "told", "news, told", "looks", "looks, delayed", "news, looks", "told, rescue"]
#: What becomes of a commit: it may wait, and a delayed one arrives late or never.
COMMITS = st.sampled_from(["later", "heard", "heard", "delayed"])
#: By then everything must have come to rest.
ROUNDS = 8


class Platform(RuleBasedStateMachine):
    """Whatever can happen to a few jobs on three workers."""

    jobs: Bundle[Job] = Bundle("jobs")
    held: Bundle[Hold] = Bundle("held")
    running: Bundle[Hold] = Bundle("running")
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()
        self.forgets = False

    @initialize(target=jobs, priority=PRIORITIES, forgets=st.booleans())
    def begin_with_a_job(self, priority: int, forgets: bool) -> Job:
        self.forgets = forgets
        return self.submit(priority, "heard")

    def worker_of(self, hold: Hold) -> str | None:
        """Name the worker that has something in its hands, if it still lives."""
        return next((name for name, worker in self.world.workers.items() if worker.node == hold.node), None)

    # Clients

    @rule(target=jobs, priority=PRIORITIES, how=st.sampled_from(SUBMISSIONS))
    @precondition(lambda self: len(self.world.story.jobs) < 3)
    def submit(self, priority: int, how: str) -> Job:
        job = self.world.story.new_job(priority)
        note(f"  a client submits job {job.number}: {how}")
        self.world.submit(job, how)
        return job

    @rule(pick=st.integers(0, 4))
    @precondition(lambda self: self.world.late)
    def push_late(self, pick: int) -> None:
        waiting = sorted(self.world.late)
        job = self.world.story.jobs[waiting[pick % len(waiting)]]
        note(f"  the message of job {job.number} is pushed late")
        self.world.push_late(job)

    @rule(job=jobs, replay=st.booleans(), told=st.booleans())
    def steer(self, job: Job, replay: bool, told: bool) -> None:
        """Cancel or replay a job, and perhaps let everybody hear of it."""
        done = self.world.replay(job) if replay else self.world.cancel(job)
        note(f"  job {job.number} is {'replayed' if replay else 'cancelled'}: {done}")
        if told:
            self.world.controller.dispatch()
            if done and not replay:
                job.void_since = self.world.stores.step
            self.each_job_is_in_one_place_and_settles_once()
            self.world.tell_all()

    # Workers

    @rule(target=held, name=WORKERS, count=st.integers(1, 3))
    def acquire(self, name: str, count: int) -> object:
        found = self.world.acquire(self.world.workers[name], count)
        note(f"  {name} is given {found}")
        return multiple(*found)

    @rule(target=running, name=WORKERS)
    def acquire_and_begin(self, name: str) -> object:
        found = [hold for hold in self.world.acquire(self.world.workers[name], 1) if self._begin(hold)]
        return multiple(*found)

    @rule(target=running, hold=consumes(held))
    def begin(self, hold: Hold) -> object:
        return multiple(hold) if self._begin(hold) else multiple()

    def _begin(self, hold: Hold) -> bool:
        name = self.worker_of(hold)
        begun = name is not None and self.world.begin_run(self.world.workers[name], hold)
        note(f"  {name} begins {hold}: {begun}")
        return begun

    @rule(name=WORKERS, count=st.integers(1, 2))
    @precondition(lambda self: self.forgets)
    def acquire_unheard(self, name: str, count: int) -> None:
        self.world.acquire_unheard(self.world.workers[name], count)

    @rule(hold=consumes(running), how=st.sampled_from(ENDINGS), commits=COMMITS)
    def settle(self, hold: Hold, how: str, commits: str) -> None:
        self._settle(hold, how, commits)

    @rule(hold=consumes(held), how=st.sampled_from(REFUSALS), commits=COMMITS)
    def refuse(self, hold: Hold, how: str, commits: str) -> None:
        self._settle(hold, how, commits)

    def _settle(self, hold: Hold, how: str, commits: str) -> None:
        name = self.worker_of(hold)
        note(f"  {hold} {how} at {name}")
        if name is None or hold.ended:
            return
        worker = self.world.workers[name]
        if how == "is given back" or (how == "is parked" and self.world.story.has_begun(hold)):
            worker.ledger.recall([hold.tag])
        else:
            self.world.settle(worker, hold, how)
        if commits != "later":
            worker.commit(commits)

    @rule(name=WORKERS, fate=st.sampled_from(["heard", "heard", "unheard", "delayed"]))
    def commit(self, name: str, fate: str) -> None:
        note(f"  {name} commits: {fate}")
        self.world.workers[name].commit(fate)

    @rule(pick=st.integers(0, 9), after_others=st.booleans())
    @precondition(lambda self: self.world.delayed())
    def a_delayed_commit_arrives(self, pick: int, after_others: bool) -> None:
        delayed = self.world.delayed()
        worker = delayed[pick % len(delayed)]
        note(f"  a delayed commit of {worker.node} arrives, behind later ones: {after_others}")
        if after_others and worker in self.world.workers.values():
            self.world.tell_progress(worker)
            self.world.tell_progress(worker)
        worker.line.arrive()

    @rule(name=WORKERS, fate=st.sampled_from(["heard", "delayed"]))
    def beat(self, name: str, fate: str) -> None:
        self.world.workers[name].beat(self.world.stores.step, fate)

    @rule(name=WORKERS, commits=st.booleans(), limit=st.sampled_from([0, 1, 100, 100]))
    def fall_silent(self, name: str, commits: bool, limit: int) -> None:
        """Be silent for long, perhaps after a last commit, and perhaps until the rescue."""
        if commits:
            self.world.workers[name].commit()
            self.each_job_is_in_one_place_and_settles_once()
        self.world.silence(self.world.workers[name])
        self.world.rescue(limit)

    @rule(name=WORKERS, orderly=st.booleans())
    def leave(self, name: str, orderly: bool) -> None:
        note(f"  {name} {'ends and gives back what it holds' if orderly else 'is killed'}")
        (self.world.end if orderly else self.world.kill)(name)

    # The controller

    @rule(fate=st.sampled_from(DISPATCHES))
    def dispatch(self, fate: str) -> None:
        self.world.controller.dispatch(fate)

    @rule(batch=st.sampled_from([1, 2, 100]), dies=st.sampled_from([False, False, True]))
    def mirror(self, batch: int, dies: bool) -> None:
        self.world.controller.read_journal(batch, dies)

    @rule(how=st.sampled_from(["once", "heard", "delayed"]))
    def look_for_orphans(self, how: str) -> None:
        """Look for orphans, once or twice; in between the workers beat."""
        if how == "once":
            self.world.controller.look_for_orphans()
        else:
            self.world.look_twice(how)

    @rule(what=st.sampled_from(["rescue", "early news", "roster", "parked", "submissions", "time passes", "a day"]))
    def keep_house(self, what: str) -> None:
        world = self.world
        work: dict[str, Callable[[], object]] = {
            "rescue": world.rescue,
            "early news": world.controller.tell_early_news,
            "roster": world.copy_roster,
            "parked": world.controller.release_parked,
            "submissions": world.keeper.look,
            "time passes": world.stores.pass_time,
            "a day": world.expire_marks,
        }
        work[what]()

    # Redis

    @rule(then=st.sampled_from(AFTERMATHS))
    @precondition(lambda self: self.forgets)
    def redis_is_emptied(self, then: str) -> None:
        self.world.empty()
        self._follow(then)

    @rule()
    @precondition(lambda self: self.forgets)
    def redis_writes_its_file(self) -> None:
        self.world.stores.remember()

    @rule(then=st.sampled_from(AFTERMATHS))
    @precondition(lambda self: self.world.stores.may_roll_back())
    def redis_loses_its_last_writes(self, then: str) -> None:
        self.world.roll_back()
        self._follow(then)

    def _follow(self, then: str) -> None:
        """Do what may follow at once when Redis has forgotten something."""
        workers = list(self.world.workers.values())
        if "news" in then:
            for worker in workers:
                self.world.tell_progress(worker)
        if "told" in then:
            self.world.tell_all()
        if "rescue" in then:
            self.world.rescue_what_nobody_holds()
        if "looks" in then:
            self.world.look_twice("delayed" if "delayed" in then else "heard")

    @invariant()
    def each_job_is_in_one_place_and_settles_once(self) -> None:
        sight = self.world.stores.see()
        try:
            judge(self.world.story, sight)
        except AssertionError:
            note("\n".join(lines(sight)))
            raise
        self.world.stores.step += 1

    def teardown(self) -> None:
        """Let everything that lives do its work, and see that every job ends."""
        if sys.exc_info()[0] is not None:
            return
        note("  everything that lives does its work")
        self.world.stop_all()
        self._until(_is_at_rest, self.world.tend)
        self._until(_is_over, lambda: (self.world.work_off(), self.world.tend()))
        judge_end(self.world.story, self.world.stores.see())

    def _until(self, is_right: Callable[[Sight, Iterable[Job]], bool], work: Callable[[], object]) -> None:
        for _ in range(ROUNDS):
            work()
            self.each_job_is_in_one_place_and_settles_once()
            sight = self.world.stores.see()
            if is_right(sight, self.world.story.jobs.values()):
                return
        note("\n".join(lines(sight)))
        raise AssertionError(f"after {ROUNDS} rounds this is not so: {is_right.__doc__}")


def _is_at_rest(sight: Sight, jobs: Iterable[Job]) -> bool:
    """Every job has ended or waits in its queue, or is looked for when what waits there is gone."""
    busy = {priority_of(name) for name, _, _ in sight.messages}
    return not sight.leases and all(
        _has_ended(sight, job) or len(leading_places(sight, job)) == 1 or job.priority in busy for job in jobs
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
            stateful_step_count=min(40, chosen.stateful_step_count),
            # The same examples each time, unless more are asked for.
            derandomize=hypothesis_settings.get_current_profile_name() == "patient",
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
