"""Settings of the controller."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.settings.setting import setting


@dataclass(frozen=True)
class Controller:
    """How much the controller takes at once, and how often."""

    __slots__ = ()

    mirror_batch: int = setting("JOBPLATFORM_MIRROR_BATCH", 100, int, "Commits that the mirror reads at once.", 1)
    dispatch_batch: int = setting(
        "JOBPLATFORM_DISPATCH_BATCH", 500, int, "Due jobs that the dispatcher publishes at once.", 1
    )
    dispatch_seconds: float = setting(
        "JOBPLATFORM_DISPATCH_SECONDS", 0.25, float, "Seconds between looks for due jobs.", 0.01
    )
    orphan_grace_seconds: float = setting(
        "JOBPLATFORM_ORPHAN_GRACE_SECONDS", 10.0, float, "Seconds for which a row without a message is left alone.", 1
    )
