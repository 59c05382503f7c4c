"""The workers that were heard, with what they are asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobplatform.store import fleets
from jobplatform.store.database import Database
from jobplatform.transport import census
from jobplatform.transport.census import Heartbeat
from jobplatform.transport.duty import Duty
from jobplatform.workers.fleet import Member, Stage


class Roll:
    """Call the roll of all workers, from their heartbeats and their rows.

    :param client: a Redis client.
    :param stale_seconds: a worker that is silent for so long does not count.
    """

    def __init__(self, database: Database, client: Any, stale_seconds: float) -> None:
        self.database = database
        self.client = client
        self.stale_seconds = stale_seconds

    def members(self) -> list[Member]:
        """List the workers that have not said goodbye; one that died is among them for a while."""
        heard = census.heartbeats(self.client)
        clock = census.clock(self.client)
        with self.database.session() as session:
            duties = fleets.duties(session)
        return [
            member_of(node, said, clock - said.at, duties.get(node), self.stale_seconds)
            for node, said in heard.items()
            if not said.report.get("gone")
        ]

    def holds(self, member: Member) -> int:
        """Count the messages that a member holds, as Redis knows it."""
        return census.leases_of(self.client, member.worker_id)


def member_of(
    node: str, said: Heartbeat, silent: float, asked: Mapping[str, Any] | None, stale_seconds: float
) -> Member:
    """Make a member of what a worker said last and of what is asked of it.

    :param silent: seconds since it said so.
    :param asked: its duty and who asked for it, None for one that is to work.
    """
    report = said.report
    return Member(
        name=report.get("name", node),
        stage=_stage(report.get("duty", Duty.WORK), silent > stale_seconds),
        pid=report.get("pid"),
        worker_id=node,
        busy=int(report.get("active", 0)) + int(report.get("waiting", 0)),
        started_at=float(report.get("started_at") or 0.0),
        silent=max(0.0, silent),
        loop_wait=float(report.get("loop_wait") or 0.0),
        asked=Duty(asked["duty"]) if asked else Duty.WORK,
        asked_by=(asked["duty_by"] or "") if asked else "",
    )


def _stage(duty: str, is_silent: bool) -> Stage:
    if is_silent:
        return Stage.SILENT
    return {Duty.DRAIN: Stage.LEAVING, Duty.CORDON: Stage.CORDONED}.get(Duty(duty), Stage.WORKING)
