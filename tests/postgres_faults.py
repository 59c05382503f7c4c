"""Ways in which a PostgreSQL refuses its work while it runs; each ends with its block."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import psutil
import psycopg2

from jobplatform.devstack.postgres import Postgres

#: Ours, by the name that they give themselves.
END_OURS = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'jobplatform'"


@contextmanager
def operator(url: str) -> Iterator[psycopg2.extensions.cursor]:
    """Open a session that every statement commits, and that may write whatever the server says."""
    options = "-c default_transaction_read_only=off"
    with closing(psycopg2.connect(url, application_name="operator", options=options)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def set_read_only(url: str, read_only: bool) -> None:
    """Let a server take no writes in any new transaction, as one that was demoted; or let it take them again."""
    with operator(url) as cursor:
        value = "on" if read_only else "default"
        cursor.execute(f"alter system set default_transaction_read_only = {value}")
        cursor.execute("select pg_reload_conf()")
    # Sessions hear of it one by one; those that begin later have it.
    shown, give_up = None, time.monotonic() + 30
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        while shown != ("on" if read_only else "off",):
            assert time.monotonic() < give_up, shown
            connection.rollback()
            cursor.execute("show transaction_read_only")
            shown = cursor.fetchone()


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Let a server take no writes."""
    set_read_only(url, True)
    try:
        yield
    finally:
        set_read_only(url, False)


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Hold the strongest lock on a table, as a migration of somebody's does."""
    with closing(psycopg2.connect(url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"lock table {table} in access exclusive mode")
        yield


@contextmanager
def standing_still(server: Postgres) -> Iterator[None]:
    """Freeze a server with all its processes, as a disk or a virtual machine does that stalls."""
    main = psutil.Process(server.pid)
    # The one that starts the others first.
    main.suspend()
    processes = [*main.children(), main]
    try:
        signal_all(processes, signal.SIGSTOP)
        yield
    finally:
        signal_all(processes, signal.SIGCONT)


def kill_all(server: Postgres) -> None:
    """Kill a server together with all its backends, which would else end what they are at."""
    children = psutil.Process(server.pid).children()
    server.kill(signal.SIGKILL)
    signal_all(children, signal.SIGKILL)
    psutil.wait_procs(children)


def signal_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to all that are still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


@contextmanager
def all_slots_taken(url: str) -> Iterator[None]:
    """Take every slot for a connection, those of ours first."""
    ours, give_up = None, time.monotonic() + 120
    with ExitStack() as taken, operator(url) as cursor:
        while ours != (0,):
            assert time.monotonic() < give_up, ours
            cursor.execute(END_OURS)
            with suppress(psycopg2.OperationalError):
                while True:
                    taken.enter_context(closing(psycopg2.connect(url, application_name="idle")))
            cursor.execute("select count(*) from pg_stat_activity where application_name = 'jobplatform'")
            ours = cursor.fetchone()
        yield
