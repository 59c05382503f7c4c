"""No request, however odd, is answered by an error of the server."""

from __future__ import annotations

from typing import Any

from celery import Celery
from web_place import add_user, browser, desk_at, token_of

import jobplatform
from benchmarks.fuzz_api import fuzz
from jobplatform.settings import Settings
from jobplatform.store.database import Database


def test_no_request_leads_to_an_error_of_the_server(settings: Settings, database: Database, client: Any) -> None:
    app = Celery("fuzzed", set_as_current=False)
    jobplatform.attach(app, settings)
    desk = desk_at(settings, database, app)
    add_user(desk, "ann", "admin")
    with browser(desk) as web:
        seen = fuzz(web, token_of(desk, "ann", "admin"), examples=2)
    app.jobplatform.close()
    app.close()
    assert not seen.wrong, "\n".join(seen.wrong.values())
    assert {200, 204, 404, 422} <= seen.statuses.keys() and 401 not in seen.statuses
