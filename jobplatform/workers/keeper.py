"""The service that keeps a fleet at its number, and lets others take the place of workers that fail."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from jobplatform.settings import Settings
from jobplatform.store import duties, fleets
from jobplatform.store.database import Database
from jobplatform.workers.fleet import BY, Fleet, Member
from jobplatform.workers.replacer import Replacer
from jobplatform.workers.roll import Roll
from jobplatform.workers.size import Steps, steps
from jobplatform.workers.wish import Wish

#: A pause between two looks that is longer than so many of them ends a watch.
_PAUSE_LOOKS = 3


class FleetKeeper:
    """Look at the members of a fleet every second, and take the next steps.

    :param client: a Redis client.
    :param clock: monotonic seconds.
    """

    name = "fleet"
    interval = 1.0

    def __init__(
        self,
        database: Database,
        client: Any,
        fleet: Fleet,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self.fleet = fleet
        self.settings = settings
        self.clock = clock
        self.interval = min(self.interval, settings.heartbeat_seconds / 2)
        self.roll = Roll(database, client, settings.stale_seconds)
        self.wish = Wish(database, settings, BY)
        self.replacer = Replacer(database, client, fleet, settings)
        self._watching_since = self._looked_at = clock()

    def run_once(self, now: datetime) -> Counter[str]:
        """Replace who has to be, then bring the number of the others nearer to what is wished for."""
        found = self.fleet.members()
        watched = self._watch()
        members = self._heard(found, watched)
        counts = Counter(died=self.replacer.mourn(members), replacements=self.replacer.begin(members, now))
        under_way = self.replacer.under_way(members)
        for each in under_way:
            counts += self.replacer.advance(each, members, now)
        if under_way:
            members = self._heard(self.fleet.members(), watched)
        replaced = {each.row["worker_id"] for each in under_way}
        counts += self._size(members, steps(members, self.wish.size(), replaced))
        return +counts

    def _heard(self, members: Sequence[Member], watched: float) -> list[Member]:
        return [member.heard(watched, self.settings.stale_seconds) for member in members]

    def _watch(self) -> float:
        """Tell for how many seconds there was no pause between our looks; after an outage of Redis all are silent."""
        now = self.clock()
        # A worker that was to speak in a pause, and could not either, is not silent for too long by that alone.
        harmless = self.settings.stale_seconds - self.settings.heartbeat_seconds
        if now - self._looked_at > min(_PAUSE_LOOKS * max(self.interval, 1.0), harmless):
            self._watching_since = now
        self._looked_at = now
        return now - self._watching_since

    def _size(self, members: Sequence[Member], found: Steps) -> Counter[str]:
        counts = Counter(
            cordoned=self._ask("cordon", found.cordon, "there are more workers than are needed"),
            uncordoned=self._ask("work", found.uncordon, "more workers are needed again"),
        )
        if not self.fleet.starts_members:
            return counts + self._publish(members, found)
        counts["retired"] = sum(self._retire(member) for member in found.retire)
        counts["spawned"] = sum(self.fleet.spawn(members) is not None for _ in range(found.spawn))
        return counts

    def _ask(self, duty: str, members: Sequence[Member], reason: str) -> int:
        if not members:
            return 0
        with self.database.transaction() as transaction:
            return len(duties.ask(transaction, [member.name for member in members], duty, reason, BY))

    def _retire(self, member: Member) -> bool:
        """Let a member go that has said that it takes no more and runs nothing, if Redis knows the same."""
        if self.roll.holds(member):
            return False
        self._ask("drain", [member], "there are more workers than are needed")
        self.fleet.retire(member)
        return True

    def _publish(self, members: Sequence[Member], found: Steps) -> Counter[str]:
        """Tell the home how many to run: more at once, and fewer once so many run nothing and take no more."""
        idle = [member for member in found.retire if not self.roll.holds(member)]
        needed = sum(member.counts or member.asked_by == BY for member in members) - len(idle)
        target = max(self.wish.size(), needed)
        with self.database.transaction() as transaction:
            fleets.publish(transaction, self.fleet.pool, target)
        self.fleet.publish(target)
        return Counter()

    def close(self) -> None:
        """Let go of the fleet; by the settings its workers go on, or drain."""
        self.fleet.close()
