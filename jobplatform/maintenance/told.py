"""Whether every worker that lives has told what it holds and did, and whether Redis still knows."""

from __future__ import annotations

from typing import Any

from jobplatform.store import workers
from jobplatform.store.database import Database
from jobplatform.transport import census, keys


def have_all_told(database: Database, client: Any, since: float) -> bool:
    """Tell whether Redis knows of every worker that lives all that it held at a time.

    :param since: seconds since the epoch, by the clock of Redis.
    """
    with database.transaction() as transaction:
        alive = workers.alive(transaction)
    said = census.heartbeats(client)
    return all(node in said and said[node].known > since for node in alive)


def whole_run(database: Database, client: Any) -> str | None:
    """Name the run of Redis, if it knows all leases; None until every worker has told what it holds.

    That is noted where it is forgotten with the leases. So it holds until Redis is emptied or started again, and what
    another controller has waited for is not waited for anew.
    """
    run = str(client.info("server")["run_id"])
    noted, _, since = (client.get(keys.WHOLE) or b"").decode().partition(" ")
    if noted != run:
        since = f"{census.clock(client):.6f}"
        client.set(keys.WHOLE, f"{run} {since}")
    if since and not (have_all_told(database, client, float(since)) and client.set(keys.WHOLE, run, xx=True)):
        return None
    return run
