"""The development stack: one PostgreSQL and one Redis in one directory, with URLs that outlive a restart."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from jobplatform.devstack import ports
from jobplatform.devstack.placement import remove_home
from jobplatform.devstack.postgres import Postgres
from jobplatform.devstack.redis import Redis
from jobplatform.devstack.server import Server
from jobplatform.errors import DevStackError
from jobplatform.settings import Settings

_PORT_NAMES = ("postgres_port", "redis_port")


@dataclass(frozen=True, slots=True)
class StackInfo:
    """A running stack as another process sees it."""

    pid: int
    database_url: str
    redis_url: str

    def environment(self) -> dict[str, str]:
        """Give the environment variables that point a process to the stack."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


class DevStack:
    """The servers of one directory, running between ``start`` and ``stop`` or inside ``with``.

    The servers end with the thread that called ``start``, even if it was killed; call it from one that lasts.

    :param directory: where data, logs, lock and ``stack.json`` lie; made when missing.
    :param settings: a ``database_url`` or ``redis_url`` in it is used instead of a server of ours.
    :param durable: whether what was committed outlives the machine, and not only the servers.
    """

    def __init__(self, directory: Path, settings: Settings | None = None, durable: bool = True) -> None:
        self.directory = directory.absolute()
        self.settings = settings or Settings()
        self.durable = durable
        self._undo = ExitStack()
        self._info: StackInfo | None = None
        self._postgres: Postgres | None = None
        self._redis: Redis | None = None

    def __enter__(self) -> DevStack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start both servers side by side and return when both take connections.

        :raises DevStackError: when the directory's stack already runs, or a server does not come up.
        """
        with ExitStack() as undo:
            self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            undo.callback(os.close, _lock(self.directory))
            claims = _claim_ports(self.directory)
            undo.callback(ports.release, claims.values())
            servers = self._make_servers(claims)
            for server in servers:
                undo.callback(server.stop)
                server.spawn()
            for server in servers:
                server.wait_ready()
            self._info = self._describe()
            undo.callback(self._forget)
            _write_record(self.directory, _read_record(self.directory) | asdict(self._info))
            self._undo = undo.pop_all()

    def stop(self) -> None:
        """Stop both servers, leave no process behind and keep the data; nothing to do is fine."""
        self._undo.close()

    def erase(self) -> None:
        """Stop, and delete the directory with all its data."""
        self.stop()
        remove_home(self.directory / "postgres")
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def info(self) -> StackInfo:
        """The process id and URLs of the started stack."""
        if self._info is None:
            raise DevStackError(f"the stack of {self.directory} is not started; call start() first")
        return self._info

    @property
    def database_url(self) -> str:
        """The URL of the database."""
        return self.info.database_url

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return self.info.redis_url

    def environment(self) -> dict[str, str]:
        """Give the environment variables that point a process to the stack."""
        return self.info.environment()

    @property
    def postgres(self) -> Postgres:
        """The PostgreSQL server of ours."""
        if self._postgres is None:
            raise DevStackError("this stack runs no PostgreSQL; start it, without DATABASE_URL")
        return self._postgres

    @property
    def redis(self) -> Redis:
        """The Redis server of ours."""
        if self._redis is None:
            raise DevStackError("this stack runs no Redis; start it, without REDIS_URL")
        return self._redis

    def _make_servers(self, claims: Iterable[int]) -> list[Server]:
        """Make the servers that no setting replaces, the quick one first, on ports chosen once."""
        postgres_port, redis_port = claims
        if not self.settings.redis_url:
            self._redis = Redis(self.directory / "redis", redis_port)
        if not self.settings.database_url:
            self._postgres = Postgres(self.directory / "postgres", postgres_port, self.durable)
        return [server for server in (self._redis, self._postgres) if server is not None]

    def _describe(self) -> StackInfo:
        return StackInfo(
            pid=os.getpid(),
            database_url=self.settings.database_url or self.postgres.url,
            redis_url=self.settings.redis_url or self.redis.url,
        )

    def _forget(self) -> None:
        self._info = None


def read_running(directory: Path) -> StackInfo | None:
    """Read the stack that runs in a directory; None when none does, or it is still starting."""
    record = _read_record(directory)
    if "pid" not in record:
        return None
    lock = _try_lock(directory)
    if lock is None:
        return StackInfo(record["pid"], record["database_url"], record["redis_url"])
    os.close(lock)
    return None


def _try_lock(directory: Path) -> int | None:
    """Take the lock of a directory; None when it is held. It is free again when closed, or when we die."""
    path = directory / "stack.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as error:
        raise DevStackError(f"{path} belongs to another user; choose another directory") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _lock(directory: Path) -> int:
    """Take the lock of a directory, or raise."""
    for _ in range(10):
        if (lock := _try_lock(directory)) is not None:
            return lock
        # Whoever only looks holds it for a moment.
        time.sleep(0.05)
    raise DevStackError(
        f"a stack already runs in {directory} (process {_read_record(directory).get('pid', 'unknown')}); "
        "use its URLs, stop it, or choose another directory"
    )


def _claim_ports(directory: Path) -> dict[int, socket.socket]:
    """Claim the ports of a directory, chosen at the first start and kept, in the order of their names."""
    record = _read_record(directory)
    if not all(name in record for name in _PORT_NAMES):
        chosen = ports.claim_free(len(_PORT_NAMES))
        _write_record(directory, dict(zip(_PORT_NAMES, chosen, strict=True)))
        return chosen
    claims: dict[int, socket.socket] = {}
    for name in _PORT_NAMES:
        port = int(record[name])
        if (holder := ports.claim(port)) is None:
            ports.release(claims.values())
            raise DevStackError(
                f"port {port} is another stack's; stop that one, "
                f"or delete {directory / 'stack.json'} to let other ports be chosen"
            )
        claims[port] = holder
    _write_record(directory, dict(zip(_PORT_NAMES, claims, strict=True)))
    return claims


def _read_record(directory: Path) -> dict[str, Any]:
    path = directory / "stack.json"
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DevStackError(f"{path} cannot be read: {error}; make it readable, or delete it") from error
    if not isinstance(record, dict):
        raise DevStackError(f"{path} holds no JSON object; delete it")
    return record


def _write_record(directory: Path, record: dict[str, Any]) -> None:
    """Write ``stack.json`` in one step, for our eyes only, since a URL may hold a password."""
    fresh = directory / "stack.json.new"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file, indent=2)
    fresh.replace(directory / "stack.json")
