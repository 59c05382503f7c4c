"""What each read over HTTP asks PostgreSQL for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import event
from web_place import add_user, browser, desk_at, token_of

import jobplatform
from jobplatform.actions.desk import Desk
from jobplatform.records import NewJob, new_job_id
from jobplatform.settings import Settings
from jobplatform.store import new_jobs
from jobplatform.store.database import Database
from jobplatform.web.app import make_app
from jobplatform.web.rule import served

#: Who asks is known after this one.
_SESSION = 1
_MOST = 3
#: What shows many things at once, or asks once a kind: none of them asks once a row.
_MORE = {
    "/overview": 8, "/jobs/{job_id}": 4, "/jobs/{job_id}/eta": 5, "/decisions": 4, "/fleet/replacements": 4,
    "/clusters/{cluster}": 6, "/audit/verify": 4,
}  # fmt: skip


@pytest.fixture
def desk(settings: Settings, database: Database, client: Any) -> Iterator[Desk]:
    app = Celery("counted", set_as_current=False)
    jobplatform.attach(app, settings)
    yield desk_at(settings, database, app)
    app.jobplatform.close()
    app.close()


def test_no_read_asks_more_than_a_few_times_however_many_rows_there_are(desk: Desk) -> None:
    add_user(desk, "ann", "admin")
    job_ids = [new_job_id() for _ in range(20)]
    with desk.database.transaction() as transaction:
        for job_id in job_ids:
            new_jobs.insert_one(transaction, NewJob(job_id, "shop.mail", "{}", "celery"))
    asked: list[str] = []
    event.listen(desk.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    found = {}
    with browser(desk) as web:
        web.headers.update(token_of(desk, "ann", "admin"))
        for route in served(make_app(desk)):
            path = route.path.removeprefix("/api/v1")
            if "GET" not in route.methods or path == route.path or path.endswith("/export"):
                continue
            asked.clear()
            reply = web.get("/api/v1" + path.format_map(_Parts(job_ids[0])))
            assert reply.status_code < 500, reply.text
            found[path] = len([each for each in asked if "sp_" not in each]) - _SESSION
    assert {path: count for path, count in found.items() if count > _MORE.get(path, _MOST)} == {}


class _Parts(dict[str, str]):
    def __init__(self, job_id: str) -> None:
        super().__init__(job_id=job_id, root_id=job_id, batch_id=job_id)

    def __missing__(self, name: str) -> str:
        return "7"
