"""What a route does: each names its actions, and one that names none keeps the application from starting."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from jobplatform.actions.action import ACTIONS, Action

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])

_RULE = "jobplatform_rule"


class Rule(tuple[str, ...]):
    """The names of the actions that a route does, in order; without any it wants somebody who is signed in."""

    __slots__ = ()

    @property
    def actions(self) -> list[Action]:
        """What is known of each."""
        return [ACTIONS[name] for name in self]


def does(*names: str) -> Callable[[Endpoint], Endpoint]:
    """Say which actions a route does; without a name, nothing but for who is signed in.

    :raises ValueError: when there is no action of a name.
    """
    for name in names:
        if name not in ACTIONS:
            raise ValueError(f"action {name}: there is none; the actions are {', '.join(sorted(ACTIONS))}")

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _RULE, Rule(names))
        return endpoint

    return mark


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """Say that a route is for everybody, signed in or not."""
    setattr(endpoint, _RULE, None)
    return endpoint


def rule_of(endpoint: Callable[..., object]) -> Rule | None:
    """Give the rule of a route; None is open to all.

    :raises LookupError: when it has none.
    """
    if not hasattr(endpoint, _RULE):
        raise LookupError(f"{endpoint.__module__}.{endpoint.__qualname__}: no rule says who may; give @does(...)")
    rule: Rule | None = getattr(endpoint, _RULE)
    return rule


class Served(NamedTuple):
    """A route: how it is asked for, and what it does.

    :param rule: None when it is open to all.
    """

    methods: frozenset[str]
    path: str
    rule: Rule | None


def served(app: FastAPI) -> list[Served]:
    """List the routes of an application.

    :raises LookupError: when something is served that has no rule; of files, only those that belong to the pages may.
    """
    return [_served(each) for each in iter_route_contexts(app.routes) if each.name != "static"]


def _served(found: RouteContext) -> Served:
    if not isinstance(found.original_route, APIRoute) or found.endpoint is None:
        raise LookupError(f"{found.path}: no rule says who may; serve it by a route")
    return Served(frozenset(found.methods or ()), found.path or "", rule_of(found.endpoint))
