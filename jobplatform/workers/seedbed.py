"""The process that a nursery forks programs from: it has imported what they import, which is most of their start.

It takes one request at a time from its standard input, a socket: to begin a program, for the exit code of one, or to
keep some programs as spares. When the nursery is gone it ends.

A fork shares what the imports have made and nothing else, so all that belongs to a process is made after it:
connections, threads, event loops, the seed of random numbers, what is read from the environment. The modules of an
application may be imported before: Celery's own pool forks behind them as well. Should they have begun threads, nothing
is forked, since locks that a thread holds would be held in the new process for ever.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import runpy
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

from jobplatform.devstack.guard import die_with
from jobplatform.workers.spares import Gate, Kept, Spares

logger = logging.getLogger(__name__)

#: The longest request, in bytes.
MOST_BYTES = 1 << 17

#: How programs ended, by process id.
_codes: dict[int, int] = {}


def reap(*_: object) -> None:
    """Note how programs ended, at once: whoever looks for one that is dead shall not find it."""
    with suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if not ended:
                return
            _codes[ended] = os.waitstatus_to_exitcode(status)


def fork(parent: int, at_death: int) -> int:
    """Begin a process; return its id, and 0 in it.

    :param at_death: the signal that it gets when we are gone, 0 for none.
    """
    begun = os.fork()
    if begun == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        die_with(parent, at_death)
    return begun


class Program(NamedTuple):
    """What a new process is to become, and where it waits before it works, None if it does not."""

    asked: dict[str, Any]
    gate: Gate | None = None


class Seedbed:
    """Answer the requests of a nursery.

    :param line: where they come from.
    :param spares: whether programs of the application know how to wait until they are needed.
    """

    def __init__(self, line: socket.socket, spares: bool) -> None:
        self.line = line
        self.pid = os.getpid()
        self.spares = Spares(_codes.__contains__) if spares else None

    def serve(self) -> Program:
        """Answer requests; return only in a new process, with what it is to become."""
        signal.signal(signal.SIGCHLD, reap)
        while request := self.line.recv(MOST_BYTES):
            asked = json.loads(request)
            answer: Any = None
            if "pid" in asked:
                reap()
                answer = _codes.pop(asked["pid"], None)
            elif threading.active_count() > 1:
                pass
            elif "keep" in asked:
                program = self._keep(asked.pop("keep"), asked)
                if program is not None:
                    return program
                answer = self.spares.count() if self.spares else Kept(0, 0)
            elif (answer := self._begin(asked)) == 0:
                return self._leave(Program(asked))
            self.line.send(json.dumps(answer).encode())
        sys.exit()

    def _begin(self, asked: dict[str, Any]) -> int:
        """Let the spare that has become just this work, or else begin a process; return its id, and 0 in it."""
        reap()
        spare = self.spares.take(asked) if self.spares else None
        return spare or fork(self.pid, asked["at_death"])

    def _keep(self, wanted: list[list[str]], asked: dict[str, Any]) -> Program | None:
        """Have programs of several arguments wait, and begin at most one of them now; give it in its own process."""
        reap()
        missing = self.spares.missing([{**asked, "arguments": each} for each in wanted]) if self.spares else None
        if self.spares is None or missing is None:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = fork(self.pid, signal.SIGKILL)
        if pid == 0:
            ours.close()
            return self._leave(Program(dict(missing), Gate(theirs, self.pid, missing["at_death"])))
        theirs.close()
        self.spares.add(missing, pid, ours)
        return None

    def _leave(self, program: Program) -> Program:
        """Let go of what belongs to the process that forked this one."""
        if self.spares:
            self.spares.forget()
        self.line.close()
        _codes.clear()
        return program


def become(asked: dict[str, Any]) -> None:
    """Take on the files, the directory, the environment and the arguments of a program."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if asked["log"]:
        log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[0:1] = [asked["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["-m", *asked["arguments"]]


def load(modules: list[str], app: str) -> bool:
    """Import modules, and an application with all of its own; one that cannot be imported is left to its programs.

    :returns: whether workers of the application can be spares.
    """
    for name in modules:
        import_module(name)
    if not app:
        return False
    from celery.app.utils import find_app

    from jobplatform.transport import scripts

    try:
        found = find_app(app)
        found.loader.import_default_modules()
        found.finalize()
    except Exception:
        logger.exception("application %s cannot be imported ahead of its workers", app)
        return False
    scripts.read()
    return getattr(found, "jobplatform", None) is not None


if __name__ == "__main__":
    can_wait = load(sys.argv[2:], sys.argv[1])
    gc.collect()
    gc.freeze()
    program = Seedbed(socket.socket(fileno=os.dup(0)), can_wait).serve()
    if program.gate is not None:
        from jobplatform.jobs.spare_step import SpareStep
        from jobplatform.transport.committer import Committer

        SpareStep.gate, Committer.spare = program.gate, True
    become(program.asked)
    runpy.run_module(program.asked["module"], run_name="__main__", alter_sys=True)
