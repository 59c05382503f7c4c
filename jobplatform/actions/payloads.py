"""What jobs are given, and what they give: who may see it, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.actions.action import Action, admit
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission

#: The columns that hold what a job is given or gives.
BODIES = ("payload", "edited_payload", "payload_template", "result")
#: What stands in place of a body that somebody may not see.
WITHHELD: Mapping[str, str] = {"withheld": str(Permission.JOBS_PAYLOAD)}


def shown(actor: Actor, row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row as somebody may see it; where there is a body that they may not, it is ``WITHHELD``."""
    return {**row, **{name: _body(actor, row[name]) for name in BODIES if name in row}}


def require(desk: Desk, actor: Actor, name: str) -> None:
    """Refuse an action that gives bodies away as they are.

    :param name: of the action.
    :raises Forbidden: when bodies may not be seen.
    """
    admit(actor, Action(name, Permission.JOBS_PAYLOAD, writes=False, words=""))


def _body(actor: Actor, body: Any) -> Any:
    """Let a body through, or withhold it: whatever else is to be kept from people is taken out of it here."""
    if body is None or actor.may(Permission.JOBS_PAYLOAD):
        return body
    return dict(WITHHELD)
