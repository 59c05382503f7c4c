"""The Python on the page about doing things once: run twice as it stands there, it has done its effects once."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import jobplatform
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.settings import Settings
from jobplatform.store import new_jobs
from jobplatform.store.database import Database

#: The page has tables of an application beside those of the platform.
pytestmark = pytest.mark.owner

PAGE = Path(__file__).parents[2] / "docs" / "idempotence.md"
#: Celery keeps every task of the process by name.
_pages = itertools.count(1)
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


class Base(DeclarativeBase):
    """The application's own tables."""


class Order(Base):
    """A row of the application's own."""

    __tablename__ = "orders"
    order_id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class Export(Base):
    """A row that belongs to a job."""

    __tablename__ = "exports"
    job_id: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    fence: Mapped[int]


class Calls(list[Any]):
    """What other services were asked for; the one that is to fail is named by its number."""

    failing = -1

    def take(self, *values: Any, **named: Any) -> str:
        self.append((*values, *named.values()))
        if len(self) == self.failing:
            raise ConnectionError("died")
        return "done"


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[Celery]:
    made = Celery("page", set_as_current=True)
    jobplatform.attach(made, settings)
    made.set_default()
    yield made
    made.jobplatform.close()
    made.close()


@pytest.fixture
def shop(settings: Settings, app: Celery, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application that the page imports."""
    made: Any = ModuleType("shop")
    options = f"-c search_path={settings.schema}"
    made.engine = create_engine(settings.sqlalchemy_url, connect_args={"options": options})
    Base.metadata.create_all(made.engine)
    made.Order, made.calls = Order, Calls()
    made.payments = SimpleNamespace(charge=made.calls.take)
    made.mail = SimpleNamespace(send=made.calls.take)
    made.imports = SimpleNamespace(load=made.calls.take)
    monkeypatch.setitem(sys.modules, "shop", made)
    yield made
    made.engine.dispose()


@pytest.fixture
def page(shop: Any) -> Mapping[str, Any]:
    """The names that the page's snippets define."""
    names: dict[str, Any] = {"__name__": f"page{next(_pages)}"}
    for snippet in SNIPPETS:
        exec(compile(snippet, str(PAGE), "exec", dont_inherit=True), names)
    return names


def run(task: Any, *args: Any, job_id: str, attempts: int = 2) -> None:
    """Run a job as so many attempts of one id."""
    for retries in range(attempts):
        task.apply(args, task_id=job_id, retries=retries, throw=True)


def test_the_page_has_a_snippet_for_each_tool(page: Mapping[str, Any]) -> None:
    assert {"place_order", "charge", "greet", "export", "import_lines"} <= set(page)
    assert len(SNIPPETS) == 5


def test_an_order_is_placed_once(page: Mapping[str, Any], shop: Any) -> None:
    run(page["place_order"], "cup", job_id=new_job_id())
    with Session(shop.engine) as session:
        assert session.scalars(select(Order.article)).all() == ["cup"]


def test_every_run_of_a_charge_gives_the_same_key(page: Mapping[str, Any], shop: Any) -> None:
    job_id = new_job_id()
    run(page["charge"], "ada", 1845, job_id=job_id)
    assert shop.calls == [("ada", 1845, f"{job_id}:charge")] * 2


def test_a_greeting_is_sent_once(page: Mapping[str, Any], shop: Any) -> None:
    run(page["greet"], "ada", job_id=new_job_id())
    assert shop.calls == [("ada", "Welcome!")]


def test_a_late_run_undoes_no_export(page: Mapping[str, Any], shop: Any) -> None:
    job_id = new_job_id()
    for retries, url in ((0, "first"), (2, "third"), (1, "second")):
        page["export"].apply((url,), task_id=job_id, retries=retries, throw=True)
    with Session(shop.engine) as session:
        assert session.execute(select(Export.url, Export.fence)).all() == [("third", 3)]


def test_an_import_goes_on_behind_its_last_checkpoint(page: Mapping[str, Any], shop: Any, database: Database) -> None:
    job_id, lines = new_job_id(), ["a", "b", "c", "d"]
    with database.transaction() as transaction:
        new_jobs.insert(transaction, [row_of(NewJob(job_id, "page.import_lines", "{}", "celery"))])
    shop.calls.failing = 3
    with pytest.raises(ConnectionError):
        page["import_lines"].apply((lines,), task_id=job_id, throw=True)
    assert page["import_lines"].apply((lines,), task_id=job_id, retries=1, throw=True).result == 4
    assert [call[0] for call in shop.calls] == ["a", "b", "c", "c", "d"]
