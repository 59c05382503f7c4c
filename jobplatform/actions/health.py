"""Is all well with what the platform stands on, and if not, what mends it?"""

from __future__ import annotations

from collections.abc import Sequence

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.maintenance.doctor import Finding, judge, read
from jobplatform.maintenance.doctor import Level as Level


@action("health.check", Permission.WORKERS_READ)
def check(desk: Desk, actor: Actor) -> list[Finding]:
    """Check everything that the platform stands on; whatever is away is a finding, and no error."""
    return judge(read(desk.settings))


def worst(findings: Sequence[Finding]) -> Level:
    """Give the level of the worst finding."""
    return max((finding.level for finding in findings), key=list(Level).index, default=Level.OK)
