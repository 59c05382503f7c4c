"""The stores of the model, real ones: what they lose, and how time passes in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from model_sight import ROWS, Sight, see
from sqlalchemy import event

from jobplatform.journal.writer import connect
from jobplatform.settings import Settings
from jobplatform.store import migrate
from jobplatform.store.database import Database
from jobplatform.transport import keys, scripts

#: A step takes so long for those who measure time; Redis loses the writes of less than 2.5 s.
STEP_SECONDS = 0.1
LOSABLE_STEPS = 20
LONG = timedelta(hours=1)
_SCRIPTS = (scripts.ACQUIRE, scripts.BEAT, scripts.COMMIT, scripts.PUSH, scripts.RESCUE)


class Stores:
    """A Redis that nobody else uses, and a schema in PostgreSQL."""

    def __init__(self, settings: Settings) -> None:
        self.client = connect(settings.redis_url)
        self.database = Database(settings)
        event.listen(self.database.engine, "connect", _hurry)
        migrate.upgrade(self.database)
        self._raw = self.database.engine.raw_connection()
        self._raw.driver_connection.autocommit = True

    def begin(self) -> None:
        """Empty the stores, and begin to count time."""
        self.client.flushall()
        for script in _SCRIPTS:
            self.client.script_load(script.text)
        for table in ("jobs", "dead_letter_jobs", "workers", "journal_quarantine"):
            self.sql(f"delete from @{table}")
        self.client.set(keys.CANARY, "seen")
        self.step = 0
        self._offset = timedelta()
        self._snapshot: tuple[int, dict[bytes, bytes]] | None = None
        self._seen: dict[bytes, int] = {}

    def close(self) -> None:
        self._raw.close()
        self.client.close()
        self.database.close()

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Run a statement whose tables are written ``@name``."""
        with self._raw.driver_connection.cursor() as cursor:
            cursor.execute(text.replace("@", f'"{self.database.schema}".'))
            return cursor.fetchall() if cursor.description else []

    def see(self) -> Sight:
        sight = see(self.client, self.sql(ROWS))
        self._seen = {stream_id: self._seen.get(stream_id, self.step) for stream_id in sight.journal_ids}
        return sight

    def clock(self) -> float:
        """Monotonic seconds."""
        return self.step * STEP_SECONDS

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def pass_time(self) -> None:
        """Let so much time pass that whatever waits for a time is due, and what was written is in Redis' file."""
        self._offset += LONG
        self._snapshot = None
        self._seen = dict.fromkeys(self._seen, -LOSABLE_STEPS)

    def leases(self) -> set[str]:
        return {tag.decode() for tag in self.client.hkeys(keys.LEASES)}

    def silence(self, tags: Iterable[str]) -> None:
        """Make leases look as if nobody had renewed them for long."""
        times = dict.fromkeys(tags, 1.0)
        if times:
            self.client.zadd(keys.LEASE_TIMES, times, xx=True)

    def waits_for_long(self) -> bool:
        """Tell whether the journal holds what was written before the last seconds."""
        return any(self.step - seen >= LOSABLE_STEPS for seen in self._seen.values())

    def empty(self) -> None:
        """Let Redis forget everything."""
        self.client.flushall()
        self._snapshot = None

    def remember(self) -> None:
        """Take note of all that Redis holds, as its file does."""
        names = self.client.keys("*")
        with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.dump(name)
            self._snapshot = self.step, dict(zip(names, pipe.execute(), strict=True))

    def may_roll_back(self) -> bool:
        return self._snapshot is not None and self.step - self._snapshot[0] < LOSABLE_STEPS

    def roll_back(self) -> None:
        """Let Redis come back without what was written since it was taken note of."""
        assert self._snapshot is not None
        with self.client.pipeline(transaction=True) as pipe:
            pipe.flushall()
            for name, value in self._snapshot[1].items():
                pipe.restore(name, 0, value)
            pipe.execute()
        self._snapshot = None


def _hurry(connection: Any, _: Any) -> None:
    """Let commits not wait for the disk: nothing here outlives the server."""
    with connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
    connection.commit()
