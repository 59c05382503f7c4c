"""Payloads and results as somebody may see them: masked, and what is encrypted only with permission and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import SealError
from jobplatform.masking import mask
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.sealing import is_sealed, is_sealed_payload, unseal, unsealed

#: What stands for a value that may not be seen, or cannot be read here.
HIDDEN, ENCRYPTED = "hidden", "encrypted"
_FIELDS = ("payload", "edited_payload", "result")


def shown(desk: Desk, actor: Actor, row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row of a job or a dead letter with its payloads and its result as an actor may see them.

    :param row: with the paths of what is masked beside the known names in ``secret``, if its job type names any.
    """
    secret: Sequence[str] = row.get("secret") or ()
    ring = desk.settings.encryption_keys
    seen = {name: _seen(actor, ring, row[name], secret) for name in _FIELDS if row.get(name) is not None}
    return {**{name: value for name, value in row.items() if name != "secret"}, **seen}


def _seen(actor: Actor, ring: KeyRing, value: Any, secret: Sequence[str]) -> Any:
    if not actor.may(Permission.JOBS_PAYLOAD):
        return HIDDEN
    try:
        return mask(_opened(ring, value), secret)
    except SealError:
        return ENCRYPTED


def _opened(ring: KeyRing, value: Any) -> Any:
    """Read what is encrypted: a whole payload, a result, or results of others among arguments."""
    if is_sealed_payload(value):
        plain = unseal(ring, value["kwargs"])
        return {"args": [*value["args"], *plain["args"][len(value["args"]) :]], "kwargs": plain["kwargs"]}
    return unseal(ring, value) if is_sealed(value) else unsealed(ring, value)
