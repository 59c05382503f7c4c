"""Celery's command line as where the platform is not installed, or, called with ``--bare`` first, nothing else is.

Packages add commands to ``celery`` by entry points, which it imports in every worker, ours and Flower's among them.
Plain Celery must not be charged for ours; Flower is installed for all contenders alike.
"""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

from celery.__main__ import main

BARE = "--bare"
installed: Any = importlib.metadata.entry_points


def without_ours(**wanted: Any) -> Any:
    """Find entry points, but for our commands of Celery."""
    found = installed(**wanted)
    if wanted.get("group") != "celery.commands":
        return found
    return [point for point in found if point.value.partition(".")[0] != "jobplatform"]


def without_any(**wanted: Any) -> Any:
    """Find entry points, but for commands of Celery."""
    return installed(**wanted) if wanted.get("group") != "celery.commands" else ()


if __name__ == "__main__":
    bare = sys.argv[1:2] == [BARE]
    if bare:
        del sys.argv[1]
    importlib.metadata.entry_points = without_any if bare else without_ours
    main()
