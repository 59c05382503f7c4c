"""The process that a nursery forks programs from: it has imported what they import, which is most of their start.

It takes one request at a time from its standard input, a socket: to begin a program, or for the exit code of one. When
the nursery is gone it ends.

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
from typing import Any

from jobplatform.devstack.guard import die_with

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


def serve(line: socket.socket) -> dict[str, Any]:
    """Answer requests; return only in a new process, with what it is to become."""
    signal.signal(signal.SIGCHLD, reap)
    while request := line.recv(MOST_BYTES):
        asked = json.loads(request)
        if "pid" in asked:
            reap()
            answer = _codes.pop(asked["pid"], None)
        elif threading.active_count() > 1:
            answer = None
        elif (answer := fork(os.getpid(), asked["at_death"])) == 0:
            return dict(asked)
        line.send(json.dumps(answer).encode())
    sys.exit()


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


def load(modules: list[str], app: str) -> None:
    """Import modules, and an application with all of its own; one that cannot be imported is left to its programs."""
    for name in modules:
        import_module(name)
    if not app:
        return
    from celery.app.utils import find_app

    from jobplatform.transport import scripts

    scripts.read()
    try:
        found = find_app(app)
        found.loader.import_default_modules()
        found.finalize()
    except Exception:
        logger.exception("application %s cannot be imported ahead of its workers", app)


if __name__ == "__main__":
    load(sys.argv[2:], sys.argv[1])
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as requests:
        program = serve(requests)
    become(program)
    runpy.run_module(program["module"], run_name="__main__", alter_sys=True)
