"""What follows a commit of the caller's session, and only that."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from jobplatform.store.after_commit import after_commit
from jobplatform.store.database import Database


@pytest.fixture
def done() -> list[str]:
    return []


def test_it_follows_each_commit_once(database: Database, done: list[str]) -> None:
    with Session(database.engine) as session:
        for name in ("first", "second"):
            assert after_commit(session, lambda name=name: done.append(name))
        assert done == []
        session.commit()
        assert done == ["first", "second"]
        session.execute(text("select 1"))
        session.commit()
        after_commit(session, lambda: done.append("third"))
        session.commit()
    assert done == ["first", "second", "third"]


def test_a_rollback_forgets_it(database: Database, done: list[str]) -> None:
    with Session(database.engine) as session:
        after_commit(session, lambda: done.append("forgotten"))
        session.rollback()
        after_commit(session, lambda: done.append("kept"))
        session.commit()
    assert done == ["kept"]


def test_a_rollback_to_a_savepoint_forgets_what_came_after_it_alone(database: Database, done: list[str]) -> None:
    with Session(database.engine) as session, session.begin():
        after_commit(session, lambda: done.append("before"))
        with session.begin_nested():
            after_commit(session, lambda: done.append("inside"))
        savepoint = session.begin_nested()
        with session.begin_nested():
            after_commit(session, lambda: done.append("forgotten"))
        savepoint.rollback()
        after_commit(session, lambda: done.append("after"))
        assert done == []
    assert done == ["before", "inside", "after"]


def test_a_session_is_listened_to_once(database: Database, done: list[str]) -> None:
    session = scoped_session(sessionmaker(database.engine))
    for number in range(3):
        after_commit(session, lambda: done.append("done"))
        session.commit()
        assert len(done) == number + 1
    assert len(list(session().dispatch.after_commit)) == 1
    session.remove()


def test_a_connection_cannot_tell(database: Database, done: list[str]) -> None:
    with database.engine.begin() as connection:
        assert not after_commit(connection, lambda: done.append("never"))
    assert done == []
