"""A PostgreSQL that runs and refuses: clients use the journal, the mirror tries again, nothing is quarantined."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg2
import pytest
from celery import Celery
from postgres_faults import all_slots_taken, locked, read_only, set_read_only, standing_still
from sqlalchemy import create_engine
from sqlalchemy.exc import DataError, DBAPIError, InternalError, OperationalError
from sqlalchemy.orm import Session

import jobplatform
from jobplatform import job
from jobplatform.controller.leader import Leader
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import EffectPending, StoreUnavailable
from jobplatform.jobs.effects import effect
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.retry import decide_all
from jobplatform.jobs.submission import COUNTS
from jobplatform.journal.mirror import JOURNAL, Mirror
from jobplatform.settings import Settings
from jobplatform.store import leadership, migrate
from jobplatform.store.database import UNREACHABLE, Database
from jobplatform.store.outages import classify, sqlstate_of

Fault = Callable[[Settings], AbstractContextManager[None]]
FAULTS: dict[str, Fault] = {
    "read-only": lambda settings: read_only(settings.database_url),
    "locked": lambda settings: locked(settings.database_url, f"{settings.schema}.jobs"),
    "no slot": lambda settings: all_slots_taken(settings.database_url),
}


#: What the server calls them; it has no word for those whom it does not let in.
STATES = {"read-only": "25006", "locked": "55P03", "no slot": ""}


@job(name="pf.add")
def add(x: int) -> int:
    return x


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("postgres_faults", set_as_current=True)
    jobplatform.attach(made, replace(settings, connect_seconds=2.0))
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


@pytest.fixture
def mirror(database: Database, client: Any) -> Mirror:
    return Mirror(client, database, decide_all, lambda seconds: None, batch=100, block_seconds=0.01)


def row_ids(database: Database) -> set[str]:
    with database.session() as session:
        found = session.connection.exec_driver_sql(f'select job_id::text from "{database.schema}".jobs')
        return set(found.scalars())


def quarantined(database: Database) -> int:
    with database.session() as session:
        query = f'select count(*) from "{database.schema}".journal_quarantine'
        return int(session.connection.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.owner
def test_a_server_that_refuses_is_away(name: str, app: Celery, settings: Settings, mirror: Mirror) -> None:
    before = add.submit(0).id
    with FAULTS[name](settings):
        ids = [add.submit(1).id, *add.submit_many([(2,), (3,)])]
        assert mirror.client.xlen(JOURNAL) == 2
        with pytest.raises(UNREACHABLE) as refused:
            mirror.run_once(datetime.now(UTC))
        assert sqlstate_of(refused.value) == STATES[name]
        with pytest.raises((StoreUnavailable, EffectPending)), effect(app.jobplatform, ids[0], 1, "charge"):
            raise AssertionError("the block is not entered")
    mirror.run_once(datetime.now(UTC))
    journalled, after = COUNTS["without_row"], add.submit(4).id
    assert row_ids(mirror.database) == {before, *ids, after}
    assert COUNTS["without_row"] == journalled
    assert (mirror.client.xlen(JOURNAL), quarantined(mirror.database)) == (0, 0)


def test_nobody_waits_for_ever_for_a_server_that_stands_still(
    app: Celery, settings: Settings, stack: DevStack, mirror: Mirror
) -> None:
    database = Database(settings, statement_seconds=1.0)
    app.jobplatform._database = database
    before = add.submit(0).id
    with ThreadPoolExecutor() as pool, database.engine.connect() as begun:
        begun.exec_driver_sql("select 1")
        with standing_still(stack.postgres):
            # It waits in turn for an insert, twice for a connection, and for a commit.
            ids = [pool.submit(lambda: add.submit(1).id).result(60), *pool.submit(add.submit_many, [(2,)]).result(60)]
            with pytest.raises(UNREACHABLE):
                pool.submit(begun.commit).result(60)
    # What the server had heard already, it may still do.
    mirror.run_once(datetime.now(UTC))
    after = add.submit(3).id
    assert row_ids(database) == {before, *ids, after}


@pytest.mark.owner
def test_a_client_in_its_own_transaction_gets_what_its_driver_says(app: Celery, settings: Settings) -> None:
    engine = create_engine(settings.sqlalchemy_url)
    refused = pytest.raises(InternalError, match="read-only transaction")
    with read_only(settings.database_url), Session(engine) as session, refused:
        add.using(session=session).submit(1)
    engine.dispose()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("25006", OperationalError),
        ("25P03", OperationalError),
        ("XX001", OperationalError),
        ("54000", DataError),
        ("25P02", None),
        ("53100", None),
        ("23505", None),
        ("", None),
    ],
)
def test_the_driver_is_corrected_by_what_the_server_says(state: str, kind: type[DBAPIError] | None) -> None:
    assert classify(state) is kind


@pytest.mark.parametrize("state", ["53100", "53200", "53300", "55P03", "57014", "57P01", "57P03", "58030", "40P01"])
def test_these_errors_need_no_correction(state: str) -> None:
    assert issubclass(psycopg2.errors.lookup(state), psycopg2.OperationalError)


def test_a_value_beyond_a_limit_of_the_server_is_a_bad_value(database: Database) -> None:
    with pytest.raises(DataError), database.transaction() as transaction:
        transaction.connection.exec_driver_sql("select repeat('x', 2000000000)::text || repeat('x', 2000000000)")


def test_many_submits_at_once_leave_connections_for_transactions(app: Celery, database: Database) -> None:
    # As many as the pool has, all of them in use at the same time.
    together = Barrier(10)

    def insert(number: int) -> None:
        app.jobplatform.database.once(lambda session: together.wait(20))

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(insert, range(10)))
    journalled = COUNTS["without_row"]
    ids = add.submit_many([(1,), (2,)])
    assert COUNTS["without_row"] == journalled
    assert row_ids(database) == set(ids)


@pytest.fixture
def pair(settings: Settings, stack: DevStack, tmp_path: Path) -> Iterator[tuple[Database, Database, str]]:
    """Two servers with our tables, the second one a standby as far as writing goes; and the URL that names both."""
    with DevStack(tmp_path / "second", Settings(redis_url=stack.redis_url)) as second:
        databases = tuple(
            Database(replace(settings, database_url=url)) for url in (stack.database_url, second.database_url)
        )
        for made in databases:
            migrate.upgrade(made)
        set_read_only(second.database_url, True)
        ports = stack.postgres.port, second.postgres.port
        yield (
            *databases,
            "postgresql://postgres@{}:{},{}:{}/jobplatform".format(
                *(part for port in ports for part in ("127.0.0.1", port))
            ),
        )
        for made in databases:
            made.close()
        second.erase()


def test_after_a_failover_the_new_primary_is_found_at_once(
    pair: tuple[Database, Database, str], app: Celery, stack: DevStack
) -> None:
    first, second, url = pair
    app.jobplatform.close()
    app.jobplatform = Platform(replace(app.jobplatform.settings, database_url=url))
    journalled = COUNTS["without_row"]
    ids = {add.submit(1).id, *add.submit_many([(2,)])}
    assert row_ids(first) == ids
    set_read_only(second.engine.url.render_as_string().replace("+psycopg2", ""), False)
    with read_only(stack.database_url):
        ids = {add.submit(3).id, *add.submit_many([(4,)])}
        assert row_ids(second) == ids
        assert COUNTS["without_row"] == journalled


@pytest.mark.owner
def test_a_leader_resigns_while_the_server_takes_no_writes(settings: Settings, database: Database) -> None:
    leader = Leader(database)
    leader.run_once(datetime.now(UTC))
    assert leader.leads
    with read_only(settings.database_url):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="takes no writes"):
                leader.run_once(datetime.now(UTC))
            assert not leader.leads
    leader.run_once(datetime.now(UTC))
    assert leader.leads
    leader.resign()


def test_a_leader_that_stands_still_is_followed(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "SILENCE_SECONDS", 1)
    silent, second = Leader(database), Leader(database)
    silent.run_once(datetime.now(UTC))
    give_up = time.monotonic() + 30
    while not second.leads and time.monotonic() < give_up:
        second.run_once(datetime.now(UTC))
    assert second.leads
    assert silent.leads
    with pytest.raises(UNREACHABLE):
        silent.run_once(datetime.now(UTC))
    assert not silent.leads
    second.resign()


def test_a_transaction_that_stands_still_lets_its_locks_go(settings: Settings, database: Database) -> None:
    still = Database(settings, quiet_seconds=0.5)
    lock = f'lock table "{database.schema}".jobs in access exclusive mode'
    with still.engine.connect() as connection:
        connection.exec_driver_sql(lock)
        with database.transaction() as other:
            other.connection.exec_driver_sql(lock)
        with pytest.raises(UNREACHABLE):
            connection.exec_driver_sql("select 1")
    still.close()
