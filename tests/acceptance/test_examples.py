"""The examples of attaching an existing application: each runs as its README says, and leaves the right rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from processes import answer_of, eventually, running, tail

from jobplatform.settings import Settings
from jobplatform.states import State
from jobplatform.store import executions, listing
from jobplatform.store.database import Database

EXAMPLES = Path(__file__).parents[2] / "examples" / "attach"
ROWS_SECONDS = 30.0


@dataclass(frozen=True)
class Example:
    """One application: its folder, what ``celery -A`` takes, and a client of it.

    :param client: Python code that submits, waits, and prints ``{job id: result}``.
    :param expected: the result and the number of executions of each job, in the order of submission.
    """

    folder: str
    app: str
    client: str
    queue: str
    expected: Sequence[tuple[Any, int]]


PLAIN = Example(
    "plain",
    "shop",
    """
import json
from tasks import charge, invoice_total
results = [invoice_total.delay([10.0, 5.5]), charge.delay("A-1", 18.45)]
print(json.dumps({result.id: result.get(timeout=40) for result in results}))
""",
    "shop",
    [(18.45, 1), ("A-1: 18.45 charged", 2)],
)

_WEB_CLIENT = """
import json, time
def ask(path):
    deadline = time.monotonic() + 40
    while not (answer := get(path))["ready"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer["result"]
"""

WEB = Example(
    "web",
    "make_celery",
    _WEB_CLIENT
    + """
from make_celery import flask_app
client = flask_app.test_client()
get = lambda path: client.get(path).get_json()
job = client.post("/orders", json={"order": "A-1", "items": ["cup", "pot", "pan"]}).get_json()["job"]
print(json.dumps({job: ask(f"/orders/{job}")}))
""",
    "webshop",
    [({"order": "A-1", "parcels": 2, "queue": "webshop"}, 1)],
)

DJANGO = Example(
    "django_project",
    "project",
    _WEB_CLIENT
    + """
import django, project
django.setup()
from django.test import Client
client = Client()
get = lambda path: client.get(path).json()
job = client.post("/orders/", {"order": "A-1", "weight": 12}, content_type="application/json").json()["job"]
print(json.dumps({job: ask(f"/orders/{job}/")}))
""",
    "orders",
    [({"order": "A-1", "carrier": "bicycle"}, 1)],
)


@pytest.mark.parametrize("example", [PLAIN, WEB, DJANGO], ids=lambda example: example.folder)
@pytest.mark.owner
def test_an_existing_application_is_durable_by_one_line(
    example: Example, settings: Settings, database: Database, tmp_path: Path
) -> None:
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushall()
    env, folder = environment(settings), EXAMPLES / example.folder
    with ExitStack() as beside:
        for name in ("worker", "controller"):
            argv = ["-m", "celery", "-A", example.app, name, *(["-c", "2"] if name == "worker" else [])]
            beside.enter_context(running(argv, env, folder, tmp_path / name))
        results: dict[str, Any] = answer_of(example.client, env, folder)
        eventually(lambda: all_completed(database, results), ROWS_SECONDS, lambda: logs(tmp_path))
    assert list(results.values()) == [result for result, _ in example.expected]
    for job_id, (result, starts) in zip(results, example.expected, strict=True):
        check_rows(database, job_id, example.queue, result, starts)


def environment(settings: Settings) -> dict[str, str]:
    """Give the environment that the README asks for, in a schema of the test's own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JOBPLATFORM_")}
    return clean | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "JOBPLATFORM_SCHEMA": settings.schema,
    }


def all_completed(database: Database, job_ids: Mapping[str, Any]) -> bool:
    """Tell whether every job has a row that says so."""
    with database.session() as session:
        rows = [listing.show_job(session, job_id) for job_id in job_ids]
    return all(row is not None and row["status"] == State.COMPLETED for row in rows)


def check_rows(database: Database, job_id: str, queue: str, result: Any, starts: int) -> None:
    """Compare the rows of a job with what its client saw."""
    with database.session() as session:
        row = listing.show_job(session, job_id)
        attempts = executions.of_job(session, job_id)
    assert row is not None
    assert (row["result"], row["queue"], row["attempt"]) == (result, queue, starts)
    assert [attempt["attempt_number"] for attempt in attempts] == list(range(1, starts + 1))
    assert attempts[-1]["status"] == State.COMPLETED
    assert all(attempt["worker_id"] and attempt["completed_at"] for attempt in attempts)


def logs(directory: Path) -> str:
    """Give what worker and controller wrote last."""
    return "\n".join(f"--- {name}\n{tail(directory / name)}" for name in ("worker", "controller"))
