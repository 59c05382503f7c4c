"""The process that a nursery forks programs from: it has imported what a worker imports, and made nothing of it.

It takes one request at a time from its standard input, a socket: to begin a program, or for the exit code of one.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from jobplatform.devstack.guard import die_with

#: None of these reads the environment or makes an application; none that a worker does not load is among them.
_MODULES = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.consumer",
    "jobplatform.jobs.attach",
)
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


def fork(parent: int) -> int:
    """Begin a process that dies with us; return its id, and 0 in it."""
    begun = os.fork()
    if begun == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        die_with(parent, signal.SIGKILL)
    return begun


def serve(line: socket.socket) -> dict[str, Any]:
    """Answer requests; return only in a new process, with what it is to become."""
    signal.signal(signal.SIGCHLD, reap)
    while request := line.recv(MOST_BYTES):
        asked = json.loads(request)
        if "pid" in asked:
            reap()
            answer = _codes.pop(asked["pid"], None)
        elif (answer := fork(os.getpid())) == 0:
            return dict(asked)
        line.send(json.dumps(answer).encode())
    sys.exit()


def become(asked: dict[str, Any]) -> None:
    """Take on the files, the directory, the environment and the arguments of a program."""
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[0:1] = [asked["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["-m", *asked["arguments"]]


if __name__ == "__main__":
    for name in _MODULES:
        import_module(name)
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as requests:
        program = serve(requests)
    become(program)
    runpy.run_module(program["module"], run_name="__main__", alter_sys=True)
