"""A plan of an agent, as people see it who decide on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict


class Blast(TypedDict):
    """What a plan would touch: how many, and the ids or names of some."""

    count: int
    sample: list[str]
    what: str


class AgentPlan(TypedDict):
    """What an agent asks to do; ``takes`` and ``words`` say what that action is, if there is such a one still."""

    plan_id: str
    actor: str
    action: str
    arguments: dict[str, Any]
    jobs: int
    blast: Blast
    state: str
    asked_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    applied_at: datetime | None
    outcome: dict[str, Any] | None
    over: bool
    takes: str | None
    words: str | None
