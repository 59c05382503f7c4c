"""What agents ask to do: a plan says it, a person approves it elsewhere, and only then it is applied, once."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from jobplatform.actions.action import ACTIONS, action
from jobplatform.actions.actor import Actor, Via
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden, PlanRefused
from jobplatform.jobs.published import hiding_of
from jobplatform.masking import mask
from jobplatform.store import agent_plans as rows
from jobplatform.store import job_types
from jobplatform.store.shapes.agent_plan import AgentPlan

Row = Mapping[str, Any]

#: So long a plan can be approved and applied.
MINUTES = 15
#: What a plan to submit a job is named, before a colon and the job type.
SUBMIT = "jobs.submit"
#: Open plans of one actor.
MOST = 20
_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Blast:
    """What a plan would touch.

    :param count: of jobs, or of whatever it names.
    :param sample: the ids or names of some.
    """

    count: int
    sample: Sequence[str] = ()
    what: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give it as a row holds it."""
        return {"count": self.count, "sample": list(self.sample), "what": self.what}


def ask(desk: Desk, actor: Actor, name: str, arguments: Mapping[str, Any], blast: Blast) -> dict[str, Any]:
    """Write down what an agent wants to do; nothing is changed but for that.

    :param arguments: as JSON.
    :raises PlanRefused: when the actor has too many plans that nobody has decided on.
    """
    plan_id = secrets.token_hex(6)
    plan = {
        "plan_id": plan_id, "actor": actor.name, "action": name, "arguments": dict(arguments),
        "digest": digest(actor, name, arguments), "jobs": blast.count, "blast": blast.as_json(),
    }  # fmt: skip
    about = {"plan": plan_id, "action": name, "arguments": mask(dict(arguments))}
    with desk.change(actor, "plans.ask", about) as change:
        rows.prune(change.transaction, desk.now() - _KEPT, 100)
        expires_at = rows.ask(change.transaction, plan, 60.0 * MINUTES, MOST)
        change.outcome.update({"count": blast.count} if expires_at else {"refused": "too many"})
    if expires_at is None:
        raise PlanRefused(f"{MOST} plans of {actor.name} wait for somebody to decide; wait until that was done")
    return {"plan": plan_id, "action": name, **blast.as_json(), "expires_at": expires_at}


@action("plans.list", Permission.PLANS_APPROVE)
def list_plans(desk: Desk, actor: Actor, limit: int = 100) -> Sequence[Annotated[Row, AgentPlan]]:
    """List the plans of agents that can be decided on or applied, newest first, without what is secret in them."""
    with desk.look() as session:
        found = rows.listed(session, limit)
    return _shown(desk, found)


@action("plans.show", Permission.PLANS_APPROVE)
def show_plan(desk: Desk, actor: Actor, plan_id: str) -> Annotated[Row, AgentPlan]:
    """Show a plan of an agent, without what is secret in it, to those who decide on it.

    It is shown with what a job is to be given, whoever may see payloads: nobody is to approve what they cannot see.

    :raises PlanRefused: when there is none.
    """
    return _shown(desk, [_plan(desk, plan_id)])[0]


@action("plans.approve", Permission.PLANS_APPROVE, writes=True)
def approve(desk: Desk, actor: Actor, plan_id: str, count: int) -> Annotated[Row, AgentPlan]:
    """Approve the plan of an agent, which may then apply it once.

    :param count: what whoever approves was told that it touches.
    :raises PlanRefused: when it cannot be approved any more, or another count was shown.
    :raises Forbidden: to agents and tokens, and to those who might not do it themselves.
    """
    plan = _plan(desk, plan_id)
    _admit_person(desk, actor, "plans.approve", plan_id, _permission_of(plan))
    if count != plan["jobs"]:
        raise PlanRefused(f"plan {plan_id}: it touches {plan['jobs']}, not {count}; look at it again")
    _decide(desk, actor, plan, "approved")
    return _shown(desk, [plan])[0]


@action("plans.refuse", Permission.PLANS_APPROVE, writes=True)
def refuse(desk: Desk, actor: Actor, plan_id: str) -> None:
    """Refuse the plan of an agent."""
    plan = _plan(desk, plan_id)
    _admit_person(desk, actor, "plans.refuse", plan_id, Permission.PLANS_APPROVE)
    _decide(desk, actor, plan, "refused")


def take(desk: Desk, actor: Actor, plan_id: str, count: int) -> Row:
    """Take an approved plan to apply it.

    :param count: what it touches by now.
    :raises PlanRefused: when nobody approved it, it is over, it was applied, it is another's, or it has grown.
    """
    plan = _plan(desk, plan_id)
    why = _hindrance(actor, plan, count)
    bound = digest(actor, plan["action"], plan["arguments"])
    with desk.change(actor, "plans.apply", {"plan": plan_id, "action": plan["action"]}) as change:
        taken = why is None and rows.take(change.transaction, plan_id, actor.name, bound)
        change.outcome.update(
            {"approved_by": plan["decided_by"], "count": count} if taken else {"refused": why or "taken"}
        )
    if not taken:
        raise PlanRefused(f"plan {plan_id}: {why or 'it was taken meanwhile'}; nothing was changed")
    return plan


def end(desk: Desk, actor: Actor, plan: Row, outcome: Mapping[str, Any], failed: bool = False) -> None:
    """Write down what came of a plan."""
    about = {"plan": plan["plan_id"], "action": plan["action"]}
    with desk.change(actor, "plans.end", about) as change:
        rows.end(change.transaction, plan["plan_id"], "failed" if failed else "applied", outcome)
        change.outcome.update(outcome, approved_by=plan["decided_by"])


def digest(actor: Actor, name: str, arguments: Mapping[str, Any]) -> bytes:
    """Bind a plan to who asked for it and to what was asked."""
    text = json.dumps([actor.name, name, arguments], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _hindrance(actor: Actor, plan: Row, count: int) -> str | None:
    """Say why a plan cannot be applied, None when it can."""
    if plan["actor"] != actor.name:
        return "it is not yours"
    if plan["state"] != "approved":
        return "nobody has approved it" if plan["state"] == "asked" else f"it is {plan['state']}"
    if plan["over"]:
        return f"its {MINUTES} minutes are over; ask again"
    if bytes(plan["digest"]) != digest(actor, plan["action"], plan["arguments"]):
        return "it is not what was approved"
    if count > plan["jobs"]:
        return f"it would touch {count} by now, and {plan['jobs']} were approved; ask again"
    return None


def _shown(desk: Desk, plans: Sequence[Row]) -> list[Row]:
    """Give plans as people see them, with what each does and takes, if there is such an action still."""
    submitted = [name for name in map(_type_of, plans) if name is not None]
    with desk.look() as session:
        types = job_types.known(session, submitted)
    return [_as_seen(plan, hiding_of(types.get(_type_of(plan) or "")).paths) for plan in plans]


def _as_seen(plan: Row, secret: Sequence[str]) -> Row:
    known = ACTIONS.get(plan["action"].partition(":")[0])
    kept = {name: value for name, value in plan.items() if name != "digest"}
    about = {"takes": known and str(known.permission), "words": known and known.words}
    return {**kept, **about, "arguments": mask(plan["arguments"], secret), "blast": mask(plan["blast"])}


def _type_of(plan: Row) -> str | None:
    """Name the job type of a plan to submit a job."""
    name, _, job_type = plan["action"].partition(":")
    return job_type if name == SUBMIT else None


def _permission_of(plan: Row) -> Permission:
    """Give the permission that the action of a plan takes."""
    name = plan["action"].partition(":")[0]
    if name == SUBMIT:
        return Permission.JOBS_SUBMIT
    if name not in ACTIONS:
        raise PlanRefused(f"plan {plan['plan_id']}: there is no action {name} any more")
    return ACTIONS[name].permission


def _admit_person(desk: Desk, actor: Actor, name: str, plan_id: str, needs: Permission) -> None:
    """Let people decide alone, and only on what they might do themselves."""
    if actor.via not in (Via.TERMINAL, Via.PAGE) or not actor.may(needs):
        desk.note(actor, name, {"plan": plan_id}, {"refused": str(needs)})
        raise Forbidden(name, str(needs))


def _decide(desk: Desk, actor: Actor, plan: Row, state: str) -> None:
    verb = "plans.approve" if state == "approved" else "plans.refuse"
    about = {"plan": plan["plan_id"], "action": plan["action"], "asked_by": plan["actor"]}
    with desk.change(actor, verb, about) as change:
        done = rows.decide(change.transaction, plan["plan_id"], state, actor.name)
        change.outcome[state] = done
    if not done:
        raise PlanRefused(f"plan {plan['plan_id']}: it is {plan['state']} or over, and cannot be {state} any more")


def find(desk: Desk, plan_id: str) -> Row | None:
    """Read a plan, None when there is none."""
    with desk.look() as session:
        return rows.show(session, plan_id)


def _plan(desk: Desk, plan_id: str) -> Row:
    plan = find(desk, plan_id)
    if plan is None:
        raise PlanRefused(f"plan {plan_id}: there is none; see: jobplatform mcp plans")
    return plan
