"""Start a program as a child that cannot outlive us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from jobplatform.devstack.placement import Owner

_GUARD = Path(__file__).with_name("guard.py")


def spawn(
    argv: Sequence[str],
    at_death: int,
    *,
    owner: Owner | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; it is told to end when the calling thread ends.

    :param at_death: the signal that the program gets when we are gone, even by SIGKILL; 0 for none.
    :param owner: the user to run as; None is our own.
    :param stdout: where its output and errors go.
    """
    uid, gid = (owner.uid, owner.gid) if owner else (-1, -1)
    guard = [sys.executable, "-I", "-S", str(_GUARD)]
    order = [str(number) for number in (os.getpid(), int(at_death), uid, gid)]
    return subprocess.Popen(
        [*guard, *order, *argv],
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
