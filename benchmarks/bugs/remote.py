"""Other machines: HTTP servers and databases that fail."""

from __future__ import annotations

import random
import sqlite3
import urllib.request
import uuid
from types import SimpleNamespace

import psycopg2
from psycopg2 import errors

from . import words

#: Where a server of the benchmark answers with the status that it is asked for.
SERVER = ["http://localhost:1"]


class HTTPError(OSError):
    """What an HTTP client raises."""

    def __init__(self, status: int, reason: str, url: str) -> None:
        side = "Server" if status >= 500 else "Client"
        super().__init__(f"{status} {side} Error: {reason} for url: {url}")
        self.response = SimpleNamespace(status_code=status, url=url, headers={})


def get(luck: random.Random, status: int, reason: str, host: str) -> None:
    """Fail as a shared client does, in the same function for all of its callers."""
    raise HTTPError(status, reason, f"https://{host}/v1/{words.word(luck)}/{luck.randrange(10**6)}?at={luck.random()}")


def rates_away(luck: random.Random) -> None:
    get(luck, 503, "Service Unavailable", "rates.example.com")


def rates_broken(luck: random.Random) -> None:
    get(luck, 500, "Internal Server Error", "rates.example.com")


def stock_away(luck: random.Random) -> None:
    get(luck, 503, "Service Unavailable", "stock.example.com")


def page_gone(luck: random.Random) -> None:
    get(luck, 404, "Not Found", "stock.example.com")


def answered(luck: random.Random) -> None:
    urllib.request.urlopen(f"{SERVER[0]}/503/{words.word(luck)}?id={uuid.UUID(int=luck.getrandbits(128))}")


def refused(luck: random.Random) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{luck.randrange(2, 9)}/{words.word(luck)}")


def pool(luck: random.Random) -> None:
    raise ConnectionError(
        f"HTTPSConnectionPool(host='mail.example.com', port=443): Max retries exceeded with url: /{words.word(luck)}"
        f"?id={luck.randrange(999)} (Caused by NewConnectionError('<urllib3.connection.HTTPSConnection object at "
        f"{hex(luck.getrandbits(44))}>: Failed to establish a new connection: [Errno 111] Connection refused'))"
    )


def database_away(luck: random.Random) -> None:
    psycopg2.connect(f"postgresql://app@127.0.0.1:{luck.randrange(2, 9)}/shop", connect_timeout=2)


def doubled(luck: random.Random) -> None:
    raise errors.UniqueViolation(
        'duplicate key value violates unique constraint "orders_number_key"\n'
        f"DETAIL:  Key (number)=({words.word(luck)}-{luck.randrange(99)}) already exists.\n"
    )


def query(luck: random.Random, table: str) -> None:
    line = f"LINE {luck.randrange(1, 9)}: select * from {table} where id = {luck.randrange(999)}"
    raise errors.UndefinedTable(f'relation "{table}" does not exist\n{line}\n{"^":>{luck.randrange(9, 40)}}\n')


def no_orders(luck: random.Random) -> None:
    query(luck, "order_lines")


def no_prices(luck: random.Random) -> None:
    query(luck, "price_lists")


def deadlock(luck: random.Random) -> None:
    first, second = luck.randrange(10**5), luck.randrange(10**5)
    raise errors.DeadlockDetected(
        f"deadlock detected\nDETAIL:  Process {first} waits for ShareLock on transaction {second}; blocked by process "
        f"{second}.\nProcess {second} waits for ShareLock on transaction {first}.\nHINT:  See server log.\n"
    )


def not_unique(luck: random.Random) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table carts (id primary key)")
        for _ in range(2):
            connection.execute("insert into carts values (?)", (words.word(luck),))
            connection.execute("insert into carts select id from carts limit 1")
