"""How long the server takes for pages and lists, in a database that ``benchmarks.seed`` has filled."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import click
from starlette.testclient import TestClient

from benchmarks.stacks import BenchmarkError, say
from benchmarks.statistics import percentile
from jobplatform.actions import people
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.devstack.stack import DevStack
from jobplatform.journal.writer import connect
from jobplatform.settings import Settings
from jobplatform.store import migrate
from jobplatform.store.database import Database
from jobplatform.web.app import make_app

#: As ``jobplatform web`` opens its database, and what 95 of 100 requests may take, in milliseconds.
_POOL, _STATEMENT_SECONDS, _GOAL = 10, 2.0, 300.0
#: What is written here makes Linux drop its page cache (proc_sys_vm(5), drop_caches).
_FORGET = Path("/proc/sys/vm/drop_caches")
_STATES = ("completed", "failed", "pending", "retrying", "cancelled", "blocked")
#: Lists that take no filter here.
_PLACES = ("queues", "workers", "schedules", "batches", "limits", "breakers", "quarantine", "alerts", "plans",
           "decisions", "history", "models", "metrics", "bulk", "audit", "people", "settings")  # fmt: skip
_ERRORS = ("TimeoutError", "ConnectionError", "ValueError", "MemoryError", "NoSuchError")


class Asked(NamedTuple):
    """A request and how long it took.

    :param status: of the answer; 422 is a refusal that says how to narrow it.
    """

    path: str
    status: int
    milliseconds: float


def _type(draw: random.Random) -> str:
    return f"type:shop.type_{draw.randrange(61)}"


def _queue(draw: random.Random) -> str:
    return f"queue:queue-{draw.randrange(9)}"


def _state(draw: random.Random) -> str:
    return f"state:{draw.choice(_STATES)}"


def _tag(draw: random.Random) -> str:
    return f"tag:{draw.choice(('vip', 'nightly', 'import', 'mail', 'canary', 'none'))}"


def _tenant(draw: random.Random) -> str:
    return f"tenant:tenant-{draw.randrange(202)}"


def _error(draw: random.Random) -> str:
    return f"error:{draw.choice(_ERRORS)}"


def _since(draw: random.Random) -> str:
    return f"since:{draw.choice(('1h', '1d', '7d', '60d'))}"


_FILTERS = (_type, _queue, _state, _tag, _tenant, _error, _since)


def _three(draw: random.Random) -> str:
    return " ".join(make(draw) for make in draw.sample(_FILTERS, 3))


def _payload(draw: random.Random) -> str:
    path = draw.choice(("customer.id:{0}", "customer.country:de", "order:{1}", "note:none"))
    path = path.format(draw.randrange(50_000), draw.randrange(10_000_000))
    return f"kwargs.{path} {draw.choice((_type, _queue, _since, lambda _: ''))(draw)}".strip()


def _text(draw: random.Random) -> str:
    return f'"service {draw.randrange(45)} for" {_state(draw)}'


def _searched(place: str, make: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda draw: f"{place}?{urlencode({'q': make(draw)})}"


def _plain(path: str) -> Callable[[random.Random], str]:
    return lambda draw: path


def kinds(jobs: list[str]) -> Mapping[str, Callable[[random.Random], str]]:
    """Name what is asked for, and how a request of each is drawn.

    :param jobs: ids of some.
    """
    return {
        "overview": _plain("/"),
        "jobs": _plain("/jobs"),
        "jobs, one state": _searched("/jobs", _state),
        "jobs, three filters": _searched("/jobs", _three),
        "jobs, payload path": _searched("/jobs", _payload),
        "jobs, error text": _searched("/jobs", _text),
        "job": lambda draw: f"/jobs/{draw.choice(jobs)}",
        "dead letters": _plain("/dead-letters"),
        **{place: _plain(f"/{place}") for place in _PLACES},
        "API jobs, three filters": _searched("/api/v1/jobs", _three),
        "API job": lambda draw: f"/api/v1/jobs/{draw.choice(jobs)}",
    }


@contextmanager
def _visitor(stack: DevStack) -> Iterator[tuple[TestClient, Database]]:
    settings = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
    database = Database(settings, _POOL, _STATEMENT_SECONDS)
    # What a newer version adds to the tables may take its time.
    patient = Database(settings, statement_seconds=3_600)
    migrate.upgrade(patient)
    patient.close()
    desk, root = Desk(settings, database, lambda: connect(settings.redis_url), lambda: None), at_terminal("benchmark")
    name = f"benchmark-{time.time_ns()}"
    people.add_user(desk, root, name, f"password of {name}", "admin")
    token = people.add_token(desk, root, name, "pages", [*map(str, Permission)], timedelta(hours=1), Scope())
    with TestClient(make_app(desk), "http://127.0.0.1", raise_server_exceptions=False) as client:
        client.headers["authorization"] = f"Bearer {token.secret}"
        yield client, database
    database.close()


def _some_jobs(database: Database, draw: random.Random) -> list[str]:
    with database.session() as session:
        table = f'"{database.schema}".jobs'
        ids = session.connection.exec_driver_sql(
            f"select job_id::text from {table} tablesample system (0.01)"
        ).scalars()
        found = list(ids)
    if not found:
        raise BenchmarkError("jobs: there are none; fill the tables first: python -m benchmarks.seed")
    return draw.sample(found, min(200, len(found)))


def _ask(client: TestClient, path: str) -> Asked:
    began = time.perf_counter()
    reply = client.get(path)
    took = (time.perf_counter() - began) * 1_000
    if reply.status_code not in (200, 422):
        raise BenchmarkError(f"{path}: {reply.status_code} {reply.text[:500]}")
    return Asked(path, reply.status_code, took)


def _row(kind: str, asked: list[Asked]) -> dict[str, Any]:
    times = [each.milliseconds for each in asked]
    slowest = max(asked, key=lambda each: each.milliseconds)
    return {
        "kind": kind,
        "requests": len(asked),
        "p50_ms": percentile(times, 0.5),
        "p95_ms": percentile(times, 0.95),
        "most_ms": slowest.milliseconds,
        "refused": sum(each.status == 422 for each in asked),
        "slowest": slowest.path,
    }


def _forget() -> None:
    """Let the system forget what it holds of files, so that they are read from the disk."""
    os.sync()
    _FORGET.write_text("3")


@click.command()
@click.option("--dir", "directory", required=True, type=click.Path(path_type=Path, exists=True), help="As of the seed.")
@click.option("--requests", default=60, show_default=True, type=click.IntRange(1), help="Of each kind.")
@click.option("--seed", "number", default=1, show_default=True, help="What draws the requests.")
@click.option("--cold", is_flag=True, help="Forget before each kind what the system holds of files; needs root.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Where all figures are written.")
def main(directory: Path, requests: int, number: int, cold: bool, file: Path | None) -> None:
    """Ask for pages and lists, and tell how long the server took."""
    draw, rows = random.Random(number), []
    with DevStack(directory) as stack, _visitor(stack) as (client, database):
        for kind, make in kinds(_some_jobs(database, draw)).items():
            if cold:
                _forget()
            row = _row(kind, [_ask(client, make(draw)) for _ in range(requests)])
            rows.append(row)
            verdict = "ok" if row["p95_ms"] <= _GOAL else "MISS"
            say(
                f"{kind:26} p50 {row['p50_ms']:7.1f}  p95 {row['p95_ms']:7.1f}  most {row['most_ms']:7.1f} ms  "
                f"refused {row['refused']:3}  {verdict}  {row['slowest']}"
            )
    if file is not None:
        file.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
