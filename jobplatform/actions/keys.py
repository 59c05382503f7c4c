"""What can be done with the keys that payloads are encrypted with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import SealError
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.sealing import is_sealed, key_of, sealed_anew
from jobplatform.store import sealed

#: Some rows may be written by others meanwhile; so often all tables are gone through.
_ROUNDS = 3


@dataclass(slots=True)
class Rotated:
    """How far a rotation is: rows with something encrypted, those encrypted again, and those that no key here opens.

    :ivar left: rows that have another key than the first, after the last round.
    """

    key: str
    found: int = 0
    resealed: int = 0
    unreadable: int = 0
    left: int = 0


@action("keys.rotate", Permission.KEYS_WRITE, writes=True)
def rotate(
    desk: Desk, actor: Actor, told: Callable[[Rotated], None] = lambda rotated: None, dry_run: bool = False
) -> Rotated:
    """Encrypt what is encrypted in the tables again with the first key, in small steps; begun again, it goes on.

    :param told: called after each step.
    :raises SealError: when there is no key.
    """
    ring = desk.settings.encryption_keys
    if not ring:
        raise SealError("keys: this process has none; set JOBPLATFORM_ENCRYPTION_KEYS, the new one first")
    rotated = Rotated(ring.first)
    for _ in range(1 if dry_run else _ROUNDS):
        rotated.found = rotated.left = rotated.unreadable = 0
        for table in sealed.TABLES:
            _go_through(desk, ring, table, rotated, told, dry_run)
        if rotated.left == rotated.unreadable:
            break
    if not dry_run:
        outcome = {"found": rotated.found, "resealed": rotated.resealed, "left": rotated.left}
        desk.note(actor, "keys.rotate", {"key": ring.first}, outcome)
    return rotated


def _go_through(
    desk: Desk, ring: KeyRing, table: str, rotated: Rotated, told: Callable[[Rotated], None], dry_run: bool
) -> None:
    after: Any = None
    while True:
        with desk.database.transaction() as transaction:
            page = sealed.page(transaction, table, after)
            old = [row for row in page.rows if _has_other(ring.first, row)]
            made = [] if dry_run else [new for row in old if (new := _resealed(ring, row)) is not None]
            written = sealed.write(transaction, table, made) if made else 0
        rotated.found += len(page.rows)
        rotated.resealed += written
        rotated.left += len(old) - written
        rotated.unreadable += 0 if dry_run else len(old) - len(made)
        told(rotated)
        if page.last is None:
            return
        after = page.last


def _has_other(key: str, value: Any) -> bool:
    """Tell whether something in a value is encrypted with another key."""
    if is_sealed(value):
        return key_of(value) != key
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(_has_other(key, each) for each in parts)


def _resealed(ring: KeyRing, row: Mapping[str, Any]) -> Any:
    """Give a row encrypted again, None if no key here opens it."""
    try:
        return _anew(ring, row)
    except SealError:
        return None


def _anew(ring: KeyRing, value: Any) -> Any:
    if is_sealed(value):
        return value if key_of(value) == ring.first else sealed_anew(ring, value)
    if isinstance(value, Mapping):
        return {name: _anew(ring, each) for name, each in value.items()}
    return [_anew(ring, each) for each in value] if isinstance(value, list) else value
