"""Schedules that are due, and the jobs that they become: in one transaction, whoever ticks first."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from jobplatform.errors import ScheduleError, SealError
from jobplatform.jobs.schedule import Overlap
from jobplatform.metrics.tracing import TRACING
from jobplatform.recurrence import parse
from jobplatform.scheduling.fires import TypeFacts, id_of, job_of, rule_of
from jobplatform.scheduling.misfire import Plan, plan
from jobplatform.scheduling.overlap import Decision, Unfinished, decide
from jobplatform.states import State
from jobplatform.store import jobs, new_jobs, schedules
from jobplatform.store.database import Database, Transaction

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]


class Ticker:
    """Turn the times of schedules into jobs.

    Any number may run: rows are claimed with SKIP LOCKED, and a fire has one job by a unique index. What a ticker
    that dies had not committed is claimed by the next.

    :param facts_of: tells what the code says of a job type.
    :param stop_time: what a running job has to stop before the one that cancels it begins.
    :param batch: schedules that one round plans.
    """

    name = "schedules"
    interval = 1.0

    def __init__(
        self, database: Database, facts_of: Callable[[str], TypeFacts], stop_time: timedelta, batch: int = 500
    ) -> None:
        self.database = database
        self.facts_of = facts_of
        self.stop_time = stop_time
        self.batch = batch

    def run_once(self, now: datetime) -> Counter[str]:
        """Fire what is due, and find out when new schedules fire first."""
        with self.database.transaction() as transaction:
            resumed = schedules.resume_due(transaction, now)
            counts = self._fire(transaction, schedules.claim_due(transaction, now, self.batch), now)
            counts += self._begin(transaction, schedules.claim_unplanned(transaction, self.batch), now)
        for name in resumed:
            logger.info("schedule %s fires again, as the time has come until which it was paused", name)
        return counts + Counter(resumed=len(resumed))

    def pause(self, now: datetime) -> float:
        """Tell for how many seconds nothing is due; rows that are new or changed are not waited for longer."""
        with self.database.session() as session:
            due = schedules.next_run(session)
        left = self.interval if due is None else (due - now).total_seconds()
        return min(self.interval, max(0.0, left))

    def _fire(self, transaction: Transaction, rows: Sequence[Row], now: datetime) -> Counter[str]:
        before = self._unfinished(transaction, rows)
        made: list[dict[str, Any]] = []
        written = []
        for row in rows:
            planned = plan_of(row, row["next_run"], now)
            if isinstance(planned, str):
                written.append(_problem(row, planned))
                continue
            known = before.get(row["schedule_id"], Unfinished())
            decision = decide(Overlap(row["overlap"]), planned.fires, known, partial(id_of, row))
            try:
                made += self._jobs(transaction, row, decision, now)
            except SealError as error:
                written.append(_problem(row, str(error)))
                continue
            written.append(_planned(row, planned, [fire.at for fire in decision.fires]))
        fired = new_jobs.insert_values(transaction, made) if made else 0
        schedules.put_plans(transaction, written)
        skipped = sum(each["skipped"] for each in written)
        return +Counter(fired=fired, skipped=skipped, problems=sum(each["problem"] is not None for each in written))

    def _unfinished(self, transaction: Transaction, rows: Sequence[Row]) -> dict[int, Unfinished]:
        asked = [row["schedule_id"] for row in rows if row["overlap"] != Overlap.ALLOW_ALL]
        found = schedules.unfinished(transaction, asked) if asked else {}
        return {key: Unfinished(tuple(row["job_ids"]), tuple(row["buffered"])) for key, row in found.items()}

    def _jobs(self, transaction: Transaction, row: Row, decision: Decision, now: datetime) -> list[dict[str, Any]]:
        wait = timedelta()
        if decision.cancel:
            before = jobs.cancel(transaction, decision.cancel, f"schedule {row['name']} fires again")
            if row["overlap"] == Overlap.CANCEL_OTHER and State.PROCESSING in before.values():
                wait = self.stop_time
        facts = self.facts_of(row["job_type"])
        return [_traced(job_of(row, fire, now, facts, wait)) for fire in decision.fires]

    def _begin(self, transaction: Transaction, rows: Sequence[Row], now: datetime) -> Counter[str]:
        written = []
        for row in rows:
            try:
                first = next(parse(row["cron_expression"], row["timezone"]).after(now), None)
            except ScheduleError as error:
                written.append(_problem(row, str(error)))
            else:
                written.append(_planned(row, Plan((), first), ()))
        schedules.put_plans(transaction, written)
        return +Counter(planned=len(written))


def _traced(job: dict[str, Any]) -> dict[str, Any]:
    """Let what a schedule makes begin a trace."""
    if not TRACING.on:
        return job
    with TRACING.sending(job["queue"], job["job_type"], job["job_id"]) as context:
        return {**job, "message": {**(job["message"] or {}), "headers": context}}


def plan_of(row: Row, due: datetime, now: datetime) -> Plan | str:
    """Plan a schedule that is due; a text says why it cannot be."""
    try:
        return plan(parse(row["cron_expression"], row["timezone"]), due, now, rule_of(row))
    except ScheduleError as error:
        return str(error)


def _planned(row: Row, planned: Plan, fires: Sequence[datetime]) -> dict[str, Any]:
    if planned.next_run is None:
        return _problem(row, "it never fires again")
    return {
        "schedule_id": row["schedule_id"],
        "next_run": planned.next_run.timestamp(),
        "last_run": fires[-1].timestamp() if fires else None,
        "skipped": len(planned.fires) - len(fires),
        "problem": None,
    }


def _problem(row: Row, problem: str) -> dict[str, Any]:
    logger.error("schedule %s is disabled: %s", row["name"], problem)
    return {
        "schedule_id": row["schedule_id"], "next_run": None, "last_run": None, "skipped": 0, "problem": problem,
    }  # fmt: skip
