"""Workers as processes of this machine, started here and found again by whoever comes after us."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

import psutil

from jobplatform.devstack.supervisor import Backoff
from jobplatform.workers.fleet import Member, Stage
from jobplatform.workers.nursery import Unforkable
from jobplatform.workers.roll import Roll
from jobplatform.workers.starter import Started, Starter

logger = logging.getLogger(__name__)

#: A report says when its worker was made, which is after its process was.
_CLOCK_SECONDS = 2.0
_POLL_SECONDS = 0.05


class LocalFleet:
    """Start and end ``celery worker`` processes whose names are those of the pool and a number.

    :param host: the name of this machine, as in the names of its workers.
    :param start_seconds: how long a worker may take until it is heard.
    :param leave_seconds: how long workers that end with us may take.
    """

    starts_members = True

    def __init__(
        self,
        pool: str,
        roll: Roll,
        starter: Starter,
        host: str = "",
        start_seconds: float = 60.0,
        leave_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pool = pool
        self.roll = roll
        self.starter = starter
        self.host = host or socket.gethostname()
        self.start_seconds = start_seconds
        self.leave_seconds = leave_seconds
        self.clock = clock
        self.backoff = Backoff()
        self._name = re.compile(rf"{re.escape(pool)}(\d+)@{re.escape(self.host)}")
        self._started: dict[str, Started] = {}
        self._known: dict[str, Member] = {}
        self._killed: dict[int, psutil.Process] = {}
        self._failures = 0
        self._due = 0.0

    def members(self) -> Sequence[Member]:
        """List the workers of the pool whose processes live here, whoever started them."""
        self.starter.warm()
        self._bury()
        self._killed = {pid: process for pid, process in self._killed.items() if process.is_running()}
        heard = [member for member in self.roll.members() if self._name.fullmatch(member.name)]
        living = [here for member in heard if (here := self._living(member))]
        # A Redis that was emptied has not heard of them for a while, nor of one that is starting.
        unheard = [member for name, member in self._known.items() if name not in {here.name for here in living}]
        living += [member for member in unheard if self._living(member)]
        self._known = {member.name: member for member in living}
        for member in living:
            self._note_start(member)
        return living

    def _living(self, member: Member) -> Member | None:
        """Give a member with how its process is, None when that has ended, or was killed and only takes time to die."""
        return None if member.pid in self._killed else _here(member)

    def _note_start(self, member: Member) -> None:
        """Forget failures once a worker that we started is heard, and end one that is not in time."""
        if member.worker_id and member.name in self._started:
            self._failures = 0
        elif member.stage is Stage.STARTING and time.time() - member.started_at > self.start_seconds:
            logger.warning("worker %s takes no jobs after %g s and is killed", member.name, self.start_seconds)
            self.kill(member)

    def publish(self, wanted: int) -> None:
        """Do nothing: nobody else starts workers of ours."""

    def spawn(self, besides: Sequence[Member]) -> str | None:
        """Start a worker and return its name, None when it is too soon after one that did not start."""
        now = self.clock()
        if now < self._due:
            return None
        name = self._free_name([*besides, *self._known.values()])
        started = self.starter.start(name)
        self._started[name] = started
        self._known[name] = Member(name, Stage.STARTING, started.pid, started_at=time.time())
        logger.info("worker %s is started as process %d", name, started.pid)
        return name

    def _free_name(self, besides: Iterable[Member]) -> str:
        """Give the lowest number that no worker has, nor had a short while ago."""
        names = {member.name for member in (*besides, *self.roll.members())}
        number = next(number for number in range(1, len(names) + 2) if self._named(number) not in names)
        return self._named(number)

    def _named(self, number: int) -> str:
        return f"{self.pool}{number}@{self.host}"

    def _bury(self) -> None:
        """Note the processes that have ended; after those that never took a job the next one waits a while."""
        for name, started in list(self._started.items()):
            try:
                code = started.poll()
            except Unforkable:
                # Who could tell how it ends has ended before it; it is looked at as others are that we did not start.
                del self._started[name]
                continue
            if code is None:
                continue
            del self._started[name]
            known = self._known.pop(name, None)
            logger.log(logging.INFO if code == 0 else logging.WARNING, "worker %s ended with %d", name, code)
            if known is None or not known.worker_id:
                self._failures += 1
                self._due = self.clock() + self.backoff.delay(self._failures)

    def retire(self, member: Member) -> None:
        """Let a member leave as SIGTERM does."""
        for process in tree_of(member.pid)[:1]:
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    def halt(self, member: Member) -> None:
        """Stop all processes of a member, the main one first, as it starts others."""
        for process in tree_of(member.pid):
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def kill(self, member: Member) -> None:
        """End all processes of a member, which is none from now on, however long they take to die."""
        for process in tree_of(member.pid):
            self._killed[process.pid] = process
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def close(self) -> None:
        """Let go of the workers; those that are to end with us are told so, and waited for."""
        if self.starter.at_death:
            for member in self._known.values():
                self.retire(member)
            self._await_end(time.monotonic() + self.leave_seconds)
        self.starter.close()

    def _await_end(self, deadline: float) -> None:
        # Whose parent has ended may never be waited for by anybody, and counts as ended all the same.
        while time.monotonic() < deadline and any(_here(member) for member in self._known.values()):
            self._bury()
            time.sleep(_POLL_SECONDS)
        self._bury()


def _here(member: Member) -> Member | None:
    """Give a member with how its process is, None when that has ended and its number is of another by now."""
    if member.pid is None:
        return None
    try:
        process = psutil.Process(member.pid)
        status = process.status()
        if status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        if process.create_time() > member.started_at + _CLOCK_SECONDS:
            return None
    except psutil.Error:
        return None
    return replace(member, stopped=status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP))


def tree_of(pid: int | None) -> list[psutil.Process]:
    """List a process and all below it; nothing of one that has ended."""
    if pid is None:
        return []
    try:
        main = psutil.Process(pid)
        return [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
