"""Jobs that wait for each other, submitted together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from celery import current_app
from celery.canvas import Signature

from jobplatform.errors import CyclicWorkflow, JobOptionError
from jobplatform.jobs import submission
from jobplatform.jobs.after import edges_of
from jobplatform.jobs.argument import AWAITED
from jobplatform.jobs.canvas import convert
from jobplatform.jobs.graph import find_cycle, levels
from jobplatform.jobs.platform import platform_of
from jobplatform.jobs.task import job_of
from jobplatform.jobs.wishes import Wishes, carrying
from jobplatform.metrics.tracing import TRACING
from jobplatform.records import Edge, Inputs, NewJob, new_job_id

if TYPE_CHECKING:
    from jobplatform.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Node:
    """A job of a workflow that is not submitted yet.

    :param id: the id that the job will have.
    """

    id: str
    name: str


class Workflow:
    """Build a graph of jobs, and submit it in one transaction.

    :param app: the attached Celery application; the current one if not given.
    """

    def __init__(self, app: Any = None) -> None:
        self.app = app or current_app._get_current_object()
        self.platform = platform_of(self.app)
        self.id = new_job_id(self.platform.clock())
        self._signatures: dict[str, Signature] = {}
        self._names: dict[str, str] = {}
        self._edges: dict[str, dict[str, Edge]] = {}
        self._inputs: dict[str, Inputs] = {}

    def add(self, signature: Any, after: Any = None, name: str | None = None) -> Node:
        """Add a job.

        :param signature: a task's signature, such as ``load.s(day="monday").set(priority=5)``.
        :param after: what it waits for: nodes, results, job ids, or ``after(...)`` of one with a policy.
        :param name: of the node, in errors and displays; the job type and a number if not given.
        :raises JobOptionError: when it is no signature of a single task, or its name is taken.
        :raises InvalidPayload: when its arguments do not fit the job type.
        """
        return self._add(signature, after, name, ())

    def _add(self, signature: Any, after: Any, name: str | None, first: tuple[Any, ...]) -> Node:
        """Add a job; ``first`` are arguments that come before those of the signature, and are not known yet."""
        if not isinstance(signature, Signature) or signature.get("subtask_type"):
            raise JobOptionError(f"workflow: {signature!r} is no signature of a task; give task.s(...)")
        if (job := job_of(signature)) is not None:
            job.signature.check((*first, *signature.args), signature.kwargs)
        node = Node(new_job_id(self.platform.clock()), name or f"{signature.task}#{len(self._names) + 1}")
        if node.name in self._names.values():
            raise JobOptionError(f"workflow: name: {node.name!r} is taken; give another")
        self._signatures[node.id], self._names[node.id] = signature, node.name
        self._edges[node.id] = {edge.job_id: edge for edge in edges_of(after)}
        return node

    @classmethod
    def from_canvas(cls, canvas: Any, app: Any = None) -> Workflow:
        """Make a workflow of a chain, a group or a chord; results are passed on as Celery does.

        :raises JobOptionError: for a part that has no counterpart.
        """
        made = cls(app)

        def add(signature: Signature, before: Sequence[Any], each: bool, takes: bool) -> Node:
            if not takes:
                return made.add(signature, after=list(before) or None)
            node = made._add(signature, list(before), None, (AWAITED,))
            # The place of the results is kept by a null.
            made._signatures[node.id] = signature.clone(args=(None,))
            made._inputs[node.id] = Inputs(tuple(other.id for other in before), each)
            return node

        convert(canvas, add)
        return made

    def link(self, node: Node, after: Any) -> None:
        """Let a node wait for more."""
        self._edges[node.id] |= {edge.job_id: edge for edge in edges_of(after)}

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes by name."""
        return {name: Node(job_id, name) for job_id, name in self._names.items()}

    def __len__(self) -> int:
        return len(self._signatures)

    def levels(self) -> dict[str, int]:
        """Tell by name in which wave each node can run at the earliest.

        :raises CyclicWorkflow: naming the nodes of a cycle.
        """
        self._check()
        return {self._names[job_id]: level for job_id, level in levels(self._edges).items()}

    def submit(self, session: Any = None) -> dict[str, Any]:
        """Submit all jobs, or none; returns their results by the names of the nodes.

        :param session: an SQLAlchemy Session or Connection, in whose transaction the rows are written.
        :raises CyclicWorkflow: naming the nodes of a cycle; nothing is written.
        :raises JobNotFound: when a node waits for a job that nobody knows; nothing is written.
        :raises StoreUnavailable: when neither store took them.
        """
        self._check()
        if not self._signatures:
            return {}
        with TRACING.grouping("submit workflow", len(self)):
            submission.submit_together(self.platform, self._jobs(), self._transaction(session))
        return {name: self.app.AsyncResult(job_id) for job_id, name in self._names.items()}

    def graft(self, before: str) -> dict[str, Any]:
        """Submit all jobs from a running job: what waits for that waits for them as well.

        :param before: the id of the running job.
        """
        self._check()
        jobs = [replace(job, before=before) for job in self._jobs()]
        submission.submit_together(self.platform, jobs)
        return {name: self.app.AsyncResult(job_id) for job_id, name in self._names.items()}

    def _transaction(self, session: Any) -> Transaction | None:
        return None if session is None else self.platform.transaction_on(session)

    def _check(self) -> None:
        cycle = find_cycle(self._edges)
        if cycle:
            path = " -> ".join(self._names[job_id] for job_id in cycle)
            raise CyclicWorkflow(f"workflow: its nodes wait for each other: {path}; remove one of these edges")

    def _jobs(self) -> list[NewJob]:
        """Give the rows of all nodes, those that wait for nothing first."""
        order = sorted(self._signatures, key=levels(self._edges).__getitem__)
        with submission.collecting() as jobs:
            for job_id in order:
                signature, edges = self._signatures[job_id], tuple(self._edges[job_id].values())
                if job_of(signature) is not None:
                    signature.apply_async(task_id=job_id, after=edges)
                else:
                    with carrying(Wishes(after=edges)):
                        signature.apply_async(task_id=job_id)
        return [self._completed(job) for job in jobs]

    def _completed(self, job: NewJob) -> NewJob:
        """Note what a job takes, and let nobody look at one whose edges all start from jobs written with it."""
        job = replace(job, root_id=job.root_id or self.id)
        if job.job_id in self._inputs:
            job = replace(job, message={**(job.message or {}), "inputs": self._inputs[job.job_id].as_value()})
        if job.after and all(edge.job_id in self._signatures for edge in job.after):
            return replace(job, due_at=job.begins_by)
        return job
