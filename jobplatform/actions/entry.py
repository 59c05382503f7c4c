"""Coming in: a password becomes a session, a session or a token becomes who acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.actions.actor import Actor, Scope, Via
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.actions.secret import digest, is_password, new_session
from jobplatform.errors import SignInRefused
from jobplatform.store import audit, people
from jobplatform.store.audit import Deed

Row = Mapping[str, Any]

#: A session ends so many seconds after it was last used, and so many after it began.
IDLE_SECONDS, MOST_SECONDS = 3_600.0, 12 * 3_600.0


def nobody(desk: Desk) -> bool:
    """Tell whether there is nobody yet who administers the platform."""
    with desk.look() as session:
        return people.admins(session) == 0


def sign_in(desk: Desk, name: str, password: str, address: str | None) -> str:
    """Begin a session; returns what the browser keeps of it.

    :raises SignInRefused: without telling whether it is the name or the password that is wrong.
    """
    with desk.look() as session:
        found = people.password_of(session, name)
    if not is_password(found[1] if found else None, password) or found is None:
        with desk.database.transaction() as transaction:
            audit.add(transaction, Deed(name[:100], str(Via.PAGE), "users.sign_in", address, outcome={"refused": True}))
        raise SignInRefused
    secret = new_session()
    with desk.database.transaction() as transaction:
        people.begin_session(transaction, found[0], digest(secret), address, MOST_SECONDS)
        audit.add(transaction, Deed(name, str(Via.PAGE), "users.sign_in", address))
    return secret


def sign_out(desk: Desk, secret: str) -> None:
    """End a session."""
    with desk.database.transaction() as transaction:
        people.end_session(transaction, digest(secret))


def of_session(desk: Desk, secret: str, address: str | None) -> Actor | None:
    """Give who has a session, None when it has ended."""
    with desk.database.transaction() as transaction:
        row = people.use_session(transaction, digest(secret), IDLE_SECONDS)
    if row is None:
        return None
    return Actor(row["name"], Via.PAGE, _permissions(row), _scope(row["queues"], row["tenants"]), address)


def of_token(desk: Desk, secret: str, address: str | None, via: Via = Via.TOKEN) -> Actor | None:
    """Give who has a token, None when it does not count: never more than its user may by now."""
    with desk.database.transaction() as transaction:
        row = people.use_token(transaction, digest(secret))
    if row is None:
        return None
    scope = _scope(row["queues"], row["tenants"]).narrowed(row["token_queues"], row["token_tenants"])
    held = _permissions(row) & {Permission(name) for name in row["permissions"]}
    return Actor(f"{row['name']}/{row['token']}", via, held, scope, address)


def _permissions(row: Row) -> frozenset[Permission]:
    return ROLES[row["role"]] | {Permission(name) for name in row["more"]}


def _scope(queues: list[str] | None, tenants: list[str] | None) -> Scope:
    return Scope(None if queues is None else frozenset(queues), None if tenants is None else frozenset(tenants))
