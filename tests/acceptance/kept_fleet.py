"""A local fleet of real workers, kept by the service in a thread of the test."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psutil
from fleet import ROOT, Fleet
from processes import eventually

from jobplatform.service import Loop
from jobplatform.settings import Settings
from jobplatform.transport.census import heartbeats
from jobplatform.workers.fleet import Member
from jobplatform.workers.keeper import FleetKeeper
from jobplatform.workers.local_fleet import LocalFleet
from jobplatform.workers.replacement import sentence
from jobplatform.workers.roll import Roll
from jobplatform.workers.starter import Starter

OPTIONS = "-c 1 -l INFO --without-mingle --without-gossip"


class KeptFleet:
    """Keep a fleet for the time of a block, in which its log goes to a file; none of its workers is left behind.

    :param stays: whether the workers outlive the block, for whoever comes next.
    """

    def __init__(self, fleet: Fleet, options: str = OPTIONS, stays: bool = False, **more: Any) -> None:
        self.fleet = fleet
        self.settings: Settings = replace(fleet.settings, fleet="local", **more)
        self.stays = stays
        # The process that forks ends with its thread, and takes those with it that are not to stay.
        at_death = 0 if stays else signal.SIGKILL
        self.starter = Starter(
            "jobplatform", options, fleet.environment, ROOT, at_death, self.settings.fleet_fork == "on"
        )
        self.roll = Roll(fleet.database, fleet.redis, self.settings.stale_seconds)
        self.local = LocalFleet("worker", self.roll, self.starter, leave_seconds=20)
        self.keeper = FleetKeeper(fleet.database, fleet.redis, self.local, self.settings)
        self.rounds = 0
        self.loop = Loop(self.keeper, threading.Event(), on_counts=self._count)
        self.seen: dict[int, psutil.Process] = {}
        self.thread = threading.Thread(target=self._run)

    def _count(self, name: str, counts: Counter[str]) -> None:
        assert not counts["failed_rounds"]
        self.rounds += 1

    def _run(self) -> None:
        self.loop.run()
        self.local.close()

    def __enter__(self) -> KeptFleet:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.members()
        self.loop.stop.set()
        self.loop.ring()
        self.thread.join()
        if not self.stays:
            self.end()

    def end(self) -> None:
        """Kill what is left."""
        for process in self.seen.values():
            with suppress(psutil.NoSuchProcess):
                for each in [process, *process.children(recursive=True)]:
                    each.kill()

    def members(self) -> list[Member]:
        """List the members as Redis and the processes of this machine tell of them."""
        found = [member for member in self.roll.members() if psutil.pid_exists(member.pid or 0)]
        for member in found:
            assert member.pid is not None
            self.seen.setdefault(member.pid, psutil.Process(member.pid))
        return found

    def working(self) -> list[Member]:
        return [member for member in self.members() if member.takes]

    def until(self, check: Callable[[list[Member]], Any], seconds: float = 60) -> list[Member]:
        """Wait for members that pass a check, and return them."""
        found: list[Member] = []

        def look() -> bool:
            found[:] = self.members()
            return bool(check(found))

        eventually(look, seconds, lambda: f"{found}; {self.fleet.describe()}; {heartbeats(self.fleet.redis).keys()}")
        return found

    def until_working(self, number: int, seconds: float = 60) -> list[Member]:
        """Wait until so many work and no other lives."""
        return self.until(lambda found: len(found) == number == sum(member.takes for member in found), seconds)

    def until_busy(self) -> Member:
        """Wait until a member runs something, and return it."""
        return next(member for member in self.until(lambda found: any(each.busy for each in found)) if member.busy)

    def pids(self) -> list[int]:
        """List the main processes of all members that were ever seen."""
        return list(self.seen)

    def replacements(self) -> list[dict[str, Any]]:
        return self.fleet.rows("select * from @replacements order by replacement_id")

    def replacement(self) -> dict[str, Any]:
        """Give the only one that there was."""
        found = self.replacements()
        assert len(found) == 1, "\n".join(map(sentence, found))
        return found[0]
