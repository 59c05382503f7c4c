"""A program that submits a job at a steady pace and writes down what became of each call, until it gets SIGTERM.

Usage: ``python steady_client.py FILE FIRST_COUNTER SECONDS_BETWEEN_CALLS``.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError

from jobplatform.celery import app
from jobplatform.errors import JobPlatformError


def call(counter: int) -> dict[str, Any]:
    """Submit one job and tell how that went; an error that is none of a caller's to expect ends the program."""
    began = time.monotonic()
    said: dict[str, Any] = {"counter": counter, "id": None, "error": None}
    try:
        said["id"] = app.tasks["outage_jobs.count"].submit(counter).id
    except (JobPlatformError, OperationalError) as error:
        said["error"] = f"{type(error).__name__}: {error}"
    return {**said, "seconds": time.monotonic() - began}


def main(path: Path, first: int, pause: float) -> None:
    """Submit until told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    app.loader.import_default_modules()
    with path.open("a", buffering=1) as file:
        for counter in itertools.count(first):
            print(json.dumps(call(counter)), file=file)
            if stop.wait(pause):
                return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
