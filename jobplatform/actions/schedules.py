"""What can be done with schedules: see when they fire, say when they do, hold them, and let them fire now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.payloads import shown
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden, ScheduleNotFound
from jobplatform.jobs.published import hiding_of
from jobplatform.jobs.secrets import sealer_of, with_secrets
from jobplatform.recurrence import Cron, parse
from jobplatform.scheduling.fires import TypeFacts, job_of, rule_of
from jobplatform.scheduling.lint import lint
from jobplatform.scheduling.misfire import plan
from jobplatform.scheduling.overlap import Fire
from jobplatform.scheduling.preview import Run
from jobplatform.scheduling.preview import preview as upcoming
from jobplatform.store import new_jobs
from jobplatform.store import schedules as rows
from jobplatform.store.database import Transaction
from jobplatform.store.pauses import Hold
from jobplatform.store.shapes.schedule import Coming, MakingUp, Remark, RunNow, Schedule, ScheduleListed
from jobplatform.store.shapes.schedule import Fire as FireShape

Row = Mapping[str, Any]

#: Fires that are shown with a schedule.
_FIRES = 5
#: Schedules that are checked together.
_MOST = 100_000


class Page(NamedTuple):
    """A page of schedules, and the name after which the next one begins; None when there is none."""

    rows: Sequence[Annotated[Row, ScheduleListed]]
    next: str | None


class Shown(NamedTuple):
    """A schedule, when it fires next, and what became of its last fires."""

    schedule: Annotated[Row, Schedule]
    next_runs: Sequence[Annotated[Row, Coming]]
    last_fires: Sequence[Annotated[Row, FireShape]]


class Checked(NamedTuple):
    """How many schedules there are, and what is likely wrong with them."""

    schedules: int
    remarks: Sequence[Annotated[Row, Remark]]


@action("schedules.list", Permission.SCHEDULES_READ)
def list_schedules(desk: Desk, actor: Actor, limit: int, after: str = "") -> Page:
    """List schedules by name.

    :param after: the last name of the page before.
    """
    with desk.look() as session:
        found = rows.listed(session, None, limit + 1, after, queues_of(actor))
    page = [{**_shown(desk, actor, row), "why": row["problem"] or row["hold_reason"]} for row in found[:limit]]
    return Page(page, page[-1]["name"] if len(found) > limit else None)


@action("schedules.show", Permission.SCHEDULES_READ)
def show_schedule(desk: Desk, actor: Actor, name: str, count: int = 5) -> Shown:
    """Show a schedule, when it fires next, and what became of its last fires.

    :param count: of the next runs.
    """
    with desk.look() as session:
        (row,) = find(session, actor, [name])
        fires = rows.fires(session, row["schedule_id"], _FIRES)
    runs = [] if row["problem"] else _runs(desk, row["cron_expression"], row["timezone"], count)
    return Shown(_shown(desk, actor, row), runs, fires)


@action("schedules.preview", Permission.SCHEDULES_READ)
def preview(
    desk: Desk, actor: Actor, name_or_cron: str, timezone: str, count: int
) -> list[Annotated[dict[str, Any], Coming]]:
    """Tell the next runs of a schedule, or of a cron line that is none yet; days of clock changes are marked.

    :param timezone: of a cron line; a schedule has its own.
    """
    if " " in name_or_cron or name_or_cron.startswith("@"):
        return _runs(desk, name_or_cron, timezone, count)
    with desk.look() as session:
        (row,) = find(session, actor, [name_or_cron])
    return _runs(desk, row["cron_expression"], row["timezone"], count)


@action("schedules.check", Permission.SCHEDULES_READ)
def check(desk: Desk, actor: Actor) -> Checked:
    """Look for what is likely wrong: never fires, overlaps, collisions, clock changes, silence."""
    with desk.look() as session:
        found = rows.listed(session, None, _MOST, queues=queues_of(actor))
        remarks = lint(found, rows.durations(session), desk.now())
    told = [
        {"schedule": each.schedule, "trap": str(each.trap), "found": each.found, "fix": each.fix} for each in remarks
    ]
    return Checked(len(found), told)


@action("schedules.pause", Permission.SCHEDULES_WRITE, writes=True)
def pause(desk: Desk, actor: Actor, names: Sequence[str], hold: Hold) -> None:
    """Let schedules fire no more."""
    about = {"schedules": list(names), "until": hold.until}
    with desk.change(actor, "schedules.pause", about, hold.reason) as change:
        find(change.transaction, actor, names)
        rows.hold(change.transaction, names, hold)


@action("schedules.resume", Permission.SCHEDULES_WRITE, writes=True)
def resume(
    desk: Desk, actor: Actor, names: Sequence[str], dry_run: bool = False
) -> list[Annotated[dict[str, Any], MakingUp]]:
    """Let schedules fire again, and tell what each makes up for.

    :param dry_run: change nothing.
    """
    if dry_run:
        with desk.look() as session:
            return [_planned(row, desk.now()) for row in find(session, actor, names)]
    with desk.change(actor, "schedules.resume", {"schedules": list(names)}) as change:
        plans = [_planned(row, desk.now()) for row in find(change.transaction, actor, names)]
        change.outcome["resumed"] = rows.resume(change.transaction, names)
    return plans


@action("schedules.run", Permission.SCHEDULES_WRITE, writes=True)
def run(desk: Desk, actor: Actor, names: Sequence[str]) -> list[Annotated[dict[str, str], RunNow]]:
    """Run schedules now, whatever their time, their pauses and their jobs before; gives the ids of the jobs."""
    now = desk.now()
    with desk.change(actor, "schedules.run", {"schedules": list(names)}) as change:
        made = [job_now(desk, row, Fire(now), now) for row in find(change.transaction, actor, names)]
        new_jobs.insert_values(change.transaction, made)
        change.outcome["job_ids"] = [job["job_id"] for job in made]
    return [{"name": name, "job_id": job["job_id"]} for name, job in zip(names, made, strict=True)]


@action("schedules.remove", Permission.SCHEDULES_WRITE, writes=True)
def remove(desk: Desk, actor: Actor, names: Sequence[str]) -> None:
    """Remove schedules; their jobs stay."""
    with desk.change(actor, "schedules.remove", {"schedules": list(names)}) as change:
        find(change.transaction, actor, names)
        rows.remove(change.transaction, names)


def find(transaction: Transaction, actor: Actor, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read schedules by name.

    :raises ScheduleNotFound: naming the first that is not there, or out of the actor's scope.
    """
    found = {row["name"]: row for row in rows.listed(transaction, names, len(names), queues=queues_of(actor))}
    for name in names:
        if name not in found:
            raise ScheduleNotFound(f"schedule {name}: there is none; see: jobplatform schedules list")
    return [found[name] for name in names]


def queues_of(actor: Actor) -> frozenset[str] | None:
    """Name the queues whose schedules somebody sees: none for those of some tenants, as its jobs belong to nobody."""
    return actor.scope.queues if actor.scope.tenants is None else frozenset()


def admit_queue(actor: Actor, asked: str, queue: str) -> None:
    """Keep to the actor's scope when a schedule is to put jobs into a queue.

    :raises Forbidden: naming the queue.
    """
    if not actor.scope.holds(queue, None):
        raise Forbidden(asked, f"of queue {queue}")


def job_now(desk: Desk, row: Row, fire: Fire, now: datetime) -> dict[str, Any]:
    """Give the job of a fire that waits for no time, only for the job before it, if there is one.

    :raises SealError: when its type is encrypted, and this process has no key.
    """
    hiding = hiding_of(row)
    seal = sealer_of(desk.settings.encryption_keys, row["job_type"], hiding)
    job = job_of(row, fire, now, TypeFacts(message=with_secrets(None, hiding), seal=seal), timedelta())
    status = "PENDING" if fire.after is None else "BLOCKED"
    return {**job, "status": status, "due_at": now.timestamp(), "scheduled_at": None}


def _shown(desk: Desk, actor: Actor, row: Row) -> dict[str, Any]:
    """Give a schedule as somebody may see it."""
    said = {name: value for name, value in row.items() if name != "options"}
    return shown(desk, actor, {**said, "secret": hiding_of(row).paths})


def _runs(desk: Desk, cron: str, timezone: str, count: int) -> list[dict[str, Any]]:
    recurrence = parse(cron, timezone)
    zone = recurrence.zone if isinstance(recurrence, Cron) else UTC
    return [_run(each) for each in upcoming(recurrence, zone, desk.now(), count)]


def _run(run: Run) -> dict[str, Any]:
    return {"local": run.local.strftime("%a %Y-%m-%d %H:%M:%S%z"), "utc": run.at, "note": run.note}


def _planned(row: Row, now: datetime) -> dict[str, Any]:
    due = row["next_run"]
    if due is None or due > now:
        return {"name": row["name"], "missed_since": None, "makes_up_for": 0, "next_run": due}
    planned = plan(parse(row["cron_expression"], row["timezone"]), due, now, rule_of(row))
    return {
        "name": row["name"], "missed_since": due, "makes_up_for": len(planned.fires), "next_run": planned.next_run,
    }  # fmt: skip
