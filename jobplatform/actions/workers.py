"""What can be done with workers: see them, and ask them to take no more, to leave, or to be replaced."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Change, Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import TransitionRefused, WorkerNotFound
from jobplatform.store import duties, listing, replacements, samples, verdicts
from jobplatform.store import hungry as hungry_rows
from jobplatform.store import workers as rows
from jobplatform.store.database import Transaction
from jobplatform.store.shapes.worker import HungryType, Verdict, Worker, WorkerJudged, WorkerSample
from jobplatform.workers.hunger import hungry_types
from jobplatform.workers.sample import sample_of_row
from jobplatform.workers.strain import memory_trend

Row = Mapping[str, Any]

#: What the trend of a worker's memory is taken of.
_SPAN, _ROWS = timedelta(hours=2), 240
#: So many former verdicts are shown.
_SHOWN = 10


class Asked(NamedTuple):
    """The workers that were named and live, and which of them were asked."""

    workers: Sequence[Annotated[Row, Worker]]
    asked: Sequence[str]


class Health(NamedTuple):
    """How workers are; of one that was named, also what was thought of it before, and its last samples."""

    workers: Sequence[Annotated[Row, WorkerJudged]]
    verdicts: Sequence[Annotated[Row, Verdict]] = ()
    samples: Sequence[Annotated[Row, WorkerSample]] = ()


@action("workers.list", Permission.WORKERS_READ)
def list_workers(desk: Desk, actor: Actor, gone: bool, limit: int) -> Sequence[Annotated[Row, Worker]]:
    """List workers, the last seen first.

    :param gone: those that have ended as well.
    """
    with desk.look() as session:
        return _running_within(session, actor, rows.list_workers(session, gone, limit))


@action("workers.show", Permission.WORKERS_READ)
def show_worker(desk: Desk, actor: Actor, name: str) -> Annotated[Row, Worker]:
    """Show the worker that was last seen under a name, with its last report."""
    with desk.look() as session:
        found = _running_within(session, actor, rows.named(session, [name]))
    if not found:
        raise missing(name)
    return found[0]


@action("workers.health", Permission.WORKERS_READ)
def health(desk: Desk, actor: Actor, name: str | None, limit: int) -> Health:
    """Show how workers are and why, and by how many bytes a second their memory grows.

    :param name: of the only one to show.
    :raises WorkerNotFound: when it does not live.
    """
    with desk.look() as session:
        found = verdicts.judged(session, name, limit)
        if name is not None and not found:
            raise WorkerNotFound(f"worker {name}: no such worker lives; see: jobplatform workers list --all")
        ids = [row["worker_id"] for row in found]
        sampled = samples.last_of_workers(session, ids, desk.now() - _SPAN, _ROWS)
        shown = [{**row, **_trend_of(sampled.get(row["worker_id"], []))} for row in found]
        if name is None:
            return Health(shown)
        return Health(shown, verdicts.last(session, ids[:1], _SHOWN), sampled.get(ids[0], []))


@action("workers.hungry", Permission.WORKERS_READ)
def hungry(desk: Desk, actor: Actor, limit: int) -> list[Annotated[dict[str, Any], HungryType]]:
    """List job types that take much memory, as the newest attempts tell, and the queue that each should have.

    :param limit: attempts to look at.
    """
    with desk.look() as session:
        found = hungry_types(samples.peaks(session, limit))
        since = {row["job_type"]: row["since"] for row in hungry_rows.known(session)}
    return [{**asdict(each), "since": since.get(each.job_type), "words": each.words()} for each in found]


@action("workers.cordon", Permission.WORKERS_STEER, writes=True)
def cordon(desk: Desk, actor: Actor, names: Sequence[str], reason: str | None) -> Asked:
    """Let workers take no more jobs: what they hold and have not begun goes back, what runs ends."""
    return _ask(desk, actor, "workers.cordon", names, "cordon", reason)


@action("workers.uncordon", Permission.WORKERS_STEER, writes=True)
def uncordon(desk: Desk, actor: Actor, names: Sequence[str], reason: str | None) -> Asked:
    """Let cordoned workers take jobs again."""
    return _ask(desk, actor, "workers.uncordon", names, "work", reason)


@action("workers.drain", Permission.WORKERS_STEER, writes=True)
def drain(desk: Desk, actor: Actor, names: Sequence[str], reason: str | None, grace: float | None = None) -> Asked:
    """Let workers end, as SIGTERM does: what runs may end within the grace, the rest begins again elsewhere.

    :param grace: seconds; the setting says if not given.
    """
    return _ask(desk, actor, "workers.drain", names, "drain", reason, grace)


@action("workers.replace", Permission.WORKERS_STEER, writes=True)
def replace(desk: Desk, actor: Actor, names: Sequence[str], reason: str | None) -> Asked:
    """Let others take the place of workers: each works until its successor does, then it is drained.

    :raises WorkerNotFound: when one of the names is of none that lives; then nobody is asked.
    :raises TransitionRefused: when there is no fleet that would start a successor.
    """
    pool, why = desk.settings.fleet_pool, reason or "asked by hand"
    if desk.settings.fleet == "off":
        raise TransitionRefused("JOBPLATFORM_FLEET is off, so nobody would start a successor; use: workers drain")
    with desk.change(actor, "workers.replace", {"workers": list(names)}, reason) as change:
        living = _living(change, names)
        if desk.settings.fleet == "local" and not all(name.startswith(pool) for name in names):
            raise TransitionRefused(
                f"only workers of the fleet, whose names begin with {pool}, can be replaced; use: workers drain"
            )
        asked = replacements.ask(change.transaction, pool, [row["worker_id"] for row in living], why, actor.name)
        change.outcome["asked"] = sorted(asked)
    return Asked(living, asked)


def _running_within(session: Transaction, actor: Actor, found: Sequence[Row]) -> Sequence[Row]:
    """Leave out of what workers run the jobs that are out of the actor's scope."""
    if actor.scope.everywhere:
        return found
    ids = {job["job_id"] for row in found for job in _running(row)}
    known = listing.within(session, sorted(ids), actor.scope.queues, actor.scope.tenants)
    return [{**row, "report": _report(row, known)} for row in found]


def _running(row: Row) -> Sequence[Row]:
    running: Sequence[Row] = (row["report"] or {}).get("running", ())
    return running


def _report(row: Row, known: Collection[str]) -> dict[str, Any]:
    return {**(row["report"] or {}), "running": [job for job in _running(row) if job["job_id"] in known]}


def _trend_of(sampled: Sequence[Row]) -> dict[str, Any]:
    """Give the memory of a worker, and by how many bytes a second it grows; None unless it surely does."""
    if not sampled:
        return {"tree_rss": None, "memory_left": None, "grows": None}
    grows = memory_trend([sample_of_row(row) for row in sampled])
    last = sampled[-1]
    slope = None if grows is None else grows.slope
    return {"tree_rss": last["tree_rss"], "memory_left": last["memory_left"], "grows": slope}


def _ask(
    desk: Desk,
    actor: Actor,
    name: str,
    names: Sequence[str],
    duty: str,
    reason: str | None,
    grace: float | None = None,
) -> Asked:
    with desk.change(actor, name, {"workers": list(names), "grace": grace}, reason) as change:
        asked = duties.ask(change.transaction, names, duty, reason, actor.name, grace)
        found = [row for row in rows.named(change.transaction, names) if row["status"] != "gone"]
        change.outcome["asked"] = sorted(asked)
    return Asked(found, sorted(asked))


def _living(change: Change, names: Sequence[str]) -> list[Row]:
    living = {row["name"]: row for row in rows.named(change.transaction, names) if row["status"] == "alive"}
    for name in names:
        if name not in living:
            raise missing(name)
    return list(living.values())


def missing(name: str) -> WorkerNotFound:
    """Say that there is no such worker."""
    return WorkerNotFound(f"worker {name}: no such worker is known; see: jobplatform workers list --all")
