"""Whose processor time a drained queue took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psutil

from benchmarks.processes import Running
from benchmarks.stacks import Bench


class Meter:
    """Read the processor time of all that takes part, by role, in seconds since it was made.

    ``others`` is what the rest of the machine took, this process included: when it is much, a round tells little.
    """

    def __init__(self, bench: Bench, processes: Running) -> None:
        self._programs = dict(_programs(processes))
        self._servers = {role: psutil.Process(pid) for role, pid in bench.servers.items()}
        self._begun = self._total()

    def read(self) -> dict[str, float]:
        """Give the seconds since the meter was made."""
        return {role: seconds - self._begun[role] for role, seconds in self._total().items()}

    def _total(self) -> dict[str, float]:
        total = {role: sum(map(_of_process, several)) for role, several in self._programs.items()}
        total |= {role: _of_server(server) for role, server in self._servers.items()}
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
        return {**total, "others": busy - sum(total.values())}


def _programs(processes: Running) -> Iterator[tuple[str, list[psutil.Process]]]:
    yield "workers", [node.tree()[0] for node in processes.nodes]
    yield "children", [child for node in processes.nodes for child in node.tree()[1:]]
    if processes.controller is not None:
        yield "controller", processes.controller.tree()
    for program in processes.beside:
        yield program.name, program.tree()


def _of_process(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _of_server(server: psutil.Process) -> float:
    """Add up a server and its children, which come and go: those that ended are in its own books."""
    ended = server.cpu_times()
    alive = [server, *server.children(recursive=True)]
    return float(ended.children_user + ended.children_system) + sum(map(_of_process, alive))
