"""Train a model once: ``python -m jobplatform.learning [KIND]``, with the settings in the environment.

The kind is ``retry`` unless another is named.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from jobplatform.errors import JobPlatformError
from jobplatform.learning.lessons import teach
from jobplatform.settings import load_settings
from jobplatform.store import models
from jobplatform.store.database import Database

#: Added to the priority of what the machine is there for.
_NICE = 10
#: Reading all outcomes takes its time where the machine is busy.
_STATEMENT_SECONDS = 120.0
#: The exit code of a training that nobody waits for.
_ABANDONED = 3


def main(arguments: list[str]) -> int:
    """Train, and return the exit code: 1 when nothing was learned."""
    if "--while-stdin-is-open" in arguments:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.nice(_NICE)
    settings = load_settings(os.environ)
    database = Database(settings, pool_size=2, statement_seconds=_STATEMENT_SECONDS)
    kind = next((each for each in arguments if each in models.KINDS), models.RETRY)
    try:
        teach(kind, database, settings)
    except JobPlatformError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        database.close()
    return 0


def _end_with_stdin() -> None:
    """End this process when whoever started it is gone: the other end of the pipe closes."""
    # Not through sys.stdin, whose lock must be free when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(_ABANDONED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
