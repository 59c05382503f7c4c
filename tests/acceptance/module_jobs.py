"""A job that tells which modules its process has loaded, and a worker that writes down its own when it stops."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery import signals

from jobplatform import job

#: The variable that names the file of the worker's main process.
FILE = "MODULES_OF_MAIN"


@job()
def modules(number: int) -> list[str]:
    """Name the modules of this process; a job that fails first has shown the worker what a retry is."""
    return sorted(sys.modules)


@job(max_retries=1, retry={"base": 0.1, "jitter": False})
def fails_once(number: int) -> list[str]:
    """Fail at the first attempt, and name the modules at the second."""
    from jobplatform import current_job

    if current_job().attempt == 1:
        raise ConnectionError("http://api.local:80/items cannot be reached")
    return sorted(sys.modules)


@signals.worker_shutdown.connect(weak=False)
def write_modules(**_: Any) -> None:
    """Write down what the main process has loaded in its life."""
    if FILE in os.environ:
        Path(os.environ[FILE]).write_text("\n".join(sorted(sys.modules)))
