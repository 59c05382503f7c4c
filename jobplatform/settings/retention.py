"""Settings of what is kept."""

from __future__ import annotations

from dataclasses import dataclass

from jobplatform.settings.setting import days, setting


@dataclass(frozen=True)
class Retention:
    """For how long jobs and the audit log are kept."""

    __slots__ = ()

    keep_days: float = setting(
        "JOBPLATFORM_KEEP_DAYS",
        float("inf"),
        float,
        "Days for which a job is kept after it ended, with its executions and decisions; `inf` keeps it for ever. Keep "
        "it above the retention of idempotency keys.",
        0,
    )
    keep_types: tuple[tuple[str, float], ...] = setting(
        "JOBPLATFORM_KEEP_TYPES",
        (),
        days,
        "Days for jobs of some types, as shop.mail=1,reports.*=365; the first name or pattern that fits counts.",
    )
    export_dir: str = setting(
        "JOBPLATFORM_EXPORT_DIR",
        "",
        str,
        "Where jobs are written, a line of JSON each, before they are deleted; empty deletes without.",
    )
    audit_days: float = setting(
        "JOBPLATFORM_AUDIT_DAYS",
        float("inf"),
        float,
        "Days for which rows of the audit log are kept; `jobplatform prune` moves older ones into files in "
        "JOBPLATFORM_EXPORT_DIR, and leaves them if that is not set.",
        1,
    )
