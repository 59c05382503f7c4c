"""What becomes of an agent's call: reads are done, writes become plans, and approved plans are applied."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from jobplatform.actions import plans
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.errors import Forbidden, JobPlatformError, PlanRefused
from jobplatform.jobs.payload import encode_state
from jobplatform.mcp.offered import Tool
from jobplatform.mcp.quoted import clean
from jobplatform.store.database import REFUSED
from jobplatform.store.database import UNREACHABLE as POSTGRESQL
from jobplatform.transport.publisher import UNREACHABLE as REDIS

logger = logging.getLogger(__name__)

#: The largest arguments of a call, in bytes.
ARGUMENT_LIMIT = 65_536

APPLY = "apply_plan"
NEXT = (
    "Nothing was changed. A person has to approve this plan outside of this conversation, on the page /plans/{plan} of "
    "the dashboard or at a terminal: jobplatform mcp approve {plan}. Tell them and wait; then call apply_plan with it. "
    "You cannot approve it."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gives.

    :param failed: it was refused, or could not be done.
    """

    value: Any
    failed: bool = False


class Office:
    """Answer the calls of one agent.

    :param tools: what it may know of; what it may do, its permissions say.
    """

    def __init__(self, desk: Desk, actor: Actor, tools: Sequence[Tool]) -> None:
        self.desk = desk
        self.actor = actor
        self.tools = {tool.name: tool for tool in tools if actor.may(tool.permission)}
        self._by_action = {tool.action: tool for tool in tools}

    def answer(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """Answer a call; what goes wrong is an answer as well."""
        try:
            # What no table can hold is refused before anything looks at it.
            encode_state(dict(arguments), ARGUMENT_LIMIT)
            return self._answer(name, arguments)
        except REFUSED:
            return Answer({"error": "the arguments are no values that the tables know, such as an id"}, failed=True)
        except (*POSTGRESQL, *REDIS) as error:
            logger.warning("an agent's call of %s has no answer: %s", clean(name, 100), error)
            return Answer({"error": "PostgreSQL or Redis is away; try again later"}, failed=True)
        except ValidationError as error:
            problems = [{"at": list(each["loc"]), "problem": each["msg"]} for each in error.errors()]
            return Answer({"error": "the arguments do not fit", "problems": problems}, failed=True)
        except JobPlatformError as error:
            return Answer({"error": str(error)}, failed=True)

    def _answer(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        if name == APPLY:
            return Answer(self._apply(str(arguments.get("plan", ""))))
        tool = self.tools.get(name)
        if tool is None:
            return self._refused(name)
        values = tool.parse(self.actor, arguments)
        if tool.writes:
            return Answer(self._plan(tool, arguments, values))
        return Answer(tool.call(self.desk, self.actor, values))

    def _refused(self, name: str) -> Answer:
        """Write down that a tool was asked for that is not there, or not for this agent."""
        self.desk.note(self.actor, "agents.call", {"tool": clean(name, 100)}, {"refused": "no such tool for it"})
        return Answer({"error": "there is no such tool, or you may not use it"}, failed=True)

    def _plan(self, tool: Tool, arguments: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        blast = tool.measure(self.desk, self.actor, values)
        made = plans.ask(self.desk, self.actor, tool.action, arguments, blast)
        return {**made, "next": NEXT.format(plan=made["plan"])}

    def _apply(self, plan_id: str) -> dict[str, Any]:
        known = plans.find(self.desk, plan_id)
        tool = None if known is None else self._by_action.get(known["action"])
        if known is None or tool is None:
            self.desk.note(self.actor, "plans.apply", {"plan": clean(plan_id, 100)}, {"refused": "there is none"})
            raise PlanRefused(f"plan {plan_id!r:.40}: there is none; nothing was changed")
        if not self.actor.may(tool.permission):
            self.desk.note(self.actor, "plans.apply", {"plan": plan_id}, {"refused": str(tool.permission)})
            raise Forbidden(tool.action, str(tool.permission))
        values = tool.parse(self.actor, known["arguments"])
        plan = plans.take(self.desk, self.actor, plan_id, tool.measure(self.desk, self.actor, values).count)
        try:
            result = tool.call(self.desk, self.actor, values)
        except JobPlatformError as error:
            plans.end(self.desk, self.actor, plan, {"error": str(error)[:500]}, failed=True)
            raise
        plans.end(self.desk, self.actor, plan, {"done": True})
        return {"plan": plan_id, "applied": True, "result": result}
