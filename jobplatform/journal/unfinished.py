"""Ways in which a run ends while its job goes on."""

from __future__ import annotations

from celery.exceptions import Ignore


class GivenBack(Exception):
    """A job that was to begin has gone back to its queue."""


class Replaced(Ignore):  # type: ignore[misc]
    """Other jobs stand in for the one that raises this, which is not at its end."""


class Interrupted(Ignore):  # type: ignore[misc]
    """A job that stops at a checkpoint, from which its next attempt goes on."""
