"""Carrying out faults: each is begun at its time, and undone when it has lasted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import redis

from chaos.evidence import Strike
from chaos.fleet import Fleet, Program
from chaos.plan import BEATS, CLIENTS, CONTROLLER, WORKERS, Fault
from jobplatform.devstack.server import Server
from jobplatform.devstack.stack import DevStack

Undo = Callable[[], bool]

#: A journal without an older entry counts as mirrored, in seconds.
MIRRORED_SECONDS = 2.0


class Faults:
    """Break things and mend them.

    :param proxy: obeys the orders of ``chaos.proxy``.
    :param strikes: what was carried out so far.
    """

    def __init__(self, fleet: Fleet, stack: DevStack, proxy: subprocess.Popen[bytes]) -> None:
        self.fleet = fleet
        self.stack = stack
        self.proxy = proxy
        self.strikes: list[Strike] = []
        self._open: list[tuple[int, float, Undo]] = []

    def begin(self, fault: Fault) -> bool:
        """Carry out a fault; False when nothing lives that it could hit."""
        found = getattr(self, f"_{fault.kind.value}")(fault)
        if found is None:
            return False
        # What begins after this moment was not hit.
        at = time.time()
        name, pid, undo = found
        self.strikes.append(Strike(fault.kind.value, at, at + fault.lasts, name, pid))
        if undo is not None:
            self._open.append((len(self.strikes) - 1, at + fault.lasts, undo))
        return True

    def tend(self, hurry: bool = False) -> bool:
        """Undo what has lasted long enough; tell whether anything is still to be undone.

        :param hurry: undo everything now.
        """
        now, still = time.time(), []
        for number, due, undo in self._open:
            if (hurry or now >= due) and undo():
                self.strikes[number] = replace(self.strikes[number], until=time.time())
            else:
                still.append((number, due, undo))
        self._open = still
        return bool(still)

    def _pick(self, names: tuple[str, ...], luck: float) -> Program | None:
        living = self.fleet.living(names)
        return living[int(luck * len(living))] if living else None

    def _kill(self, names: tuple[str, ...], fault: Fault, tree: bool = False) -> tuple[str, int, None] | None:
        program = self._pick(names, fault.luck)
        return (program.name, program.kill(fault.lasts, tree), None) if program else None

    def _kill_worker(self, fault: Fault) -> Any:
        return self._kill(WORKERS, fault)

    def _kill_tree(self, fault: Fault) -> Any:
        return self._kill(WORKERS, fault, tree=True)

    def _kill_controller(self, fault: Fault) -> Any:
        return self._kill((CONTROLLER,), fault)

    def _kill_client(self, fault: Fault) -> Any:
        return self._kill(CLIENTS, fault)

    def _kill_beat(self, fault: Fault) -> Any:
        return self._kill(BEATS, fault)

    def _kill_child(self, fault: Fault) -> Any:
        # The third worker runs its jobs in threads and has no children.
        found = [(program.name, pid) for program in self.fleet.living(WORKERS[:2]) for pid in program.children()]
        if not found:
            return None
        name, pid = found[int(fault.luck * len(found))]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return name, pid, None

    def _kill_redis(self, fault: Fault) -> Any:
        return self._kill_server("redis", self.stack.redis) if self._stores_are_well() else None

    def _kill_postgres(self, fault: Fault) -> Any:
        return self._kill_server("postgres", self.stack.postgres) if self._stores_are_well() else None

    def _stores_are_well(self) -> bool:
        servers: tuple[Server, ...] = (self.stack.redis, self.stack.postgres)
        return all(server.running and server.is_ready() for server in servers)

    def _kill_server(self, name: str, server: Server) -> Any:
        pid = server.pid
        server.kill(signal.SIGKILL)

        def restart() -> bool:
            if not server.running:
                server.spawn()
            return server.is_ready()

        return name, pid, restart

    def _stop_worker(self, fault: Fault) -> Any:
        return self._freeze(WORKERS, fault, os.kill)

    def _stop_tree(self, fault: Fault) -> Any:
        return self._freeze(WORKERS, fault, os.killpg)

    def _stop_controller(self, fault: Fault) -> Any:
        return self._freeze((CONTROLLER,), fault, os.kill)

    def _stop_beat(self, fault: Fault) -> Any:
        return self._freeze(BEATS, fault, os.kill)

    def _freeze(self, names: tuple[str, ...], fault: Fault, send: Callable[[int, int], None]) -> Any:
        program = self._pick(names, fault.luck)
        if program is None:
            return None
        pid = program.pid
        send(pid, signal.SIGSTOP)

        def thaw() -> bool:
            with suppress(ProcessLookupError):
                send(pid, signal.SIGCONT)
            return True

        return program.name, pid, thaw

    def _client_kill(self, fault: Fault) -> Any:
        return self._tell_redis("redis", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def _flushall(self, fault: Fault) -> Any:
        if not self._stores_are_well():
            return None
        with (
            suppress(redis.RedisError, OSError),
            redis.Redis.from_url(self.stack.redis_url, socket_timeout=5) as client,
        ):
            # While tables lack what was submitted without PostgreSQL, that outage is not over: Redis alone has it.
            oldest: Any = client.xrange("jp:journal", count=1)
            seconds, micros = client.time()  # type: ignore[misc, unused-ignore]
            if oldest and seconds + micros / 1e6 - int(oldest[0][0].split(b"-")[0]) / 1000 > MIRRORED_SECONDS:
                return None
        return self._tell_redis("redis", "FLUSHALL")

    def _tell_redis(self, name: str, *command: str) -> Any:
        client: Any = redis.Redis.from_url(self.stack.redis_url, socket_timeout=5)
        try:
            client.execute_command(*command)
        except (redis.RedisError, OSError):
            return None
        finally:
            client.close()
        return name, 0, None

    def _cut(self, fault: Fault) -> Any:
        return self._break_link("cut", fault.target)

    def _stall(self, fault: Fault) -> Any:
        return self._break_link("stall", fault.target)

    def _break_link(self, order: str, link: str) -> Any:
        self._order(order, link)

        def heal() -> bool:
            self._order("heal", link)
            return True

        return link, 0, heal

    def _order(self, order: str, link: str) -> None:
        assert self.proxy.stdin is not None
        self.proxy.stdin.write(f"{order} {link}\n".encode())
        self.proxy.stdin.flush()
