"""Become another program that ends when its parent does; run as a script, it imports nothing of ours.

The kernel keeps the death signal across exec but clears it when the user changes, so the order here is: user,
signal, exec. A script instead of ``preexec_fn``, since code between fork and exec is unsafe beside threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int, number: int) -> None:
    """Ask the kernel to send a signal when the parent's thread that started us ends; Linux only.

    :param parent: the process id that must still be our parent, else it died before we could ask.
    :param number: the signal to be sent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent process is gone")


def become(uid: int, gid: int) -> None:
    """Change the user for good; -1 stays as it is."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def main(arguments: list[str]) -> None:
    """Read ``parent signal uid gid program ...`` and become the program."""
    parent, number, uid, gid = map(int, arguments[:4])
    become(uid, gid)
    die_with(parent, number)
    # Python ignores these two, and what is ignored stays ignored across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(arguments[4], arguments[4:])
    except OSError as error:
        sys.exit(f"{arguments[4]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
