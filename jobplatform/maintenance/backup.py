"""All rows into one file as of one moment, and back into an empty database that goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jobplatform import __version__
from jobplatform.errors import RestoreRefused
from jobplatform.maintenance import archive
from jobplatform.maintenance.archive import Manifest, Member
from jobplatform.maintenance.limiter import Limiter
from jobplatform.maintenance.pauser import Pauser
from jobplatform.store import restored, snapshot
from jobplatform.store.database import Database
from jobplatform.store.snapshot import Loading
from jobplatform.store.tables import Table
from jobplatform.transport import census


class Restored(NamedTuple):
    """What was restored.

    :param queued: jobs that waited in a queue or ran, and are published again.
    :param interrupted: runs of which the backup knows no end.
    """

    manifest: Manifest
    queued: int
    interrupted: int


def back_up(database: Database, path: Path, now: datetime, report: Callable[[str], None]) -> Manifest:
    """Write all rows of our tables, as of one moment, into a file.

    :param report: told of each table that was written.
    :raises RestoreRefused: when there are no tables, or the file is there already.
    """
    with archive.writing(path) as made, snapshot.taken(database) as seen:
        members = []
        for table in seen.tables:
            members.append(_write(made, seen, table))
            report(f"{table.name}: {members[-1].rows} rows")
        manifest = Manifest(now.isoformat(), __version__, seen.revision, seen.server, tuple(members))
        archive.close(made, manifest)
    return manifest


def _write(made: Any, seen: snapshot.Snapshot, table: Table) -> Member:
    return archive.add(made, table.name, table.columns, lambda file: seen.write(table, file))


def inspect(path: Path) -> Manifest:
    """Read a whole backup, and tell what it holds.

    :raises RestoreRefused: when it is not as it was written.
    """
    with archive.reading(path) as held:
        manifest = archive.manifest_of(held)
        archive.check(held, manifest)
    return manifest


def restore(database: Database, path: Path, report: Callable[[str], None]) -> Restored:
    """Put the rows of a backup into empty tables, in one transaction, and make due what must be in a queue.

    :param report: told of each table that was read.
    :raises RestoreRefused: when the file is damaged, or the database is not empty or at another revision.
    """
    with archive.reading(path) as held:
        manifest = archive.manifest_of(held)
        archive.check(held, manifest)
        with snapshot.loading(database, manifest.revision) as empty:
            for member in manifest.tables:
                with archive.rows_of(held, member) as file:
                    empty.read(_table(empty, member), file)
                report(f"{member.name}: {member.rows} rows")
            counts = restored.queue_again(empty.transaction)
    return Restored(manifest, counts["queued"], counts["interrupted"])


def refuse_traffic(client: Any) -> None:
    """Make sure that Redis knows nothing that the rows of a backup do not.

    :param client: a Redis client.
    :raises RestoreRefused: when it holds messages, leases or news.
    """
    if census.holds_anything(client):
        raise RestoreRefused(
            "Redis holds messages, leases or news of jobs that the backup may not know; give an empty one in "
            "REDIS_URL, or --keep-redis if it is the Redis of these rows: newer jobs in it lose their rows"
        )


def tell(database: Database, client: Any, stale_seconds: float, now: datetime) -> None:
    """Let Redis know of pauses and limits before anything is published.

    :param client: a Redis client.
    """
    Pauser(database, client).run_once(now)
    Limiter(database, client, stale_seconds, declared=None).run_once(now)


def _table(empty: Loading, member: Member) -> Table:
    """Name the columns in the order in which they were written."""
    table = empty.tables.get(member.name)
    if table is None or set(table.columns) != set(member.columns):
        raise RestoreRefused(f"{member.name}: its columns are not those of this database; restore into a new one")
    return table._replace(columns=member.columns)
