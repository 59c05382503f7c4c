"""What schedules say: adding one, changing one, and making up for times that are long past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.differences import meant
from jobplatform.actions.permission import Permission
from jobplatform.actions.schedules import admit_queue, find, job_now
from jobplatform.errors import JobOptionError, TransitionRefused
from jobplatform.jobs.payload import decode_payload, encode_payload
from jobplatform.jobs.published import hiding_of
from jobplatform.jobs.schedule import Schedule
from jobplatform.masking import mask
from jobplatform.recurrence import between, parse
from jobplatform.scheduling.declared import DEFAULTS
from jobplatform.scheduling.fires import id_of
from jobplatform.scheduling.overlap import Fire
from jobplatform.store import listing, new_jobs
from jobplatform.store import schedules as rows
from jobplatform.store.database import Transaction

#: What a schedule says beside its name, its job type and its times.
SAYS = (*DEFAULTS, "queue", "payload_template")
#: The most times that are made up for at once.
MOST = 10_000
_NEW = {**DEFAULTS, "queue": "celery", "payload_template": {"args": [], "kwargs": {}}}
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Backfill:
    """The times of a schedule in a span, and which of them were made up for.

    :param known: those that have a job already.
    :param made: the jobs that were made, or with a dry run would be.
    """

    times: int
    known: int
    made: int
    first: datetime | None
    last: datetime | None


class _Gaps(NamedTuple):
    """A schedule, the number of its times in a span, and those that have no job."""

    row: Mapping[str, Any]
    times: int
    missing: Sequence[datetime]


@action("schedules.add", Permission.SCHEDULES_WRITE, writes=True)
def add(desk: Desk, actor: Actor, name: str, job_type: str, cron: str, says: Mapping[str, Any]) -> None:
    """Add a schedule.

    :param cron: five fields, ``@daily`` and the like, or ``@every 90s``.
    :param says: by the names of ``SAYS``, times in seconds; the rest is as it is by default.
    :raises ScheduleError: or ``JobOptionError``, naming what cannot be understood.
    :raises TransitionRefused: when the name is taken.
    """
    for field, text in (("name", name), ("job_type", job_type)):
        if not 1 <= len(text) <= _LONGEST:
            raise JobOptionError(f"{field}: it has {len(text)} characters; give 1 to {_LONGEST}")
    row = _row(_NEW, cron, says, desk.settings.payload_limit)
    admit_queue(actor, "schedules.add", row["queue"])
    about = {"schedule": name, "job_type": job_type, "cron": cron, **_told(says)}
    with desk.change(actor, "schedules.add", about) as change:
        if rows.listed(change.transaction, [name], 1):
            raise TransitionRefused(f"schedule {name} is there already; use: jobplatform schedules change")
        rows.put(change.transaction, [{**row, "name": name, "job_type": job_type}])


@action("schedules.change", Permission.SCHEDULES_WRITE, writes=True)
def change_schedule(desk: Desk, actor: Actor, name: str, cron: str | None, says: Mapping[str, Any]) -> None:
    """Change a schedule; what is not given stays, and a mask that stands where it was seen keeps what is stored.

    :raises TransitionRefused: when code declares it.
    :raises InvalidPayload: for a mask out of place.
    """
    about = {"schedule": name, **({} if cron is None else {"cron": cron}), **_told(says)}
    with desk.change(actor, "schedules.change", about) as change:
        (before,) = find(change.transaction, actor, [name])
        if before["origin"] == "code":
            raise TransitionRefused(f"schedule {name} is declared by code; change it there")
        if "payload_template" in says:
            template = before["payload_template"]
            saw = mask(template, hiding_of(before).paths)
            says = {**says, "payload_template": meant(says["payload_template"], template, saw, ("payload_template",))}
        row = _row(before, cron or before["cron_expression"], says, desk.settings.payload_limit)
        admit_queue(actor, "schedules.change", row["queue"])
        rows.put(change.transaction, [row])


@action("schedules.backfill", Permission.SCHEDULES_WRITE, writes=True)
def backfill(
    desk: Desk,
    actor: Actor,
    name: str,
    since: datetime,
    until: datetime,
    in_turn: bool = False,
    dry_run: bool = False,
) -> Backfill:
    """Make the jobs of the times of a schedule from ``since`` to ``until`` that have none, both included.

    :param in_turn: each waits for the end of the one before; else they run as there is room.
    :param dry_run: make none, and count them.
    :raises JobOptionError: when the span is none, is not past, or holds more than ``MOST`` times.
    """
    now = desk.now()
    if not since <= until <= now:
        raise JobOptionError(f"until: {until.isoformat()} is not between since and now; the schedule does what comes")
    if dry_run:
        with desk.look() as session:
            return _counted(_gaps(session, actor, name, since, until))
    about = {"schedule": name, "since": since, "until": until, "in_turn": in_turn}
    with desk.change(actor, "schedules.backfill", about) as change:
        gaps = _gaps(change.transaction, actor, name, since, until)
        made = [job_now(desk, gaps.row, fire, now) for fire in _fires(gaps, in_turn)]
        new_jobs.insert_values(change.transaction, made)
        change.outcome["made"] = len(made)
    return _counted(gaps)


def _gaps(session: Transaction, actor: Actor, name: str, since: datetime, until: datetime) -> _Gaps:
    (row,) = find(session, actor, [name])
    times = between(parse(row["cron_expression"], row["timezone"]), since, until, MOST + 1)
    if len(times) > MOST:
        raise JobOptionError(f"until: the schedule has more than {MOST} times until then; give a shorter span")
    ids = {id_of(row, at): at for at in times}
    known = listing.within(session, list(ids), None, None)
    return _Gaps(row, len(times), [at for job_id, at in ids.items() if job_id not in known])


def _fires(gaps: _Gaps, in_turn: bool) -> list[Fire]:
    if not in_turn:
        return list(map(Fire, gaps.missing))
    ids = [id_of(gaps.row, at) for at in gaps.missing]
    return [Fire(at, before) for at, before in zip(gaps.missing, [None, *ids], strict=False)]


def _counted(gaps: _Gaps) -> Backfill:
    ends = (gaps.missing[0], gaps.missing[-1]) if gaps.missing else (None, None)
    return Backfill(gaps.times, gaps.times - len(gaps.missing), len(gaps.missing), *ends)


def _row(before: Mapping[str, Any], cron: str, says: Mapping[str, Any], payload_limit: int) -> dict[str, Any]:
    """Give the row of a schedule with some values changed; what cannot be understood is refused.

    :raises ScheduleError: or ``JobOptionError``, naming the value.
    """
    for name in says:
        if name not in SAYS:
            raise JobOptionError(f"{name}: a schedule does not say this; give one of {', '.join(SAYS)}")
    row = {**before, **says, "cron_expression": cron}
    Schedule(cron, **{name: row[name] for name in Schedule.__dataclass_fields__.keys() & DEFAULTS.keys()})
    if row["priority"] not in range(1, 6):
        raise JobOptionError(f"priority: {row['priority']!r} is out of range; give 1 to 5")
    if row["payload_template"] is not None:
        encode_payload(*decode_payload(row["payload_template"]), payload_limit)
    return {name: value for name, value in row.items() if not isinstance(value, datetime)}


def _told(says: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is written down: not what jobs are given, only that it is another."""
    told = {name: value for name, value in says.items() if name != "payload_template"}
    return {**told, "payload": "given"} if "payload_template" in says else told
