"""Submitting by actions: with and without the code of a job type, within a scope, once."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from command_line import NOWHERE, CliEnvironment
from pydantic import BaseModel, Field

import jobplatform
from jobplatform import RetryRule, Unique, job
from jobplatform.actions import job_types, jobs, schedule_edits, schedules, submission
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.actions.submission import Submission
from jobplatform.cli.exits import Exit
from jobplatform.errors import (
    Forbidden,
    IdempotencyConflict,
    JobOptionError,
    PayloadProblems,
    SealError,
    UnknownJobType,
    UnknownQueue,
)
from jobplatform.jobs.published import published
from jobplatform.journal.recording import Recording
from jobplatform.maintenance.type_publisher import TypePublisher
from jobplatform.masking import MASK
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.sealing import is_sealed_payload
from jobplatform.settings import Settings
from jobplatform.store import audit, listing
from jobplatform.store import job_types as rows
from jobplatform.store.database import Database
from jobplatform.transport import census, keys

#: What the controller tells of job types is written here as well.
pytestmark = pytest.mark.owner

ROOT = at_terminal("root")
SECRET = "4111111111111111"


class Line(BaseModel):
    article: str = Field(pattern="^[A-Z]+$")
    count: int = Field(ge=1)


class Order(BaseModel):
    lines: list[Line]
    note: str | None = None


@job(name="act.order", payload=Order, queue="orders", priority=4, max_retries=2, retry=RetryRule(base=1.0), tool=True)
def order(value: Order) -> None:
    """Take an order.

    It is sent later.
    """


@job(name="act.charge", timeout=9.0, tags=("money",), unique=Unique(key="{customer}"), limit_key="c:{customer}")
def charge(customer: int, card: str = "", *, now: bool = False) -> None: ...


@job(name="hid.pay", encrypt=True)
def pay(note: str) -> None: ...


@job(name="hid.mail", secret=("body.text",))
def mail(to: str, body: dict[str, str]) -> None: ...


def attached(settings: Settings) -> Celery:
    made = Celery("acting", set_as_current=False)
    jobplatform.attach(made, settings)
    return made


def codeless(settings: Settings) -> Celery:
    app = attached(settings)
    for name in [name for name in app.tasks if name.startswith(("act.", "hid."))]:
        app.tasks.pop(name)
    return app


@pytest.fixture
def with_code(settings: Settings, database: Database, client: Any) -> Iterator[Desk]:
    """A desk of a process that has the code, which was told of."""
    app = attached(settings)
    app.loader.import_default_modules()
    TypePublisher(database, published(app)).run_once(datetime.now(UTC))
    yield Desk(settings, database, lambda: client, lambda: app)
    app.jobplatform.close()
    app.close()


@pytest.fixture
def without(with_code: Desk, settings: Settings) -> Iterator[Desk]:
    """A desk of a process that has the code of no job."""
    app = codeless(settings)
    yield replace(with_code, application=lambda: app)
    app.jobplatform.close()
    app.close()


def actor(scope: Scope, role: str = "operator") -> Actor:
    return Actor(role, Via.TOKEN, ROLES[role], scope, "192.0.2.1")


def row_of(desk: Desk, job_id: str) -> Any:
    with desk.look() as session:
        return listing.show_job(session, job_id)


def deeds(desk: Desk) -> list[Any]:
    with desk.look() as session:
        return list(audit.listed(session, 100))


def test_a_type_is_told_of_with_its_schema_and_only_what_changed_is_written(with_code: Desk) -> None:
    page = job_types.list_job_types(with_code, ROOT)
    assert [(row["name"], row["queue"], row["tool"]) for row in page.rows if row["name"].startswith("act.")] == [
        ("act.charge", "celery", False), ("act.order", "orders", True)
    ]  # fmt: skip
    shown = job_types.show_job_type(with_code, ROOT, "act.order")
    assert shown["words"] == "Take an order."
    assert shown["schema"]["properties"]["lines"]["type"] == "array"
    tools = [row["name"] for row in job_types.list_job_types(with_code, ROOT, tools=True).rows]
    assert [name for name in tools if name.startswith("act.")] == ["act.order"]
    first = job_types.list_job_types(with_code, ROOT, 1)
    assert job_types.list_job_types(with_code, ROOT, 100, first.next or "").rows[0]["name"] > first.rows[0]["name"]
    scoped = actor(Scope(frozenset({"orders"})))
    seen = [row["name"] for row in job_types.list_job_types(with_code, scoped).rows]
    assert [name for name in seen if name.startswith("act.")] == ["act.order"]
    with pytest.raises(UnknownJobType):
        job_types.show_job_type(with_code, scoped, "act.charge")
    now = datetime.now(UTC)
    told = {name: value for name, value in shown.items() if name != "changed_at"}
    with with_code.database.transaction() as transaction:
        assert [rows.publish(transaction, [told], each) for each in (now, now + timedelta(hours=2))] == [0, 1]
    assert job_types.show_job_type(with_code, ROOT, "act.order")["changed_at"] == shown["changed_at"]
    later = now + timedelta(days=40)
    TypePublisher(with_code.database, [{**told, "words": "", "schema": None}]).run_once(later)
    (left,) = job_types.list_job_types(with_code, ROOT).rows
    assert (left["name"], left["checked"], left["changed_at"]) == ("act.order", False, later)


def test_without_the_code_a_job_is_the_same_as_with_it(with_code: Desk, without: Desk, client: Any) -> None:
    payload = {"lines": [{"article": "ABC", "count": 2}]}
    one, other = (submission.submit(desk, ROOT, Submission("act.order", payload)) for desk in (with_code, without))
    same = ("job_type", "payload", "queue", "priority", "max_retries", "retry_rule", "status", "timeout", "tags")
    here, there = row_of(with_code, one), row_of(with_code, other)
    assert {name: here[name] for name in same} == {name: there[name] for name in same}
    assert here["priority"] == 4
    assert census.waiting(client, "orders") == 2
    asked = Submission("act.charge", {"customer": 7, "card": SECRET}, tags=("vip",), delay=60.0)
    first, again = (submission.submit(desk, ROOT, asked) for desk in (without, with_code))
    assert first == again
    row = row_of(without, first)
    assert (row["unique_key"], row["limit_key"], row["timeout"]) == ("7", "c:7", 9.0)
    assert (row["tags"], row["status"]) == (["money", "vip"], "SCHEDULED")
    told = deeds(without)
    assert [each["outcome"]["job_ids"] for each in told] == [[again], [first], [other], [one]]
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    ("payload", "pointers"),
    [
        ({"lines": [{"article": "abc", "count": 0}], "nota": 1}, ["/lines/0/article", "/lines/0/count"]),
        ({"note": 3}, ["/lines", "/note"]),
        ({"lines": {}}, ["/lines"]),
    ],
)
def test_each_field_that_does_not_fit_is_named(without: Desk, payload: Any, pointers: list[str]) -> None:
    with pytest.raises(PayloadProblems) as refused:
        submission.submit(without, ROOT, Submission("act.order", payload))
    assert sorted(pointer for pointer, _ in refused.value.problems) == pointers
    assert not deeds(without)


def test_arguments_by_position_are_named_as_they_were_given(with_code: Desk, without: Desk) -> None:
    for desk in (with_code, without):
        with pytest.raises(PayloadProblems) as refused:
            submission.submit(desk, ROOT, Submission("act.charge", ["7", SECRET]))
        assert [pointer for pointer, _ in refused.value.problems] == ["/0"]
        assert SECRET not in str(refused.value)
    with pytest.raises(PayloadProblems, match="did you mean 'customer'"):
        submission.submit(without, ROOT, Submission("act.charge", {"custommer": 7}))


def test_many_are_submitted_or_none(without: Desk, database: Database) -> None:
    good = Submission("act.order", {"lines": []})
    with pytest.raises(PayloadProblems) as refused:
        submission.submit_many(without, ROOT, [good, Submission("act.order", {"lines": [3]})])
    assert [pointer for pointer, _ in refused.value.problems] == ["/1/lines/0"]
    with pytest.raises(UnknownQueue):
        submission.submit_many(without, ROOT, [good, replace(good, queue="nowhere")])
    with database.session() as session:
        assert sum(listing.count_by_state(session).values()) == 0
    ids = submission.submit_many(without, ROOT, [good, replace(good, priority=1)])
    assert [row_of(without, each)["priority"] for each in ids] == [4, 1]
    assert [(each["action"], each["outcome"]) for each in deeds(without)] == [("jobs.submit_many", {"job_ids": ids})]
    for count in (0, submission.MOST + 1):
        with pytest.raises(JobOptionError, match="at once"):
            submission.submit_many(without, ROOT, [good] * count)


def test_a_submission_with_a_key_counts_once(without: Desk) -> None:
    asked = Submission("act.order", {"lines": []}, idempotency_key="order-1", tenant="a")
    first = submission.submit(without, ROOT, asked)
    assert submission.submit(without, ROOT, asked) == first
    with pytest.raises(IdempotencyConflict, match=first):
        submission.submit(without, ROOT, replace(asked, payload={"lines": [], "note": "x"}))
    elsewhere = actor(Scope(tenants=frozenset({"b"})))
    for payload in ({"lines": []}, {"lines": [], "note": "x"}):
        with pytest.raises(JobOptionError, match="out of your scope") as refused:
            submission.submit(without, elsewhere, replace(asked, payload=payload, tenant="b"))
        assert first not in str(refused.value)


def test_who_submits_keeps_to_their_scope(without: Desk) -> None:
    asked = Submission("act.order", {"lines": []})
    with pytest.raises(Forbidden, match=r"jobs\.submit"):
        submission.submit(without, actor(Scope(), "viewer"), asked)
    assert deeds(without)[0]["outcome"] == {"refused": str(Permission.JOBS_SUBMIT)}
    of_queue = actor(Scope(frozenset({"orders"})))
    assert row_of(without, submission.submit(without, of_queue, asked))["queue"] == "orders"
    for refused in (replace(asked, queue="celery"), Submission("act.charge", {"customer": 1})):
        with pytest.raises(Forbidden, match="not for queue celery"):
            submission.submit(without, of_queue, refused)
        assert deeds(without)[0]["outcome"] == {"refused": "jobs.submit", "where": "queue celery"}
    of_tenant = actor(Scope(tenants=frozenset({"a"})))
    assert row_of(without, submission.submit(without, of_tenant, asked))["tenant"] == "a"
    with pytest.raises(Forbidden, match="not for tenant b"):
        submission.submit_many(without, of_tenant, [asked, replace(asked, tenant="b")])
    with pytest.raises(Forbidden, match="name one"):
        submission.submit(without, actor(Scope(tenants=frozenset({"a", "b"}))), asked)


def test_a_type_that_nobody_knows_is_refused_unless_its_caller_knows_better(without: Desk) -> None:
    asked = Submission("act.unheard", {"x": 1})
    with pytest.raises(UnknownJobType, match=r"act\.unheard"):
        submission.submit(without, ROOT, asked)
    job_id = submission.submit(without, ROOT, asked, check_known=False)
    assert row_of(without, job_id)["payload"]["kwargs"] == {"x": 1}


def test_what_a_type_hides_is_hidden_without_its_code_as_well(
    without: Desk, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sealing", "ring", "mask"):
        monkeypatch.setattr(Recording, name, getattr(Recording, name))
    asked = Submission("hid.pay", {"note": "canary"}, idempotency_key="k")
    with pytest.raises(SealError, match="set JOBPLATFORM_ENCRYPTION_KEYS"):
        submission.submit(without, ROOT, asked)
    assert census.waiting(client, "celery") == 0
    keyed = replace(without.settings, encryption_keys=KeyRing({"k": bytes(32)}))
    app = codeless(keyed)
    desk = replace(without, settings=keyed, application=lambda: app)
    job_id = submission.submit(desk, ROOT, asked)
    assert submission.submit(desk, ROOT, asked) == job_id
    (raw,) = client.lrange("celery", 0, -1)
    assert is_sealed_payload(row_of(desk, job_id)["payload"])
    assert b"canary" not in raw and base64.b64encode(b"canary")[:8] not in raw
    assert jobs.show_job(desk, ROOT, job_id).job["payload"] == {"args": [], "kwargs": {"note": "canary"}}
    (sent,) = submission.submit_many(without, ROOT, [Submission("hid.mail", ["ann", {"text": "canary", "n": "1"}])])
    assert jobs.show_job(without, ROOT, sent).job["payload"]["args"] == ["ann", {"text": MASK, "n": "1"}]
    schedule_edits.add(desk, ROOT, "nightly", "hid.pay", "@daily", {"payload_template": {"kwargs": {"note": "canary"}}})
    (made,) = schedules.run(desk, ROOT, ["nightly"])
    assert is_sealed_payload(row_of(desk, made["job_id"])["payload"])
    app.jobplatform.close()
    app.close()


def test_a_submission_is_taken_while_postgresql_is_away(with_code: Desk, settings: Settings, client: Any) -> None:
    nowhere = replace(settings, database_url=NOWHERE, connect_seconds=0.5)
    app, lost = attached(nowhere), Database(nowhere)
    away = replace(with_code, database=lost, application=lambda: app)
    job_id = submission.submit(away, ROOT, Submission("act.order", {"lines": []}))
    assert census.waiting(client, "orders") == 1
    assert job_id.encode() in b"".join(value for _, entry in client.xrange(keys.JOURNAL) for value in entry.values())
    for opened in (app.jobplatform, app, lost):
        opened.close()


def test_what_a_type_takes_is_shown_at_a_terminal(with_code: Desk, cli_environment: CliEnvironment) -> None:
    shown = cli_environment.json("types", "show", "act.order")
    assert (shown["queue"], shown["schema"]["title"], shown["options"]["priority"]) == ("orders", "Order", 4)
    assert '"article"' in cli_environment.run("types", "show", "act.order").stdout
    assert cli_environment.run("types", "show", "act.unheard").exit_code == Exit.NOT_FOUND
