"""An action: a function with a name and the permission that it takes, checked before it begins."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden
from jobplatform.masking import mask_text

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Action:
    """What is known of an action before it is called.

    :param writes: whether it changes something, and is written down.
    """

    name: str
    permission: Permission
    writes: bool
    words: str


#: What actions call the words of who asks, and what has a reason in it: all of it is kept for long, and read by many.
_WORDS = frozenset({"reason", "note", "text", "hold", "wish"})
#: All actions, by name.
ACTIONS: dict[str, Action] = {}


def action(
    name: str, permission: Permission, writes: bool = False
) -> Callable[[Callable[Concatenate[Desk, Actor, P], Result]], Callable[Concatenate[Desk, Actor, P], Result]]:
    """Make an action of a function that takes a desk and an actor first; what it refuses is written down.

    Secrets are taken out of what people say of what they do before it is done.

    :param name: a noun and a verb, such as ``queues.pause``.
    :raises ValueError: when the name is taken.
    """

    def wrap(function: Callable[Concatenate[Desk, Actor, P], Result]) -> Callable[Concatenate[Desk, Actor, P], Result]:
        if name in ACTIONS:
            raise ValueError(f"action {name}: there are two of this name; choose another")
        made = ACTIONS[name] = Action(name, permission, writes, _first_line(function))
        signature = inspect.signature(function)
        words = [each for each in signature.parameters if each in _WORDS]

        @wraps(function)
        def run(desk: Desk, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> Result:
            try:
                admit(actor, made)
                if not words:
                    return function(desk, actor, *args, **kwargs)
                asked = signature.bind(desk, actor, *args, **kwargs)
                given = [each for each in words if each in asked.arguments]
                asked.arguments.update({each: _masked(asked.arguments[each]) for each in given})
                return function(*asked.args, **asked.kwargs)
            except Forbidden as error:
                note_refusal(desk, actor, error)
                raise

        run.action = made  # type: ignore[attr-defined]
        return run

    return wrap


def admit(actor: Actor, asked: Action) -> None:
    """Let somebody do something, or not.

    :raises Forbidden: when the permission is not held.
    """
    if not actor.may(asked.permission):
        raise Forbidden(asked.name, str(asked.permission))


def note_refusal(desk: Desk, actor: Actor, error: Forbidden) -> None:
    """Write down what somebody asked for and may not do."""
    where = {"where": error.where} if error.where else {}
    desk.note(actor, error.action, {}, {"refused": error.permission, **where})


def _masked(said: Any) -> Any:
    """Take secrets out of a text, or out of the reason that something has."""
    if isinstance(said, str):
        return mask_text(said)
    reason = getattr(said, "reason", None)
    return replace(said, reason=mask_text(reason)) if reason else said


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]
