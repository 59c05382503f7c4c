"""Who does something: a person or a program, with what it may do, and where."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from jobplatform.actions.permission import Permission


class Via(StrEnum):
    """How somebody came in."""

    TERMINAL = "terminal"
    PAGE = "page"
    TOKEN = "token"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where somebody may look and act; None is everywhere.

    :param tenants: a job that belongs to no tenant is in the scope of those alone who may look everywhere.
    """

    queues: frozenset[str] | None = None
    tenants: frozenset[str] | None = None

    def holds(self, queue: str | None, tenant: str | None) -> bool:
        """Tell whether a job of a queue and a tenant is within."""
        return (self.queues is None or queue in self.queues) and (self.tenants is None or tenant in self.tenants)

    @property
    def everywhere(self) -> bool:
        """Whether nothing is left out."""
        return self.queues is None and self.tenants is None

    def as_json(self) -> dict[str, list[str]]:
        """Give it as it is written down: nothing where it is everywhere."""
        found = {"queues": self.queues, "tenants": self.tenants}
        return {name: sorted(values) for name, values in found.items() if values is not None}

    def narrowed(self, queues: Collection[str] | None, tenants: Collection[str] | None) -> Scope:
        """Give what lies within this scope and within these queues and tenants."""
        return Scope(_both(self.queues, queues), _both(self.tenants, tenants))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something.

    :param name: of a user; of somebody at a terminal, the one that the system gives.
    :param address: where the request came from; at a terminal, who is logged in there if that is another name.
    """

    name: str
    via: Via
    permissions: frozenset[Permission]
    scope: Scope = field(default_factory=Scope)
    address: str | None = None

    def may(self, permission: Permission) -> bool:
        """Tell whether a permission is held."""
        return permission in self.permissions


def at_terminal(name: str) -> Actor:
    """Give who has the settings of the platform at hand, and with them the database: they may do all."""
    return Actor(name, Via.TERMINAL, frozenset(Permission))


def _both(one: frozenset[str] | None, other: Collection[str] | None) -> frozenset[str] | None:
    if one is None:
        return None if other is None else frozenset(other)
    return one if other is None else one & frozenset(other)
