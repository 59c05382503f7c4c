"""Workers that are failing or stand still, replaced step by step."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jobplatform.settings import Settings
from jobplatform.store import duties, replacements
from jobplatform.store.database import Database, Transaction
from jobplatform.transport.census import heartbeats
from jobplatform.transport.rescue import evict
from jobplatform.workers.fleet import BY, Fleet, Member
from jobplatform.workers.replacement import (
    SUDDENLY,
    Case,
    Choice,
    Course,
    Lately,
    Patience,
    Step,
    choose,
    is_deadlocked,
    next_step,
    standstill,
)

logger = logging.getLogger(__name__)

#: What was said of a worker and not again for so many heartbeats says nothing any more.
_FRESH_BEATS = 60
#: Leases that are taken in one script.
_LIMIT = 200


class UnderWay(NamedTuple):
    """A replacement that has not ended, with the workers that it is about, as far as they live."""

    row: Mapping[str, Any]
    old: Member | None
    successor: Member | None


class Replacer:
    """Choose at most one worker in a window, and lead each replacement from its start to its end.

    :param client: a Redis client.
    """

    def __init__(self, database: Database, client: Any, fleet: Fleet, settings: Settings) -> None:
        self.database = database
        self.client = client
        self.fleet = fleet
        self.settings = settings
        leave = settings.drain_seconds + settings.stale_seconds
        self._told = ""
        self._before: set[str] = set()
        self._missing: set[str] = set()
        self.patience = Patience(settings.fleet_start_seconds, settings.stale_seconds, leave)

    def begin(self, members: Sequence[Member], now: datetime) -> int:
        """Ask for the replacement of whoever stands still, and of at most one that is failing; returns how many."""
        if self.settings.replace == "off":
            return 0
        frozen = {member.worker_id: why for member in members if (why := self._standstill(member))}
        stopped = [member.worker_id for member in members if member.stopped and member.worker_id in frozen]
        with self.database.transaction() as transaction:
            under_way = replacements.under_way(transaction, self.fleet.pool)
            taken = {row["worker_id"] for row in under_way}
            # That a process is stopped is certain; of those that are only silent it may be us who hear nothing.
            silent = [] if under_way else [node for node in frozen if node not in stopped][:1]
            asked = sum(
                len(replacements.ask(transaction, self.fleet.pool, [node], frozen[node], BY))
                for node in [*stopped, *silent]
                if node not in taken
            )
            if asked or under_way:
                return asked
            case, reason, stays = next_choice(transaction, self.settings, members, now)
            self._tell(reason if case or stays else "")
            return (
                0 if case is None else len(replacements.ask(transaction, self.fleet.pool, [case.worker_id], reason, BY))
            )

    def _tell(self, reason: str) -> None:
        """Say once who is replaced, or why nobody is although one is failing."""
        if reason and reason != self._told:
            logger.warning("%s", reason)
        self._told = reason

    def mourn(self, members: Sequence[Member]) -> int:
        """Note which workers have died since the last look, and whether that could be foreseen; returns how many."""
        living = {member.worker_id for member in members if member.worker_id}
        self._missing = (self._missing | self._before) - living
        self._before = living
        if not self._missing or not self.fleet.starts_members:
            return 0
        heard = heartbeats(self.client)
        self._missing = {node for node in self._missing if node in heard and not heard[node].report.get("gone")}
        with self.database.transaction() as transaction:
            noted = replacements.note_deaths(transaction, self.fleet.pool, self._missing, SUDDENLY)
        self._missing -= {row["worker_id"] for row in noted}
        for row in noted:
            logger.warning("%s died: %s", row["name"], row["reason"])
        return len(noted)

    def _standstill(self, member: Member) -> str:
        beat, stale = self.settings.heartbeat_seconds, self.settings.stale_seconds
        # Whether a process that others start still lives cannot be told from here.
        if member.silent > stale and not self.fleet.starts_members:
            return ""
        return standstill(member, beat, stale) if member.worker_id else ""

    def _does_nothing(self, old: Member, successor: Member | None) -> bool:
        """Tell whether a worker may be killed; one that is only silent once its successor is heard."""
        certain = old.stopped or (successor is not None and successor.takes)
        return is_deadlocked(old, self.settings.stale_seconds) or (certain and bool(self._standstill(old)))

    def under_way(self, members: Sequence[Member]) -> list[UnderWay]:
        """List the replacements that have not ended."""
        with self.database.session() as session:
            rows = replacements.under_way(session, self.fleet.pool)
        nodes = {member.worker_id: member for member in members if member.worker_id}
        names = {member.name: member for member in members}
        return [UnderWay(row, nodes.get(row["worker_id"]), names.get(row["successor"])) for row in rows]

    def advance(self, each: UnderWay, members: Sequence[Member], now: datetime) -> Counter[str]:
        """Take the next step of a replacement."""
        row, old, successor = each
        course = Course(
            asked=(now - row["asked_at"]).total_seconds(),
            successor=row["successor"],
            ready=row["ready_at"] is not None,
            drained=(now - row["drained_at"]).total_seconds() if row["drained_at"] else None,
        )
        frozen = old is not None and self._does_nothing(old, successor)
        step = next_step(course, old, successor, self.patience, frozen, self.fleet.starts_members)
        if step is Step.WAIT:
            return Counter()
        acts = {Step.SPAWN: self._spawn, Step.CORDON: self._cordon, Step.DRAIN: self._drain, Step.KILL: self._kill}
        done = acts[step](each, members) if step in acts else self._note(each, outcome=step.value)
        return +Counter({step.value: done})

    def _spawn(self, each: UnderWay, members: Sequence[Member]) -> bool:
        successor = self.fleet.spawn(members)
        return successor is not None and self._note(each, successor=successor)

    def _cordon(self, each: UnderWay, members: Sequence[Member]) -> bool:
        if not any(member.takes for member in members if member is not each.old):
            logger.info("%s is not replaced yet, as it is the last worker", each.row["name"])
            return False
        self._ask_duty(each, "cordon")
        return self._note(each, ready=True)

    def _drain(self, each: UnderWay, members: Sequence[Member]) -> bool:
        assert each.old is not None
        self._ask_duty(each, "drain")
        self.fleet.retire(each.old)
        return self._note(each, drained=True)

    def _kill(self, each: UnderWay, members: Sequence[Member]) -> bool:
        """End a worker that stands still, after its jobs were given to others, at no cost to them."""
        assert each.old is not None
        self.fleet.halt(each.old)
        evict(self.client, each.old.worker_id, "stood still and was replaced", _LIMIT)
        self.fleet.kill(each.old)
        self._before.discard(each.old.worker_id)
        note = "it stood still and was killed, and its jobs run elsewhere"
        return self._note(each, outcome="replaced", note=note)

    def _ask_duty(self, each: UnderWay, duty: str) -> None:
        with self.database.transaction() as transaction:
            duties.ask(transaction, [each.row["name"]], duty, f"replaced: {each.row['reason']}"[:500], BY)

    def _note(self, each: UnderWay, **news: Any) -> bool:
        with self.database.transaction() as transaction:
            replacements.advance(transaction, each.row["replacement_id"], **news)
        if news.get("outcome"):
            logger.warning("%s: %s (%s)", each.row["name"], news["outcome"], each.row["reason"])
        return True


def next_choice(transaction: Transaction, settings: Settings, members: Sequence[Member], now: datetime) -> Choice:
    """Choose who of some workers is replaced next, or say why nobody is."""
    window = timedelta(seconds=settings.replace_seconds)
    lately = Lately(**replacements.lately(transaction, settings.fleet_pool, BY, now - window))
    ours = {member.worker_id for member in members}
    found = replacements.verdicts(transaction, now - timedelta(seconds=_FRESH_BEATS * settings.heartbeat_seconds))
    cases = [Case(**row) for row in found if row["worker_id"] in ours]
    if settings.fleet != "local":
        # What does not even hear that it is to leave can only be ended by its home.
        cases = [case._replace(rule="") for case in cases]
    off = next((f"{name} is off" for name, value in _switches(settings).items() if value == "off"), "")
    return choose(cases, sum(member.takes for member in members), lately, off)


def _switches(settings: Settings) -> dict[str, str]:
    return {"JOBPLATFORM_FLEET": settings.fleet, "JOBPLATFORM_REPLACE": settings.replace}
