"""Job types that their code offers to agents as tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jobplatform.actions import submission
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.actions.plans import SUBMIT, Blast
from jobplatform.actions.submission import Submission
from jobplatform.jobs.options import JobOptions
from jobplatform.mcp.offered import Tool

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]+")
_LONGEST = 64


def tools_of_types(app: Any) -> list[Tool]:
    """Give a tool for each job type that says ``tool=True`` or ``tool="free"``, by name."""
    tasks = (task for _, task in sorted(app.tasks.items()) if getattr(task, "job", None) and task.job.tool)
    return [_tool(task) for task in tasks]


def _tool(task: Any) -> Tool:
    declared: JobOptions = task.job

    def parse(actor: Actor, arguments: Mapping[str, Any]) -> dict[str, Any]:
        declared.signature.check((), arguments)
        return dict(arguments)

    def call(desk: Desk, actor: Actor, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"job_id": submission.submit(desk, actor, Submission(declared.name, dict(values)))}

    def measure(desk: Desk, actor: Actor, values: Mapping[str, Any]) -> Blast:
        return Blast(1, (), f"Submit a job of the type {declared.name}.")

    name = _UNFIT.sub("_", f"run_{declared.name}")[-_LONGEST:]
    words = f"Submit a job of the type {declared.name}. {_first_line(task)}".strip()
    writes, schema = declared.tool != "free", declared.signature.json_schema()
    action = f"{SUBMIT}:{declared.name}"
    return Tool(name, action, words, Permission.JOBS_SUBMIT, writes, schema, parse, call, measure)


def _first_line(task: Any) -> str:
    return (task.run.__doc__ or "").strip().partition("\n")[0]
