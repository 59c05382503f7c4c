"""What can be done with finished jobs whose time is over: count them, and let them go now."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.controller.upkeep import audit_pruner_of, retention_of


@action("retention.count", Permission.JOBS_READ)
def count(desk: Desk, actor: Actor) -> Counter[str]:
    """Count by type the jobs whose time is over, and change nothing."""
    return retention_of(desk.database, desk.settings).count(desk.now())


@action("retention.prune", Permission.RETENTION_WRITE, writes=True)
def prune(desk: Desk, actor: Actor) -> Counter[str]:
    """Delete now what the controller would in its next pass, and move old rows of the audit log into files."""
    counts: Counter[str] = Counter()
    desk.note(actor, "retention.prune", {}, {"asked": True})
    with (
        closing(retention_of(desk.database, desk.settings)) as retention,
        closing(audit_pruner_of(desk.database, desk.settings)) as audit_pruner,
    ):
        try:
            for done in retention.rounds(desk.now()):
                counts += done
            counts["audit_log"] = audit_pruner.run(desk.now())
        finally:
            del counts["seen"]
            desk.note(actor, "retention.prune", {}, dict(+counts))
    return +counts
