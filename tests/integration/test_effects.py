"""Effects on a real PostgreSQL: committed once, whoever runs the job, and refused to runs that were given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from jobplatform.errors import EffectPending, InvalidPayload, JobOptionError, StoreUnavailable, Superseded
from jobplatform.jobs.backend import JobBackend
from jobplatform.jobs.effects import effect
from jobplatform.jobs.platform import Platform
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.settings import Settings
from jobplatform.store import effects, new_jobs
from jobplatform.store.database import Database

#: They make tables of their own.
pytestmark = pytest.mark.owner

DEAD_DATABASE = "postgresql://postgres@127.0.0.1:1/nothing"


class Crash(Exception):
    """What a block raises."""


@pytest.fixture
def platform(settings: Settings, database: Database) -> Iterator[Platform]:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f'create table "{settings.schema}".charges (job_id uuid)')
    made = Platform(settings)
    yield made
    made.close()


@pytest.fixture
def job_id() -> str:
    return new_job_id()


@contextmanager
def scoped(database: Database) -> Iterator[Any]:
    sessions = scoped_session(sessionmaker(database.engine))
    yield sessions
    sessions.remove()


HANDLES: dict[str, Callable[[Database], Any]] = {
    "session": lambda database: Session(database.engine),
    "scoped_session": scoped,
    "connection": lambda database: database.engine.connect(),
}


def charge(platform: Platform, job_id: str, session: Any, attempt: int = 1) -> bool:
    """Do the effect ``charge`` with a write of the user's own."""
    with effect(platform, job_id, attempt, "charge", session) as first:
        if first:
            session.execute(text(f"insert into \"{platform.settings.schema}\".charges values ('{job_id}')"))
    return first


def counts(database: Database) -> tuple[int, int]:
    """Count the effects, and the user's writes."""
    with database.engine.connect() as connection:
        return tuple(  # type: ignore[return-value]
            connection.exec_driver_sql(f'select count(*) from "{database.schema}".{table}').scalar()
            for table in ("job_effects", "charges")
        )


def add_row(database: Database, job_id: str, attempt: int) -> None:
    with database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(NewJob(job_id, "t", "{}", "celery", attempt=attempt))])


@pytest.mark.parametrize("kind", HANDLES)
def test_an_effect_commits_once_with_the_users_write(
    platform: Platform, database: Database, job_id: str, kind: str
) -> None:
    for attempt, expected in ((1, True), (2, False)):
        with HANDLES[kind](database) as handle:
            assert charge(platform, job_id, handle, attempt) is expected
            assert not charge(platform, job_id, handle, attempt), "the same transaction knows what it has done"
            handle.commit()
    assert counts(database) == (1, 1)
    with HANDLES[kind](database) as handle:
        assert charge(platform, new_job_id(), handle), "another job has effects of its own"


@pytest.mark.parametrize("kind", HANDLES)
def test_a_rollback_lets_the_next_run_be_first(platform: Platform, database: Database, job_id: str, kind: str) -> None:
    with HANDLES[kind](database) as handle:
        assert charge(platform, job_id, handle)
        handle.rollback()
        assert charge(platform, job_id, handle)
        handle.commit()
    assert counts(database) == (1, 1)


@pytest.mark.parametrize("kind", HANDLES)
def test_a_block_that_raises_takes_back_the_effect_and_its_writes_alone(
    platform: Platform, database: Database, job_id: str, kind: str
) -> None:
    insert = text(f"insert into \"{database.schema}\".charges values ('{job_id}')")
    with HANDLES[kind](database) as handle:
        handle.execute(insert)
        with pytest.raises(Crash), effect(platform, job_id, 1, "charge", handle):
            handle.execute(insert)
            raise Crash
        handle.commit()
    assert counts(database) == (0, 1)


def test_without_a_session_the_effect_commits_after_its_block(
    platform: Platform, database: Database, job_id: str
) -> None:
    with pytest.raises(Crash), effect(platform, job_id, 1, "mail"):
        raise Crash
    with effect(platform, job_id, 1, "mail") as first:
        assert first
        assert counts(database) == (0, 0)
    with effect(platform, job_id, 2, "mail") as first:
        assert not first
    with effect(platform, job_id, 2, "x" * 200) as first:
        assert first


def await_blocked(database: Database) -> None:
    """Return when a connection waits for another one's transaction."""
    waiting = "select exists (select from pg_locks where locktype = 'transactionid' and not granted)"
    deadline = time.monotonic() + 30
    with database.session() as session:
        while not session.connection.exec_driver_sql(waiting).scalar():
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.02)


@pytest.mark.parametrize("in_session", [True, False])
@pytest.mark.parametrize("commits", [True, False])
def test_a_second_run_waits_for_the_first_and_then_knows(
    platform: Platform, database: Database, job_id: str, commits: bool, in_session: bool
) -> None:
    def second_run() -> bool:
        with Session(database.engine) as session:
            with effect(platform, job_id, 2, "charge", session if in_session else None) as first:
                pass
            session.commit()
            return first

    with ThreadPoolExecutor(1) as threads, Session(database.engine) as session:
        assert charge(platform, job_id, session)
        second = threads.submit(second_run)
        await_blocked(database)
        assert not second.done()
        if commits:
            session.commit()
        else:
            session.rollback()
        assert second.result(30) is not commits
    assert counts(database)[0] == 1


def sqlstate_of(error: BaseException) -> Any:
    """Give what PostgreSQL called the cause of an error."""
    cause: Any = error.__cause__
    return cause.orig.pgcode


@pytest.mark.parametrize(("limit", "sqlstate"), [("lock_timeout", "55P03"), ("statement_timeout", "57014")])
def test_a_run_that_waits_in_vain_says_so_and_leaves_the_session_in_order(
    platform: Platform, database: Database, job_id: str, limit: str, sqlstate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "PATIENCE_SECONDS", 600.0)
    with Session(database.engine) as first, Session(database.engine) as second:
        assert charge(platform, job_id, first)
        second.execute(text(f"set local {limit} = '50ms'"))
        with pytest.raises(EffectPending, match="'charge': another run") as pending:
            charge(platform, job_id, second, attempt=2)
        assert sqlstate_of(pending.value) == sqlstate
        assert second.scalar(text(f"show {limit}")) == "50ms"
        assert charge(platform, new_job_id(), second)


def test_an_effect_that_was_committed_after_the_snapshot_is_not_decided(
    platform: Platform, database: Database, job_id: str
) -> None:
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with Session(database.engine) as first, Session(engine) as second:
        second.execute(text("select 1"))
        assert charge(platform, job_id, first)
        first.commit()
        with pytest.raises(EffectPending, match="has just committed it") as pending:
            charge(platform, job_id, second, attempt=2)
        assert sqlstate_of(pending.value) == "40001"


def test_a_session_without_a_limit_gets_ours_for_the_wait_alone(
    platform: Platform, database: Database, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "PATIENCE_SECONDS", 0.05)
    with Session(database.engine) as first, Session(database.engine) as second:
        for session in (first, second):
            session.execute(text("set local lock_timeout = 0"))
        assert charge(platform, job_id, first)
        assert first.scalar(text("show lock_timeout")) == "0"
        with pytest.raises(EffectPending) as pending:
            charge(platform, job_id, second)
        assert sqlstate_of(pending.value) == "55P03"
        assert second.scalar(text("show lock_timeout")) == "0"


def test_without_a_session_the_wait_is_longer_than_that_for_any_other_lock(
    platform: Platform, database: Database, job_id: str
) -> None:
    waiting = (
        "select true from pg_stat_activity "
        "where wait_event_type = 'Lock' and clock_timestamp() - query_start > interval '3.2 s'"
    )
    with Session(database.engine) as first, database.session() as watch, ThreadPoolExecutor() as pool:
        assert charge(platform, job_id, first)
        second = pool.submit(done_alone, platform, job_id)
        while not (second.done() or watch.connection.scalar(text(waiting))):
            time.sleep(0.05)
        assert not second.done()
        first.rollback()
        assert second.result() is True


def done_alone(platform: Platform, job_id: str) -> bool:
    """Do the effect in a transaction of the platform's."""
    with effect(platform, job_id, 2, "charge") as first:
        return first


@pytest.mark.parametrize("in_session", [True, False])
def test_an_older_attempt_than_the_rows_is_superseded(
    platform: Platform, database: Database, job_id: str, in_session: bool
) -> None:
    add_row(database, job_id, attempt=2)
    with Session(database.engine) as session:
        handle = session if in_session else None
        with (
            pytest.raises(Superseded, match=r"attempt 1 .* by attempt 2"),
            effect(platform, job_id, 1, "charge", handle),
        ):
            raise AssertionError("the block is not entered")
        session.commit()
        assert counts(database) == (0, 0)
        with effect(platform, job_id, 2, "charge", handle) as first:
            assert first
        with pytest.raises(Superseded), effect(platform, job_id, 1, "charge", handle):
            raise AssertionError("the block is not entered")


def test_a_superseded_run_waits_for_nobody(platform: Platform, database: Database, job_id: str) -> None:
    add_row(database, job_id, attempt=2)
    with Session(database.engine) as successor, Session(database.engine) as late:
        assert charge(platform, job_id, successor, attempt=2)
        late.execute(text("set local lock_timeout = '50ms'"))
        with pytest.raises(Superseded):
            charge(platform, job_id, late, attempt=1)


def test_links_are_not_told_of_the_failure_of_a_superseded_run() -> None:
    assert JobBackend._another_attempt(None, Superseded("gone"), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", "x" * 201, 7, None, b"charge", "nul\0", "\ud800"])
def test_keys_that_cannot_be_kept_are_refused(platform: Platform, job_id: str, key: Any) -> None:
    with pytest.raises(InvalidPayload, match=r"^key: "), effect(platform, job_id, 1, key):
        raise AssertionError("the block is not entered")
    assert platform._database is None


def test_without_postgresql_the_block_is_not_entered(platform: Platform, job_id: str) -> None:
    away = Platform(replace(platform.settings, database_url=DEAD_DATABASE))
    with pytest.raises(StoreUnavailable, match=r"'charge' of job .*: PostgreSQL"), effect(away, job_id, 1, "charge"):
        raise AssertionError("the block is not entered")
    away.close()


def test_a_pooled_connection_that_died_meanwhile_is_replaced(
    platform: Platform, database: Database, job_id: str
) -> None:
    with effect(platform, job_id, 1, "before") as first:
        assert first
    with database.session() as session:
        session.connection.exec_driver_sql(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where pid <> pg_backend_pid() "
            "and datname = current_database() and backend_type = 'client backend'"
        )
    with effect(platform, job_id, 1, "after") as first:
        assert first


def test_a_session_without_transactions_is_refused(platform: Platform, database: Database, job_id: str) -> None:
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with Session(engine) as session, pytest.raises(JobOptionError, match="AUTOCOMMIT"):
        charge(platform, job_id, session)
    assert counts(database) == (0, 0)


def test_effects_are_deleted_with_the_rows_of_their_jobs(platform: Platform, database: Database) -> None:
    deleted, kept, rowless = (new_job_id() for _ in range(3))
    for job_id in (deleted, kept):
        add_row(database, job_id, attempt=1)
    for job_id in (deleted, kept, rowless):
        with effect(platform, job_id, 1, "charge") as first:
            assert first
    with database.engine.begin() as connection:
        connection.exec_driver_sql(f"delete from \"{database.schema}\".jobs where job_id = '{deleted}'")
        left = connection.exec_driver_sql(f'select job_id::text from "{database.schema}".job_effects').scalars().all()
    assert set(left) == {kept, rowless}
