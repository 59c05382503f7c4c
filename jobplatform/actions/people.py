"""Who may come in, and as what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor, Scope
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.actions.secret import digest, hash_password, new_token
from jobplatform.errors import Forbidden, JobOptionError, UserNotFound
from jobplatform.store import people
from jobplatform.store.shapes.person import TokenListed, User

Row = Mapping[str, Any]

#: The longest that a token counts.
LONGEST_TOKEN = timedelta(days=366)


#: The longest name of a user, and of a token, in characters.
LONGEST_NAME = 100


class Token(NamedTuple):
    """A new token: its number, and what is shown once."""

    token_id: int
    secret: str


@action("users.list", Permission.USERS_READ)
def list_users(desk: Desk, actor: Actor, limit: int = 100, after: str = "") -> Sequence[Annotated[Row, User]]:
    """List users by name."""
    with desk.look() as session:
        return people.users(session, limit, after)


@action("users.add", Permission.USERS_WRITE, writes=True)
def add_user(
    desk: Desk,
    actor: Actor,
    name: str,
    password: str,
    role: str,
    more: Collection[str] = (),
    scope: Scope | None = None,
) -> None:
    """Add a user.

    :param more: permissions beyond those of the role, such as ``jobs.payload``.
    :raises JobOptionError: when a value cannot be used, or the name is taken.
    :raises Forbidden: when the user would be let do more than the actor may, or elsewhere.
    """
    permissions, scope = _permissions(_role(role), more), scope or Scope()
    _check_name("name", name)
    _admit_grant(actor, "users.add", permissions, scope)
    hashed = hash_password(password)
    about = {"user": name, "role": role, "more": sorted(more), **scope.as_json()}
    with desk.change(actor, "users.add", about) as change:
        extra = permissions - ROLES[role]
        if not people.add_user(change.transaction, name, hashed, role, extra, scope.queues, scope.tenants):
            raise JobOptionError(f"name: there is a user {name} already; choose another, or change that one")


@action("users.change", Permission.USERS_WRITE, writes=True)
def change_user(
    desk: Desk,
    actor: Actor,
    name: str,
    role: str | None = None,
    more: Collection[str] | None = None,
    password: str | None = None,
    disabled: bool | None = None,
    scope: Scope | None = None,
) -> None:
    """Change a user, whose sessions end; the last one who administers stays.

    :param more: in place of the permissions beyond those of the role.
    :param scope: in place of the queues and tenants.
    :raises UserNotFound: when there is none of the name.
    :raises JobOptionError: when a value cannot be used, or nobody would be left to administer.
    :raises Forbidden: when the user may do more than the actor, or elsewhere, or would be let do so.
    """
    if role is not None:
        _role(role)
    if more is not None:
        _permissions(frozenset(), more)
    hashed = None if password is None else hash_password(password)
    about: dict[str, Any] = {"user": name, "role": role, "more": more, "disabled": disabled}
    about |= {"password": None if password is None else "changed", "scope": None if scope is None else scope.as_json()}
    limits = None if scope is None else (scope.queues, scope.tenants)
    with desk.change(actor, "users.change", {key: each for key, each in about.items() if each is not None}) as change:
        user = people.user(change.transaction, name)
        if user is None:
            raise UserNotFound(f"user {name}: there is none of this name; see: jobplatform users list")
        _admit_grant(actor, "users.change", *_held(user))
        _admit_grant(actor, "users.change", *_held(user, role, more, scope))
        before = people.admins(change.transaction)
        people.change_user(change.transaction, name, role, more, hashed, disabled, limits)
        if before and not people.admins(change.transaction):
            raise JobOptionError(f"user {name}: nobody would be left to administer; make somebody else admin first")


@action("tokens.list", Permission.TOKENS_WRITE)
def list_tokens(desk: Desk, actor: Actor, limit: int = 100, after: int = 0) -> Sequence[Annotated[Row, TokenListed]]:
    """List the actor's own tokens; those of all for who administers users."""
    with desk.look() as session:
        return people.tokens(session, limit, None if actor.may(Permission.USERS_WRITE) else actor.name, after)


@action("tokens.add", Permission.TOKENS_WRITE, writes=True)
def add_token(
    desk: Desk, actor: Actor, user: str, name: str, permissions: Collection[str], lasts: timedelta, scope: Scope
) -> Token:
    """Make a token, which may do no more than who makes it.

    :raises Forbidden: when it is for somebody else, or for more than the actor may.
    :raises JobOptionError: when a value cannot be used.
    :raises UserNotFound: when there is none of the name.
    """
    if not timedelta(0) < lasts <= LONGEST_TOKEN:
        raise JobOptionError(f"lasts: {lasts} is out of range; give at most {LONGEST_TOKEN.days} days")
    wanted = _permissions(frozenset(), permissions)
    _check_name("token", name)
    if user != actor.name and not actor.may(Permission.USERS_WRITE):
        raise Forbidden("tokens.add", str(Permission.USERS_WRITE))
    for permission in sorted(wanted - actor.permissions):
        raise Forbidden("tokens.add", str(permission))
    scope, secret = actor.scope.narrowed(scope.queues, scope.tenants), new_token()
    about = {"user": user, "token": name, "permissions": sorted(wanted), "lasts": str(lasts)}
    with desk.change(actor, "tokens.add", about) as change:
        ends = desk.now() + lasts
        made = people.add_token(
            change.transaction, user, name, digest(secret), wanted, ends, scope.queues, scope.tenants
        )
        if made is None:
            raise UserNotFound(f"user {user}: there is none of this name; see: jobplatform users list")
        change.outcome["token_id"] = made
    return Token(made, secret)


@action("tokens.revoke", Permission.TOKENS_WRITE, writes=True)
def revoke_token(desk: Desk, actor: Actor, token_id: int) -> str:
    """Let a token count no more; gives its name.

    :raises UserNotFound: when there is none, or it is somebody else's and the actor does not administer users.
    """
    with desk.change(actor, "tokens.revoke", {"token_id": token_id}) as change:
        own = None if actor.may(Permission.USERS_WRITE) else actor.name
        name = people.revoke_token(change.transaction, token_id, own)
        if name is None:
            raise UserNotFound(f"token {token_id}: there is none that counts; see: jobplatform tokens list")
        change.outcome["token"] = name
    return name


def _check_name(field: str, name: str) -> None:
    """Refuse a name that cannot be kept, or that could be taken for that of a user's token.

    :raises JobOptionError: when it is one.
    """
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or "/" in name:
        raise JobOptionError(f"{field}: {name!r:.120} cannot be used; give 1 to {LONGEST_NAME} characters without a /")


def _held(
    user: Row, role: str | None = None, more: Collection[str] | None = None, scope: Scope | None = None
) -> tuple[frozenset[Permission], Scope]:
    """Give what a user may do, and where, once something is changed."""
    permissions = _permissions(_role(role or user["role"]), user["more"] if more is None else more)
    return permissions, scope or Scope().narrowed(user["queues"], user["tenants"])


def _admit_grant(actor: Actor, asked: str, permissions: Collection[Permission], scope: Scope) -> None:
    """Let nobody make, or take over, a user who may do more than they may themselves.

    :raises Forbidden: naming what they may not do, or where.
    """
    for permission in sorted(set(permissions) - actor.permissions):
        raise Forbidden(asked, str(permission))
    if actor.scope.narrowed(scope.queues, scope.tenants) != scope:
        raise Forbidden(asked, str(Permission.USERS_WRITE), "all queues and tenants of that user")


def _role(role: str) -> frozenset[Permission]:
    if role not in ROLES:
        raise JobOptionError(f"role: {role!r} is none; choose one of {', '.join(ROLES)}")
    return ROLES[role]


def _permissions(held: frozenset[Permission], more: Collection[str]) -> frozenset[Permission]:
    known = {str(each) for each in Permission}
    for name in more:
        if name not in known:
            raise JobOptionError(f"permissions: {name!r} is none; choose of {', '.join(sorted(known))}")
    return held | {Permission(name) for name in more}
