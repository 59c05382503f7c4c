"""Which actions agents are offered, each with the schema of its arguments, as its own signature says it."""

from __future__ import annotations

import inspect
import logging
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from importlib import import_module
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from jobplatform import actions
from jobplatform.actions.action import Action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.actions.plans import Blast
from jobplatform.store.pauses import Hold

logger = logging.getLogger(__name__)

#: The most that agents may give for parameters of these names.
_MOST = {"limit": 200, "cap": 100_000}
#: What no agent does, whoever approves: let people and programs in, and approve plans.
NEVER = frozenset({"users", "tokens", "sessions", "plans", "audit"})


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that an agent can call.

    :param name: as agents know it.
    :param action: as the audit log knows it.
    :param writes: whether it takes a plan.
    :param call: does it with arguments that ``parse`` gave.
    :param measure: tells what it would touch.
    """

    name: str
    action: str
    words: str
    permission: Permission
    writes: bool
    schema: Mapping[str, Any]
    parse: Callable[[Actor, Mapping[str, Any]], Mapping[str, Any]]
    call: Callable[[Desk, Actor, Mapping[str, Any]], Any]
    measure: Callable[[Desk, Actor, Mapping[str, Any]], Blast]


def tools_of_actions() -> list[Tool]:
    """Give a tool for each action whose arguments can be written as JSON, by name."""
    found = {function.action.name: function for function in _functions()}
    made = (_tool(function.action, function) for _, function in sorted(found.items()))
    return [tool for tool in made if tool is not None]


def _functions() -> Iterator[Any]:
    for module in pkgutil.iter_modules(actions.__path__):
        names = vars(import_module(f"{actions.__name__}.{module.name}"))
        yield from (each for each in names.values() if isinstance(getattr(each, "action", None), Action))


def _tool(action: Action, function: Any) -> Tool | None:
    if action.name.partition(".")[0] in NEVER:
        return None
    try:
        model = _model(action.name, function)
        schema = model.model_json_schema()
    except (NameError, PydanticUserError, PydanticUndefinedAnnotation) as error:
        logger.info("agents are not offered %s, whose arguments are no JSON: %s", action.name, error)
        return None

    def parse(actor: Actor, arguments: Mapping[str, Any]) -> dict[str, Any]:
        value = model.model_validate(arguments)
        return {name: _signed(getattr(value, name), actor) for name in model.model_fields}

    def call(desk: Desk, actor: Actor, values: Mapping[str, Any]) -> Any:
        return function(desk, actor, **values)

    def measure(desk: Desk, actor: Actor, values: Mapping[str, Any]) -> Blast:
        if "dry_run" in inspect.signature(function).parameters:
            found = function(desk, actor, **values, dry_run=True)
            return Blast(found.counts["matching"], found.sample, f"{action.words} {found.rule}")
        return _by_names(action, values)

    name = action.name.replace(".", "_")
    return Tool(name, action.name, action.words, action.permission, action.writes, schema, parse, call, measure)


def _model(name: str, function: Any) -> type[BaseModel]:
    """Make a model of the arguments of an action."""
    hints = get_type_hints(inspect.unwrap(function))
    given: dict[str, Any] = {}
    for parameter in list(inspect.signature(function).parameters.values())[2:]:
        if parameter.name != "dry_run":
            default = ... if parameter.default is parameter.empty else parameter.default
            given[parameter.name] = (_bounded(parameter.name, hints[parameter.name]), default)
    return create_model(name, __config__=ConfigDict(extra="forbid"), **given)


def _bounded(name: str, hint: Any) -> Any:
    """Let no agent ask for more rows than it gets to read."""
    most = _MOST.get(name)
    return hint if most is None else Annotated[hint, Field(ge=1, le=most)]


def _signed(value: Any, actor: Actor) -> Any:
    """Let nobody hold something in another's name."""
    return replace(value, by=actor.name) if is_dataclass(value) and isinstance(value, Hold) else value


def _by_names(action: Action, values: Mapping[str, Any]) -> Blast:
    lists = (value for value in values.values() if isinstance(value, list | tuple) and value)
    names = [str(each) for each in next(lists, ())] or [str(each) for each in values.values() if isinstance(each, str)]
    return Blast(max(1, len(names)), names[:5], action.words)
