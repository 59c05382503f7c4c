"""Requests that the OpenAPI document allows, and some that it does not, made by schemathesis.

``python -m benchmarks.fuzz_api --minutes 10`` sends them to an application on a stack of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import schemathesis
from celery import Celery
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

import jobplatform
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
from jobplatform.web.openapi import operations

#: These train, simulate or measure for seconds, look at the whole machine, or put out who asks; other tests drive them.
LEFT_OUT = frozenset({"models.train", "capacity.ask", "health.check", "tokens.revoke", "users.change"})


class Fuzzed(NamedTuple):
    """How many answers had which status, and the first wrong answer of each operation."""

    statuses: Counter[int]
    wrong: dict[str, str]


def fuzz(client: TestClient, token: dict[str, str], examples: int, until: float = float("inf")) -> Fuzzed:
    """Ask for every operation so many times.

    :param until: a time of the monotonic clock after which no operation is begun.
    """
    document = client.get("/api/openapi.json", headers=token).json()
    for path, method, operation in list(operations(document)):
        if LEFT_OUT & {*operation["x-actions"]}:
            del document["paths"][path][method]
    seen = Fuzzed(Counter(), {})
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        if isinstance(result, Ok) and time.monotonic() < until:
            _try(client, token, result.ok(), examples, seen)
    return seen


def _try(client: TestClient, token: dict[str, str], operation: Any, examples: int, seen: Fuzzed) -> None:
    modes = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.one_of(modes))
    def one(case: Any) -> None:
        parts = case.as_transport_kwargs(base_url=str(client.base_url))
        # What it makes up to sign in with is left out, so that all is asked by somebody who may.
        made = {name.lower(): str(value).encode() for name, value in dict(parts.get("headers") or {}).items()}
        parts["headers"] = {**made, **token}
        parts.pop("cookies", None)
        if isinstance(parts.get("data"), bytes | str):
            parts["content"] = parts.pop("data")
        reply = client.request(**parts)
        seen.statuses[reply.status_code] += 1
        problem = _problem(operation, reply)
        if problem:
            shown = {name: parts.get(name) for name in ("url", "params", "json", "content")}
            told = f"{problem}: {parts['method']} {shown}: {reply.status_code} {reply.text[:500]}"
            seen.wrong.setdefault(f"{operation.method} {operation.path}", told)

    one()


def _problem(operation: Any, reply: Any) -> str | None:
    """Say what is wrong with an answer."""
    if reply.status_code >= 500:
        return "an error of the server"
    if str(reply.status_code) not in {*operation.responses.status_codes, "405"}:
        return "the document does not tell of this status"
    if reply.status_code >= 400 and reply.headers["content-type"] != "application/problem+json":
        return "no problem document"
    return None


def main() -> None:
    """Ask in rounds until the time is over, and tell what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    until = time.monotonic() + parser.parse_args().minutes * 60
    stack = DevStack(Path(tempfile.mkdtemp(prefix="fuzz-")))
    stack.start()
    settings = Settings(database_url=stack.database_url, redis_url=stack.redis_url)
    database = Database(settings, statement_seconds=2.0)
    statuses, wrong, rounds = Counter[int](), dict[str, str](), 0
    try:
        migrate.upgrade(database)
        app = Celery("fuzzed", set_as_current=False)
        jobplatform.attach(app, settings)
        desk = Desk(settings, database, lambda: connect(settings.redis_url), lambda: app)
        with TestClient(make_app(desk), "http://127.0.0.1:8700", raise_server_exceptions=False) as client:
            while time.monotonic() < until:
                seen = fuzz(client, _token(desk, rounds), 10, until)
                statuses, wrong, rounds = statuses + seen.statuses, seen.wrong | wrong, rounds + 1
    finally:
        database.close()
        stack.erase()
    print(f"{statuses.total()} requests in {rounds} rounds: {dict(sorted(statuses.items()))}")
    print("\n".join(f"{name}: {told}" for name, told in wrong.items()))
    sys.exit(bool(wrong))


def _token(desk: Desk, number: int) -> dict[str, str]:
    """Give the header of somebody new who administers, since a round may put out who is there."""
    root, name = at_terminal("root"), f"fuzz{number}"
    people.add_user(desk, root, name, "correct horse battery", "admin")
    made = people.add_token(desk, root, name, "fuzz", list(Permission), timedelta(days=1), Scope())
    return {"authorization": f"Bearer {made.secret}"}


if __name__ == "__main__":
    main()
