"""The rows of ``users``, ``sessions`` and ``api_tokens``: who may come in, and as what; of secrets only hashes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: That a session or a token was used is written down so often at most.
_NOTED = "interval '1 minute'"
_USER = "user_id, name, role, more, queues, tenants, created_at, seen_at, disabled_at"

PUT_USER = Statement(
    "put_user",
    """
    insert into @users (name, password, role, more, queues, tenants)
    values (%(name)s, %(password)s, %(role)s, %(more)s, %(queues)s, %(tenants)s)
    on conflict (name) do nothing returning user_id
    """,
    {"name": "ann", "password": "", "role": "viewer", "more": [], "queues": None, "tenants": None},
)

CHANGE_USER = Statement(
    "change_user",
    """
    update @users set role = coalesce(%(role)s, role), more = coalesce(%(more)s::text[], more),
        password = coalesce(%(password)s, password),
        disabled_at = case when %(disabled)s is null then disabled_at when %(disabled)s then now() end,
        queues = case when %(scoped)s then %(queues)s::text[] else queues end,
        tenants = case when %(scoped)s then %(tenants)s::text[] else tenants end
    where name = %(name)s returning user_id
    """,
    {
        "name": "ann",
        "role": None,
        "more": None,
        "password": None,
        "disabled": True,
        "scoped": True,
        "queues": None,
        "tenants": None,
    },
)

LIST_USERS = Statement(
    "list_users", f"select {_USER} from @users where name > %(after)s order by name limit %(limit)s",
    {"after": "", "limit": 50},
)  # fmt: skip

READ_USER = Statement("read_user", f"select {_USER} from @users where name = %(name)s for update", {"name": "ann"})

COUNT_ADMINS = Statement(
    "count_admins", "select count(*)::int as admins from @users where role = 'admin' and disabled_at is null", {}
)

READ_PASSWORD = Statement(
    "read_password", "select user_id, password from @users where name = %(name)s and disabled_at is null",
    {"name": "ann"},
)  # fmt: skip

END_SESSIONS = Statement(
    "end_sessions", "delete from @sessions where user_id = %(user_id)s or ends_at < now()", {"user_id": 1}
)

END_SESSIONS_OF = Statement(
    "end_sessions_of",
    "delete from @sessions where user_id = (select user_id from @users where name = %(name)s)",
    {"name": "ann"},
)

BEGIN_SESSION = Statement(
    "begin_session",
    """
    with seen as (update @users set seen_at = %(now)s where user_id = %(user_id)s),
        over as (delete from @sessions where ends_at < %(now)s)
    insert into @sessions (session_hash, user_id, address, begun_at, used_at, ends_at)
    values (%(hash)s, %(user_id)s, %(address)s, %(now)s, %(now)s, %(now)s + %(seconds)s * interval '1 second')
    """,
    {"hash": b"", "user_id": 1, "address": None, "seconds": 60.0, "now": _NOW},
)

USE_SESSION = Statement(
    "use_session",
    f"""
    with found as (
        select session_hash, user_id from @sessions
        where session_hash = %(hash)s and ends_at > %(now)s and used_at > %(now)s - %(idle)s * interval '1 second'
    ), used as (
        update @sessions s set used_at = %(now)s from found f
        where s.session_hash = f.session_hash and s.used_at < %(now)s - {_NOTED}
    )
    select {_USER} from found join @users using (user_id) where disabled_at is null
    """,
    {"hash": b"", "idle": 60.0, "now": _NOW},
)

END_SESSION = Statement("end_session", "delete from @sessions where session_hash = %(hash)s", {"hash": b""})

ADD_TOKEN = Statement(
    "add_token",
    """
    insert into @api_tokens (token_hash, name, user_id, permissions, queues, tenants, expires_at)
    select %(hash)s, %(name)s, user_id, %(permissions)s, %(queues)s, %(tenants)s, %(expires_at)s
    from @users where name = %(user)s and disabled_at is null returning token_id
    """,
    {"hash": b"", "name": "ci", "user": "ann", "permissions": ["jobs.read"], "queues": None, "tenants": None,
     "expires_at": _NOW},
)  # fmt: skip

USE_TOKEN = Statement(
    "use_token",
    f"""
    with found as (
        select * from @api_tokens where token_hash = %(hash)s and expires_at > %(now)s and revoked_at is null
    ), used as (
        update @api_tokens t set used_at = %(now)s from found f
        where t.token_id = f.token_id and (t.used_at is null or t.used_at < %(now)s - {_NOTED})
    )
    select t.token_id, t.name as token, t.permissions, t.queues as token_queues, t.tenants as token_tenants, u.*
    from found t join (select {_USER} from @users) u using (user_id) where u.disabled_at is null
    """,
    {"hash": b"", "now": _NOW},
)

LIST_TOKENS = Statement(
    "list_tokens",
    """
    select t.token_id, t.name, u.name as "user", t.permissions, t.queues, t.tenants, t.created_at, t.used_at,
        t.expires_at, t.revoked_at
    from @api_tokens t join @users u using (user_id)
    where (%(user)s::text is null or u.name = %(user)s) and t.token_id > %(after)s order by t.token_id limit %(limit)s
    """,
    {"user": None, "after": 0, "limit": 50},
)

REVOKE_TOKEN = Statement(
    "revoke_token",
    """
    update @api_tokens t set revoked_at = now() from @users u
    where t.token_id = %(token_id)s and u.user_id = t.user_id and (%(user)s::text is null or u.name = %(user)s)
        and t.revoked_at is null
    returning t.name
    """,
    {"token_id": 1, "user": None},
)


def add_user(
    transaction: Transaction,
    name: str,
    password: str,
    role: str,
    more: Collection[str] = (),
    queues: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
) -> bool:
    """Add a user; tells whether the name was free.

    :param password: its hash.
    :param more: permissions beyond those of the role.
    """
    values = {"queues": _array(queues), "tenants": _array(tenants), "more": sorted(more)}
    return bool(transaction.rows(PUT_USER, name=name, password=password, role=role, **values))


def change_user(
    transaction: Transaction,
    name: str,
    role: str | None = None,
    more: Collection[str] | None = None,
    password: str | None = None,
    disabled: bool | None = None,
    scope: tuple[Collection[str] | None, Collection[str] | None] | None = None,
) -> bool:
    """Change what is given, and end the user's sessions; tells whether there is such a user.

    :param scope: the queues and the tenants, None of which is all of them.
    """
    queues, tenants = scope or (None, None)
    values = {"role": role, "more": _array(more), "password": password, "disabled": disabled}
    values |= {"scoped": scope is not None, "queues": _array(queues), "tenants": _array(tenants)}
    found = transaction.rows(CHANGE_USER, name=name, **values)
    for row in found:
        transaction.count(END_SESSIONS, user_id=row["user_id"])
    return bool(found)


def users(transaction: Transaction, limit: int, after: str = "") -> Sequence[Row]:
    """List users by name."""
    return transaction.rows(LIST_USERS, limit=limit, after=after)


def user(transaction: Transaction, name: str) -> Row | None:
    """Give a user, who is not changed by others until the transaction ends; None when there is none of the name."""
    return next(iter(transaction.rows(READ_USER, name=name)), None)


def admins(transaction: Transaction) -> int:
    """Count those who may administer."""
    return int(transaction.rows(COUNT_ADMINS)[0]["admins"])


def password_of(transaction: Transaction, name: str) -> tuple[int, str] | None:
    """Give the number and the hash of the password of a user who may come in, None if there is none."""
    found = transaction.rows(READ_PASSWORD, name=name)
    return (found[0]["user_id"], found[0]["password"]) if found else None


def begin_session(
    transaction: Transaction, user_id: int, hash: bytes, address: str | None, seconds: float, now: datetime
) -> None:
    """Begin a session, and delete those whose time is over.

    :param hash: of what the browser keeps.
    :param seconds: after which it ends in any case.
    """
    transaction.count(BEGIN_SESSION, user_id=user_id, hash=hash, address=address, seconds=seconds, now=now)


def use_session(transaction: Transaction, hash: bytes, idle: float, now: datetime) -> Row | None:
    """Give the user of a session that goes on, None if there is none; its use is noted once a minute at most.

    :param idle: seconds after which one ends that was not used.
    """
    return next(iter(transaction.rows(USE_SESSION, hash=hash, idle=idle, now=now)), None)


def end_session(transaction: Transaction, hash: bytes) -> None:
    """End a session."""
    transaction.count(END_SESSION, hash=hash)


def end_sessions(transaction: Transaction, name: str) -> int:
    """End all sessions of a user; returns how many."""
    return transaction.count(END_SESSIONS_OF, name=name)


def add_token(
    transaction: Transaction,
    user: str,
    name: str,
    hash: bytes,
    permissions: Collection[str],
    expires_at: datetime,
    queues: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
) -> int | None:
    """Add a token of a user; gives its number, None when there is no such user."""
    scope = {"queues": _array(queues), "tenants": _array(tenants), "permissions": sorted(permissions)}
    found = transaction.rows(ADD_TOKEN, user=user, name=name, hash=hash, expires_at=expires_at, **scope)
    return int(found[0]["token_id"]) if found else None


def use_token(transaction: Transaction, hash: bytes, now: datetime) -> Row | None:
    """Give a token that counts, with its user, None if there is none; its use is noted once a minute at most."""
    return next(iter(transaction.rows(USE_TOKEN, hash=hash, now=now)), None)


def tokens(transaction: Transaction, limit: int, user: str | None = None, after: int = 0) -> Sequence[Row]:
    """List tokens, of one user or of all."""
    return transaction.rows(LIST_TOKENS, limit=limit, user=user, after=after)


def revoke_token(transaction: Transaction, token_id: int, user: str | None = None) -> str | None:
    """Let a token count no more; gives its name, None when there is none that does.

    :param user: whose it must be.
    """
    found = transaction.rows(REVOKE_TOKEN, token_id=token_id, user=user)
    return str(found[0]["name"]) if found else None


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)
