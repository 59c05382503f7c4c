"""Coming in: a password becomes a session, a session or a token becomes who acts."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
from collections.abc import Mapping
from typing import Any

from jobplatform.actions.actor import Actor, Scope, Via
from jobplatform.actions.desk import Desk, deed
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.actions.secret import digest, is_password, new_session
from jobplatform.errors import SignInRefused, TooOften
from jobplatform.store import audit, people, sign_ins
from jobplatform.store.audit import Deed
from jobplatform.store.sign_ins import SLOTS, Bucket

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]

#: A session ends so many seconds after it was last used, and so many after it began.
IDLE_SECONDS, MOST_SECONDS = 3_600.0, 12 * 3_600.0
#: Tries that are free at once, and seconds after which one more is: of a name, and of an address, behind which there
#: may be an office. NIST SP 800-63B (3.2.2) allows for 100 in a row; so it takes an attacker 30 days to make 86,400.
NAME_TRIES, NAME_SECONDS = 10, 30.0
ADDRESS_TRIES, ADDRESS_SECONDS = 30, 10.0
#: One who is given IPv6 addresses is given so many bits of them (RFC 6177, section 2).
_ONE_SITE = 64
#: No user has a longer name.
_LONGEST = 100


def nobody(desk: Desk) -> bool:
    """Tell whether there is nobody yet who administers the platform."""
    with desk.look() as session:
        return people.admins(session) == 0


def sign_in(desk: Desk, name: str, password: str, address: str | None, before: str | None = None) -> str:
    """Begin a session; returns what the browser keeps of it.

    Whether there is somebody of the name shows neither in the answer nor in the time that it takes.

    :param before: what the browser kept of the session before this one, which ends.
    :raises TooOften: when the name or the address was tried too often, whether or not the password is right.
    :raises SignInRefused: without telling whether it is the name or the password that is wrong.
    """
    name = name if name.isprintable() and len(name) <= _LONGEST else ""
    buckets = _buckets(name, address)
    _admit(desk, buckets, address)
    with desk.look() as session:
        found = people.password_of(session, name)
    if not is_password(found[1] if found else None, password) or found is None:
        with desk.database.transaction() as transaction:
            audit.add(transaction, Deed(name, str(Via.PAGE), "users.sign_in", address, outcome={"refused": True}))
        raise SignInRefused
    secret = new_session()
    with desk.database.transaction() as transaction:
        if before is not None:
            people.end_session(transaction, digest(before))
        people.begin_session(transaction, found[0], digest(secret), address, MOST_SECONDS, desk.now())
        sign_ins.clear(transaction, buckets[0].slot)
        audit.add(transaction, Deed(name, str(Via.PAGE), "users.sign_in", address))
    return secret


def sign_out(desk: Desk, secret: str) -> None:
    """End a session."""
    with desk.database.transaction() as transaction:
        people.end_session(transaction, digest(secret))


def sign_out_everywhere(desk: Desk, actor: Actor) -> int:
    """End all sessions of who asks, this one among them; returns how many there were."""
    with desk.database.transaction() as transaction:
        ended = people.end_sessions(transaction, actor.name)
        audit.add(transaction, deed(actor, "users.sign_out_everywhere", {"user": actor.name}, {"sessions": ended}))
    return ended


def of_session(desk: Desk, secret: str, address: str | None) -> Actor | None:
    """Give who has a session, None when it has ended."""
    row = desk.database.once(lambda session: people.use_session(session, digest(secret), IDLE_SECONDS, desk.now()))
    if row is None:
        return None
    return Actor(row["name"], Via.PAGE, _permissions(row), _scope(row["queues"], row["tenants"]), address)


def of_token(desk: Desk, secret: str, address: str | None, via: Via = Via.TOKEN) -> Actor | None:
    """Give who has a token, None when it does not count: never more than its user may by now."""
    row = desk.database.once(lambda session: people.use_token(session, digest(secret), desk.now()))
    if row is None:
        return None
    scope = _scope(row["queues"], row["tenants"]).narrowed(row["token_queues"], row["token_tenants"])
    held = _permissions(row) & {Permission(name) for name in row["permissions"]}
    return Actor(f"{row['name']}/{row['token']}", via, held, scope, address)


def _admit(desk: Desk, buckets: list[Bucket], address: str | None) -> None:
    """Count a try before the password is looked at, which costs much.

    :raises TooOften: when there were too many.
    """
    with desk.database.transaction() as transaction:
        wait = sign_ins.attempt(transaction, buckets, desk.now())
    if wait:
        # No row of the audit log: whoever tries would fill it.
        logger.warning("sign-in from %s refused: it was tried too often; for %.0f s more", address, wait)
        raise TooOften("sign in", wait)


def _buckets(name: str, address: str | None) -> list[Bucket]:
    """Name the buckets of a try, that of the name first."""
    found = [Bucket(_slot(f"name {name}"), NAME_SECONDS, NAME_TRIES)]
    if address is not None:
        found.append(Bucket(SLOTS + _slot(f"address {_site(address)}"), ADDRESS_SECONDS, ADDRESS_TRIES))
    return found


def _slot(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % SLOTS


def _site(address: str) -> str:
    """Give what somebody has as one: an address, or of IPv6 a whole site."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(read, ipaddress.IPv6Address):
        mapped = read.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(read), _ONE_SITE), strict=False))
    return str(read)


def _permissions(row: Row) -> frozenset[Permission]:
    return ROLES[row["role"]] | {Permission(name) for name in row["more"]}


def _scope(queues: list[str] | None, tenants: list[str] | None) -> Scope:
    return Scope(None if queues is None else frozenset(queues), None if tenants is None else frozenset(tenants))
