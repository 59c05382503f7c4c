"""Train a model once: ``python -m jobplatform.learning [KIND]``, with the settings in the environment.

The kind is ``retry`` unless another is named.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from jobplatform.errors import JobPlatformError
from jobplatform.settings import Settings, load_settings
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
    try:
        _teach(arguments, database, settings)
    except JobPlatformError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        database.close()
    return 0


def _teach(kinds: list[str], database: Database, settings: Settings) -> None:
    """Teach a model of the kind that is named; each lesson loads what it needs alone."""
    if "demand" in kinds:
        from jobplatform.learning import demand_lesson

        demand_lesson.teach(database, settings)
    elif "health" in kinds:
        from jobplatform.learning import decay_lesson

        decay_lesson.teach(database)
    elif "duration" in kinds:
        from jobplatform.learning import duration_lesson

        duration_lesson.teach(database)
    else:
        from jobplatform.learning import lesson

        lesson.teach(database)


def _end_with_stdin() -> None:
    """End this process when whoever started it is gone: the other end of the pipe closes."""
    # Not through sys.stdin, whose lock must be free when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(_ABANDONED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
