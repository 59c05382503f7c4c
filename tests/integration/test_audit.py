"""The audit log: rows are only ever added, and one that was changed or taken out shows."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import DBAPIError

from jobplatform.store import audit
from jobplatform.store.audit import Deed
from jobplatform.store.database import Database

ADDED = 7


def add(database: Database, count: int = ADDED) -> None:
    for number in range(count):
        deed = Deed("ann", "terminal", "jobs.cancel", None, {"job_ids": [str(number)]}, {"cancelled": 1}, "é\n'")
        with database.transaction() as transaction:
            audit.add(transaction, deed)


def forge(database: Database, sql: str) -> None:
    """Change the log as somebody who owns the database could."""
    with database.transaction() as transaction:
        table = f"{database.schema}.audit_log"
        transaction.connection.exec_driver_sql(f"alter table {table} disable trigger user")
        transaction.connection.exec_driver_sql(sql.replace("@", table))
        transaction.connection.exec_driver_sql(f"alter table {table} enable trigger user")


def broken(database: Database, part: int) -> int | None:
    with database.session() as session:
        return audit.broken(session, part)


@pytest.mark.parametrize("part", [1, 3, 1_000])
def test_what_was_not_touched_is_sound(database: Database, part: int) -> None:
    assert broken(database, part) is None
    add(database)
    assert broken(database, part) is None


@pytest.mark.owner
@pytest.mark.parametrize("part", [1, 3, 1_000])
@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("update @ set actor = 'bob' where audit_id = 3", 3),
        ("update @ set about = '{}' where audit_id = 7", 7),
        ("update @ set at = at + interval '1 microsecond' where audit_id = 1", 1),
        ("delete from @ where audit_id = 4", 5),
        ("delete from @ where audit_id = 1", 2),
        ("update @ a set previous = null, hash = hash where audit_id = 6", 6),
    ],
)
def test_a_row_that_was_changed_or_taken_out_shows(database: Database, part: int, sql: str, first: int) -> None:
    add(database)
    forge(database, sql)
    assert broken(database, part) == first


@pytest.mark.owner
@pytest.mark.parametrize("sql", ["update {} set actor = 'bob'", "delete from {}", "truncate {}"])
def test_rows_are_only_ever_added(database: Database, sql: str) -> None:
    add(database, 1)
    with pytest.raises(DBAPIError, match="only ever added"), database.transaction() as transaction:
        transaction.connection.exec_driver_sql(sql.format(f"{database.schema}.audit_log"))
    with database.session() as session:
        assert [row["actor"] for row in audit.listed(session, 10)] == ["ann"]


def test_rows_that_are_added_at_once_are_one_chain(database: Database) -> None:
    threads = [threading.Thread(target=add, args=(database, 20)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken(database, 7) is None
    with database.session() as session:
        assert len(audit.listed(session, 1_000)) == 80


def test_a_page_goes_on_where_the_one_before_ended(database: Database) -> None:
    add(database)
    with database.session() as session:
        first = audit.listed(session, 4)
        rest = audit.listed(session, 4, first[-1]["audit_id"])
        none = audit.listed(session, 4, actor="bob")
    assert [row["audit_id"] for row in (*first, *rest)] == list(range(ADDED, 0, -1))
    assert not none
