"""What jobs are given, and what they give: who may see it, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobplatform.actions.action import Action, admit
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import SealError
from jobplatform.masking import mask
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.sealing import is_sealed, is_sealed_payload, unseal, unsealed

#: The columns that hold what a job is given or gives.
BODIES = ("payload", "edited_payload", "payload_template", "result")
#: What stands in place of a body that somebody may not see, and of one that cannot be read here.
WITHHELD: Mapping[str, str] = {"withheld": str(Permission.JOBS_PAYLOAD)}
ENCRYPTED = "encrypted"


def shown(desk: Desk, actor: Actor, row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row as somebody may see it; where there is a body that they may not, it is ``WITHHELD``.

    :param row: with the paths of what is masked beside the known names in ``secret``, if its job type names any.
    """
    secret, ring = row.get("secret") or (), desk.settings.encryption_keys
    bodies = {name: _body(actor, ring, row[name], secret) for name in BODIES if name in row}
    return {**{name: value for name, value in row.items() if name != "secret"}, **bodies}


def require(actor: Actor, name: str) -> None:
    """Refuse an action that gives bodies away as they are.

    :param name: of the action.
    :raises Forbidden: when bodies may not be seen.
    """
    admit(actor, Action(name, Permission.JOBS_PAYLOAD, writes=False, words=""))


def _body(actor: Actor, ring: KeyRing, body: Any, secret: Sequence[str]) -> Any:
    """Let a body through, or withhold it: whatever else is to be kept from people is taken out of it here."""
    if body is None:
        return None
    if not actor.may(Permission.JOBS_PAYLOAD):
        return dict(WITHHELD)
    try:
        return mask(_opened(ring, body), secret)
    except SealError:
        return ENCRYPTED


def _opened(ring: KeyRing, body: Any) -> Any:
    """Read what is encrypted: a whole payload, a result, or results of others among arguments."""
    if is_sealed_payload(body):
        plain = unseal(ring, body["kwargs"])
        return {"args": [*body["args"], *plain["args"][len(body["args"]) :]], "kwargs": plain["kwargs"]}
    return unseal(ring, body) if is_sealed(body) else unsealed(ring, body)
