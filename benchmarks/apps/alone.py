"""Celery's command line as where nothing else is installed.

Packages add commands to ``celery`` by entry points, which it imports in every worker, ours and Flower's among them:
plain Celery must not be charged for them.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

from celery.__main__ import main

installed: Any = importlib.metadata.entry_points


def entry_points(**wanted: Any) -> Any:
    """Find entry points, but for commands of Celery."""
    return installed(**wanted) if wanted.get("group") != "celery.commands" else ()


if __name__ == "__main__":
    importlib.metadata.entry_points = entry_points
    main()
