"""What can be done with everything at once: write it into a file, and put such a file into an empty database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.maintenance import backup
from jobplatform.maintenance.archive import Manifest
from jobplatform.maintenance.backup import Restored

Tell = Callable[[str], None]


@action("backups.make", Permission.BACKUPS_WRITE, writes=True)
def make(desk: Desk, actor: Actor, path: Path, tell: Tell) -> Manifest:
    """Write all rows, as of one moment, into a file: payloads and hashes of passwords among them."""
    manifest = backup.back_up(desk.database, path, desk.now(), tell)
    desk.note(actor, "backups.make", {"file": str(path)}, {"rows": manifest.rows})
    return manifest


@action("backups.restore", Permission.BACKUPS_WRITE, writes=True)
def restore(desk: Desk, actor: Actor, path: Path, tell: Tell, keep_redis: bool = False) -> Restored:
    """Put the rows of a file into an empty database, and make due what must be in a queue.

    :param keep_redis: whatever Redis holds stays; else it must hold nothing.
    """
    with closing(desk.redis()) as client:
        if not keep_redis:
            backup.refuse_traffic(client)
        done = backup.restore(desk.database, path, tell)
        if desk.settings.leases:
            backup.tell(desk.database, client, desk.settings.stale_seconds, desk.now())
    about = {"file": str(path), "made_at": done.manifest.made_at, "keep_redis": keep_redis}
    desk.note(actor, "backups.restore", about, {"rows": done.manifest.rows, "queued": done.queued})
    return done
