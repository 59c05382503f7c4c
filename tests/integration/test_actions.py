"""Actions: who may, on what, and what is known of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from jobplatform.actions import entry, jobs, people
from jobplatform.actions.action import ACTIONS
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.actions.steering import Chosen
from jobplatform.errors import Forbidden, JobNotFound, JobOptionError, SignInRefused
from jobplatform.records import NewJob, new_job_id
from jobplatform.settings import Settings
from jobplatform.store import audit, new_jobs
from jobplatform.store.database import Database
from jobplatform.store.listing import JobFilter

ROOT = at_terminal("root")
PASSWORD = "correct horse battery"


@pytest.fixture
def desk(settings: Settings, database: Database) -> Iterator[Desk]:
    def nothing() -> None:
        raise AssertionError("not needed here")

    yield Desk(settings, database, nothing, nothing)


def actor(role: str, scope: Scope | None = None) -> Actor:
    return Actor(role, Via.PAGE, ROLES[role], scope or Scope(), "192.0.2.1")


def submit(database: Database, queue: str = "celery", tenant: str | None = None) -> str:
    job = NewJob(new_job_id(), "shop.mail", "{}", queue, tenant=tenant)
    with database.transaction() as transaction:
        new_jobs.insert_one(transaction, job)
    return job.job_id


def deeds(database: Database) -> list[tuple[str, str, dict[str, object]]]:
    with database.session() as session:
        return [(row["actor"], row["action"], row["outcome"]) for row in audit.listed(session, 100)]


def test_who_may_not_is_refused_and_that_is_written_down(desk: Desk, database: Database) -> None:
    job_id = submit(database)
    with pytest.raises(Forbidden, match=r"jobs\.steer"):
        jobs.cancel(desk, actor("viewer"), Chosen((job_id,)), "no")
    assert deeds(database) == [("viewer", "jobs.cancel", {"refused": "jobs.steer"})]
    assert jobs.show_job(desk, ROOT, job_id).job["status"] == "PENDING"


def test_what_was_done_is_written_down_with_it(desk: Desk, database: Database) -> None:
    first, second, missing = submit(database), submit(database), new_job_id()
    done = jobs.cancel(desk, actor("operator"), Chosen((first, missing)), "no longer needed")
    assert (done.jobs, done.missing) == ({first: "cancelled"}, (missing,))
    again = jobs.cancel(desk, actor("operator"), Chosen((first,)), "no longer needed")
    assert again.refused == {first: "CANCELLED"}
    rest = jobs.cancel(desk, actor("operator"), Chosen(filter=JobFilter(job_type="shop.mail")), "all of them")
    assert rest.counts == {"cancelled": 1}
    assert jobs.show_job(desk, ROOT, second).job["status"] == "CANCELLED"
    assert [outcome for _, _, outcome in deeds(database)] == [
        {"cancelled": 1}, {"asked": True}, {"refused": 1}, {"cancelled": 1, "refused": 0},
    ]  # fmt: skip


def test_a_dry_run_counts_and_changes_nothing(desk: Desk, database: Database) -> None:
    job_id = submit(database)
    for chosen in (Chosen((job_id,)), Chosen(filter=JobFilter(queue="celery"))):
        found = jobs.cancel(desk, actor("operator"), chosen, "no", dry_run=True)
        assert found.counts == {"matching": 1}
    assert jobs.show_job(desk, ROOT, job_id).job["status"] == "PENDING"
    assert not deeds(database)


@pytest.mark.parametrize("scope", [Scope(frozenset({"mail"})), Scope(tenants=frozenset({"a"}))])
def test_what_is_out_of_scope_is_not_there(desk: Desk, database: Database, scope: Scope) -> None:
    within, without = submit(database, "mail", "a"), submit(database, "celery", "b")
    nobodys = submit(database, "celery")
    who = actor("operator", scope)
    assert [row["job_id"] for row in jobs.list_jobs(desk, who, JobFilter(), 10).rows] == [within]
    assert jobs.count_jobs(desk, who, JobFilter(), 10) == 1
    for job_id in (without, nobodys):
        for look in (jobs.show_job, jobs.eta):
            with pytest.raises(JobNotFound):
                look(desk, who, job_id)
    done = jobs.cancel(desk, who, Chosen((within, without)), "no")
    assert (dict(done.jobs), done.missing) == ({within: "cancelled"}, (without,))
    assert not jobs.cancel(desk, who, Chosen(filter=JobFilter(queue="celery")), "no").counts["matching"]
    assert jobs.show_job(desk, ROOT, without).job["status"] == "PENDING"


def test_a_password_becomes_a_session_and_a_token_no_more_than_its_user(desk: Desk, database: Database) -> None:
    people.add_user(desk, ROOT, "ann", PASSWORD, "operator", scope=Scope(frozenset({"mail", "celery"})))
    with pytest.raises(JobOptionError, match="ann already"):
        people.add_user(desk, ROOT, "ann", PASSWORD, "operator")
    for name, password in (("ann", PASSWORD + "x"), ("bob", PASSWORD)):
        with pytest.raises(SignInRefused):
            entry.sign_in(desk, name, password, "192.0.2.7")
    secret = entry.sign_in(desk, "ann", PASSWORD, "192.0.2.7")
    ann = entry.of_session(desk, secret, "192.0.2.7")
    assert ann is not None
    assert (ann.name, ann.permissions, ann.scope.queues) == ("ann", ROLES["operator"], {"mail", "celery"})
    with pytest.raises(Forbidden):
        people.add_token(desk, ann, "ann", "ci", ["models.write"], timedelta(days=1), Scope())
    with pytest.raises(Forbidden):
        people.add_token(desk, ann, "root", "ci", ["jobs.read"], timedelta(days=1), Scope())
    made = people.add_token(desk, ann, "ann", "ci", ["jobs.read"], timedelta(days=1), Scope(frozenset({"mail", "x"})))
    program = entry.of_token(desk, made.secret, None)
    assert program is not None
    assert (program.permissions, program.scope.queues) == ({Permission.JOBS_READ}, {"mail"})
    people.change_user(desk, ROOT, "ann", disabled=True)
    assert entry.of_session(desk, secret, None) is entry.of_token(desk, made.secret, None) is None
    assert PASSWORD not in str(deeds(database))


def test_a_token_counts_until_it_is_revoked_or_over(desk: Desk) -> None:
    people.add_user(desk, ROOT, "ann", PASSWORD, "viewer")
    kept, revoked, over = (
        people.add_token(desk, ROOT, "ann", name, ["jobs.read"], timedelta(days=1), Scope()) for name in "abc"
    )
    assert people.revoke_token(desk, ROOT, revoked.token_id) == "b"
    later = replace(desk, now=lambda: desk.now() - timedelta(days=2))
    gone = people.add_token(later, ROOT, "ann", "d", ["jobs.read"], timedelta(days=1), Scope())
    counts = [entry.of_token(desk, each.secret, None) is not None for each in (kept, revoked, over, gone)]
    assert counts == [True, False, True, False]


def test_nobody_makes_or_takes_over_who_may_do_more(desk: Desk, database: Database) -> None:
    people.add_user(desk, ROOT, "ann", PASSWORD, "admin")
    people.add_user(desk, ROOT, "bob", PASSWORD, "viewer", scope=Scope(frozenset({"mail"})))
    clerk = Actor("clerk", Via.TOKEN, ROLES["viewer"] | {Permission.USERS_WRITE}, Scope(frozenset({"mail"})))
    mail, all_queues = Scope(frozenset({"mail"})), Scope()
    for role, more, scope in (("operator", (), mail), ("viewer", ("jobs.payload",), mail), ("viewer", (), all_queues)):
        with pytest.raises(Forbidden):
            people.add_user(desk, clerk, "eve", PASSWORD, role, more, scope)
        with pytest.raises(Forbidden):
            people.change_user(desk, clerk, "bob", role, more, scope=scope)
    with pytest.raises(Forbidden):
        people.change_user(desk, clerk, "ann", password=PASSWORD + "!")
    people.add_user(desk, clerk, "eve", PASSWORD, "viewer", scope=mail)
    people.change_user(desk, clerk, "bob", disabled=True)
    for name in ("", "ann/ci", "a\x00b", "x" * 101):
        with pytest.raises(JobOptionError, match="without a /"):
            people.add_user(desk, ROOT, name, PASSWORD, "viewer")


def test_somebody_is_left_to_administer(desk: Desk) -> None:
    people.add_user(desk, ROOT, "ann", PASSWORD, "admin")
    for change in ({"role": "viewer"}, {"disabled": True}):
        with pytest.raises(JobOptionError, match="nobody would be left"):
            people.change_user(desk, ROOT, "ann", **change)
    people.add_user(desk, ROOT, "bob", PASSWORD, "admin")
    people.change_user(desk, ROOT, "ann", role="viewer")
    assert [row["role"] for row in people.list_users(desk, ROOT)] == ["viewer", "admin"]


def test_each_action_says_what_it_is_in_a_sentence() -> None:
    assert all(each.words.endswith(".") and each.name.count(".") == 1 for each in ACTIONS.values())
