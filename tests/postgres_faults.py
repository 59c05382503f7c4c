"""Ways in which a PostgreSQL refuses its work while it runs; each ends with its block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

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
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        shown = ""
        while shown != ("on" if read_only else "off"):
            connection.rollback()
            cursor.execute("show transaction_read_only")
            (shown,) = cursor.fetchone() or ("",)


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
    processes = [main]
    main.suspend()
    for child in main.children():
        child.suspend()
        processes.append(child)
    try:
        yield
    finally:
        for process in reversed(processes):
            process.resume()


@contextmanager
def all_slots_taken(url: str) -> Iterator[None]:
    """Take every slot for a connection, those of ours first."""
    with ExitStack() as taken, operator(url) as cursor:
        while True:
            cursor.execute(END_OURS)
            try:
                while True:
                    taken.enter_context(closing(psycopg2.connect(url, application_name="idle")))
            except psycopg2.OperationalError as error:
                assert "too many clients" in str(error) or "slots are reserved" in str(error), error
            cursor.execute("select count(*) from pg_stat_activity where application_name = 'jobplatform'")
            if cursor.fetchone() == (0,):
                break
        yield
