"""Whether every worker that lives has told what it holds and did."""

from __future__ import annotations

from typing import Any

from jobplatform.store import workers
from jobplatform.store.database import Database
from jobplatform.transport import census


def have_all_told(database: Database, client: Any, since: float) -> bool:
    """Tell whether Redis knows of every worker that lives all that it held at a time.

    :param since: seconds since the epoch, by the clock of Redis.
    """
    with database.transaction() as transaction:
        alive = workers.alive(transaction)
    said = census.heartbeats(client)
    return all(node in said and said[node].known > since for node in alive)
