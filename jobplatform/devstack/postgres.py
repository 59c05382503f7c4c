"""The embedded PostgreSQL 18: TCP on the loopback only, durable, restartable on the same data."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil

from jobplatform.devstack.placement import Owner, make_home, postgres_programs, server_owner
from jobplatform.devstack.server import Server

DATABASE = "jobplatform"
USER = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
}
#: What a machine that loses power may take with it; a server that is killed loses nothing by this either.
HASTY = {"fsync": "off", "full_page_writes": "off"}


class Postgres(Server):
    """A PostgreSQL server with the database ``jobplatform``, open to anyone on the loopback.

    :param durable: whether what was committed outlives the machine.
    """

    title: ClassVar[str] = "PostgreSQL"
    program: ClassVar[str] = "postgres"
    # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, which recovers at the next start.
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]] = (
        (signal.SIGINT, 20.0),
        (signal.SIGQUIT, 5.0),
    )

    def __init__(self, home: Path, port: int, durable: bool = True) -> None:
        super().__init__(home, port)
        self.durable = durable

    @property
    def url(self) -> str:
        """The URL of the database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home.resolve() / "data"

    def owner(self) -> Owner | None:
        """Give the user that runs the server, which is never root."""
        return server_owner(self.home)

    def prepare(self) -> None:
        """Make the database cluster, if it is missing, and drop a lock that no server holds."""
        make_home(self.home, self.owner())
        if not self.data.exists():
            self._create()
        self._drop_stale_lock()

    def argv(self) -> list[str]:
        """Give the command line of the server."""
        settings = SETTINGS if self.durable else SETTINGS | HASTY
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", str(self.data), "-c", f"port={self.port}", *options]

    def is_ready(self) -> bool:
        """Tell whether the server wrote that it is ready, as pg_ctl does."""
        lines = self._lock_lines()
        return self.running and len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _program(self, name: str) -> str:
        return str(postgres_programs(self.owner()) / name)

    def _create(self) -> None:
        """Make the cluster and its database, under another name first, so that no crash leaves a half."""
        fresh = self.data.with_name("data.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        kind = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", *([] if self.durable else ["--no-sync"])]
        self._complete([self._program("initdb"), "-D", str(fresh), *kind])
        single = ["--single", "-D", str(fresh), "-c", "exit_on_error=on", "postgres"]
        self._complete([self._program("postgres"), *single], f"CREATE DATABASE {DATABASE}\n")
        fresh.rename(self.data)

    def _complete(self, argv: list[str], text: str = "") -> None:
        process = self._spawn(argv, stdin=subprocess.PIPE)
        try:
            process.communicate(text.encode())
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            ended = f"{Path(argv[0]).name} ended with {process.returncode}"
            raise self._failure(f"could not make its database: {ended}")

    def _lock_lines(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text().splitlines()
        return []

    def _drop_stale_lock(self) -> None:
        """Delete a lock file whose process id now belongs to another program, as happens after a reboot."""
        lines = self._lock_lines()
        with suppress(psutil.NoSuchProcess, ValueError):
            if lines and psutil.Process(int(lines[0])).name() != self.program:
                (self.data / "postmaster.pid").unlink()
