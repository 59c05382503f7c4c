"""The Python in the guides, as it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

import jobplatform
from jobplatform.settings import Settings
from jobplatform.store.database import Database

GUIDES = sorted((Path(__file__).parents[2] / "docs" / "guides").glob("*.md"))


@pytest.fixture
def app(settings: Settings, database: Database, client: Any) -> Iterator[Celery]:
    made = Celery("guides", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


@pytest.mark.parametrize("guide", GUIDES, ids=[guide.stem for guide in GUIDES])
def test_the_snippets_of_a_guide_run_one_after_the_other(app: Celery, database: Database, guide: Path) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```", guide.read_text(), re.DOTALL | re.MULTILINE)
    assert snippets
    names: dict[str, Any] = {"__name__": f"guide_{guide.stem}"}
    for number, snippet in enumerate(snippets):
        exec(compile(snippet, f"{guide.name}, snippet {number + 1}", "exec"), names)
    with database.session() as session:
        count = session.connection.exec_driver_sql(f'select count(*) from "{database.schema}".jobs').scalar()
    counts = {
        "agents": 0,
        "batches": 10,
        "dead-letters": 1,
        "durations": 1,
        "errors": 0,
        "expiry": 4,
        "flower": 1,
        "limits": 1,
        "quick-start": 1,
        "retries": 0,
        "schedules": 0,
        "testing": 0,
        "uniqueness": 3,
        "workflows": 9,
    }
    assert count == counts[guide.stem]
