"""What is seen at a glance: decisions, the overview, the health, and what could not be read; within a scope."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_line import NOWHERE, CliEnvironment

from jobplatform.actions import decisions, health, limits, models, overview, people, quarantine, scaling
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.decisions import Kind
from jobplatform.actions.desk import Desk
from jobplatform.actions.overview import Count
from jobplatform.actions.permission import ROLES, Permission
from jobplatform.actions.quarantine import Choice
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import DecisionNotFound, Forbidden, JobOptionError, ModelNotFound, NotQuarantined
from jobplatform.journal.writer import connect
from jobplatform.limits import Limit
from jobplatform.settings import Settings
from jobplatform.store import audit, breakers, replacements, retry_decisions, samples, workers
from jobplatform.store import quarantine as kept
from jobplatform.store import scaling as scales
from jobplatform.store.database import Database
from jobplatform.store.statement import Statement
from jobplatform.transport import keys

ROOT = at_terminal("root")
NO_REDIS = "redis://127.0.0.1:1/0"
MAIL, ACME = Scope(frozenset({"mail"})), Scope(tenants=frozenset({"acme"}))


@pytest.fixture
def desk(settings: Settings, database: Database, stack: DevStack, client: Any) -> Iterator[Desk]:
    yield Desk(settings, database, lambda: connect(stack.redis_url), lambda: None)


def viewer(scope: Scope | None = None, *more: Permission) -> Actor:
    return Actor("vera", Via.PAGE, ROLES["viewer"] | set(more), scope or Scope(), None)


def worker(database: Database, name: str, status: str, ago: float = 0.0) -> None:
    row = {"worker_id": f"{name}#1", "name": name, "pid": 1, "status": status, "report": {"queues": ["mail"]}}
    row |= {"started_at": time.time() - 7_200, "last_seen_at": time.time() - ago}
    with database.transaction() as transaction:
        workers.record(transaction, [row], datetime(2020, 1, 1, tzinfo=UTC))


def decided(cli: CliEnvironment, now: datetime) -> None:
    """Write decisions of all kinds, a minute apart."""
    with cli.database.transaction() as transaction:
        for number in reversed(range(6)):
            job_id = cli.add(queue="mail" if number % 2 else "celery", tenant="acme" if number == 3 else None)
            row = {"job_id": job_id, "attempt": 1, "job_type": "shop.charge", "decided_by": "static"}
            row |= {"delay": 12.0 if number else None, "reason": "TimeoutError; waits."}
            row |= {"completed_at": now.timestamp() - 60 * number * 4}
            retry_decisions.record(transaction, [row])
        for number in (3, 2, 1):
            example = dict(scales.ADD_SCALE_DECISION.example) | {"forecast": {}, "reason": "a peak.", "dry_run": False}
            example |= {"decided_at": now - timedelta(minutes=4 * number + 1), "wanted": 1 + number}
            scales.add(transaction, example | {"counterfactual": "the rate rule would have wanted 2"})
        opened = {"cause": "host:api", "state": "open", "reason": "9 of 10 failed", "probes": 2, "job_types": []}
        opened |= {"opened_at": now.timestamp() - 120, "probe_at": None, "canary_at": None}
        breakers.save(transaction, [opened, {**opened, "cause": "host:b", "opened_at": now.timestamp() - 60}])
        replacements.ask(transaction, "worker", ["worker1@host#1"], "its memory grows", "fleet")


def test_all_that_was_decided_is_one_list_of_sentences(desk: Desk, cli_environment: CliEnvironment) -> None:
    worker(desk.database, "worker1@host", "alive")
    now = desk.now()
    decided(cli_environment, now)
    whole = decisions.list_decisions(desk, ROOT, 100)
    assert whole.next is None
    times = [each.at for each in whole.decisions]
    assert (len(times), times) == (12, sorted(times, reverse=True))
    told = {kind: next(each for each in whole.decisions if each.kind is kind) for kind in Kind}
    assert told[Kind.RETRY].sentence == (
        "shop.charge failed at attempt 1 and was given up, decided by static: TimeoutError; waits."
    )
    assert "There were to be 2 workers of workers in place of 1: a peak; the rate rule" in told[Kind.SCALE].sentence
    assert told[Kind.BREAKER].sentence == "The breaker of host:b holds what fails of it: 9 of 10 failed."
    assert "fleet asked for worker1@host to be replaced: its memory grows" in told[Kind.REPLACEMENT].sentence
    assert told[Kind.SCALE].numbers["wanted"] == 2
    shown = cli_environment.json("decisions", "--kind", "scale", "--limit", "2")
    assert [row["numbers"]["wanted"] for row in shown["decisions"]] == [2, 3]
    assert "a peak" in cli_environment.run("decisions", "--page", shown["next"]).stdout
    for limit in (1, 2, 5):
        pages, cursor = [], None
        while pages == [] or cursor:
            page = decisions.list_decisions(desk, ROOT, limit, cursor)
            pages.append(page.decisions)
            cursor = page.next
        assert [each for page in pages for each in page] == list(whole.decisions)
        assert max(map(len, pages)) == limit


def test_decisions_are_those_that_somebody_may_see(
    desk: Desk, cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(cli_environment, desk.now())
    monkeypatch.setattr(decisions, "_LOOKED_AT", 2)

    def seen(actor: Actor, **asked: Any) -> list[decisions.Decision]:
        found, cursor, pages = [], None, 0
        while not pages or cursor:
            page = decisions.list_decisions(desk, actor, 1, cursor, **asked)
            found += page.decisions
            cursor, pages = page.next, pages + 1
        return found

    only = Actor("prog", Via.TOKEN, frozenset({Permission.JOBS_READ}), Scope())
    assert {each.kind for each in seen(only)} == {Kind.RETRY}
    assert [each.numbers["queue"] for each in seen(viewer(MAIL), kinds=[Kind.RETRY])] == ["mail"] * 3
    assert len(seen(viewer(ACME), kinds=[Kind.RETRY])) == 1
    assert len(seen(ROOT, job_type="shop.charge")) == 6
    assert not seen(ROOT, job_type="shop.mail")
    with pytest.raises(JobOptionError, match="no cursor"):
        decisions.list_decisions(desk, ROOT, 1, "nonsense")
    with pytest.raises(Forbidden):
        decisions.list_decisions(desk, replace(only, permissions=frozenset()), 1)
    with pytest.raises(DecisionNotFound):
        scaling.show_decision(desk, viewer(), 999)


def test_a_glance_tells_counts_waits_pace_and_what_is_wrong(
    desk: Desk, cli_environment: CliEnvironment, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = desk.now()
    for queue, tenant in (("mail", "acme"), ("mail", None), ("celery", None)):
        cli_environment.add(queue=queue, tenant=tenant)
    cli_environment.fail(queue="mail")
    worker(desk.database, "w1@host", "alive")
    worker(desk.database, "w2@host", "stale", ago=60)
    sample = dict.fromkeys(("cpu", "rss", "tree_rss", "slots", "active", "waiting", "jitter"), 0)
    sample |= {"worker_id": "w1@host#1", "processes": [], "seconds": 30}
    with desk.database.transaction() as transaction:
        for ago, finished, failed in ((4_000, 100, 50), (60, 300, 100)):
            counts = {"sampled_at": now.timestamp() - ago, "started": 0, "finished": finished, "failed": failed}
            samples.add_workers(transaction, [{**sample, **counts}])
        for queue, finished in (("mail", 240), ("celery", 60)):
            row = {"queue": queue, "seconds": 60, "depth": 1, "arrived": 3, "started": 2, "finished": finished}
            samples.add_queues(transaction, [{**row, "running": 0}], now - timedelta(minutes=5))
        transaction.connection.exec_driver_sql(
            f"insert into {desk.settings.schema}.job_schedules (job_type, cron_expression, name, next_run, queue)"
            " values ('t', '* * * * *', 'late', now() - interval '5 minutes', 'celery'),"
            " ('t', '* * * * *', 'fine', now() + interval '5 minutes', 'celery')"
        )
    client.set(keys.CONTROLLER, "{}")
    client.lpush(keys.queue_list("mail", 1), f'{{"jp_at": {time.time() - 90}}}')
    monkeypatch.setattr(overview, "CAP", 3)
    found = overview.show(desk, viewer())
    assert (found.postgres, found.redis, found.controller) == (True, True, True)
    tables = found.tables
    assert tables is not None
    assert (tables.counts["PENDING"], tables.counts["FAILED"]) == (Count(3, True), Count(1, False))
    assert (tables.pace.finished, tables.pace.per_second, tables.pace.failed) == (300, 5.0, 0.25)
    assert tables.workers == {"alive": 1, "stale": 1}
    assert [row["name"] for row in tables.dead or ()] == ["w2@host"]
    assert [row["name"] for row in tables.missed or ()] == ["late"]
    assert tables.letters == Count(1, False)
    told = cli_environment.json("overview")
    assert (told["tables"]["counts"]["PENDING"], told["tables"]["pace"]["failed"]) == (
        {"jobs": 3, "capped": True},
        0.25,
    )
    text = cli_environment.run("overview").stdout
    assert all(words in text for words in ("3 or more", "25.0%", "w2@host", "late", "mail"))
    waits = {each.queue: each for each in found.waiting or ()}
    assert waits["mail"].depth == 1
    assert 80 < waits["mail"].oldest < 120
    mine = overview.show(desk, viewer(MAIL))
    assert mine.tables is not None
    assert (mine.tables.counts["PENDING"], mine.tables.pace.finished) == (Count(2, False), 240)
    assert (mine.tables.missed, mine.tables.letters) == ([], Count(1, False))
    assert [each.queue for each in mine.waiting or ()] == ["mail"]
    tenants = overview.show(desk, viewer(ACME)).tables
    assert tenants is not None
    assert (tenants.counts["PENDING"].jobs, tenants.letters, tenants.queues) == (1, Count(0, False), ())


def test_a_glance_tells_which_store_is_away(desk: Desk) -> None:
    away = replace(desk, redis=lambda: connect(NO_REDIS, timeout=0.5))
    assert overview.show(away, ROOT).redis is False
    lost = Database(replace(desk.settings, database_url=NOWHERE))
    found = overview.show(replace(desk, database=lost), ROOT)
    assert (found.postgres, found.redis, found.tables) == (False, True, None)
    lost.close()


def test_a_look_costs_the_same_however_long_the_history_is(database: Database) -> None:
    for name, index in (
        ("count_states_within", "idx_jobs_status"), ("sum_queue_samples", "idx_queue_samples_time"),
        ("sum_worker_samples", "idx_workers_seen"), ("list_dead_workers", "idx_workers_seen"),
        ("list_missed_schedules", "idx_schedules_next_run"), ("count_letters_since", "idx_dlq_failed_at"),
        ("recent_retry_decisions", "retry_decisions_pkey"), ("recent_replacements", "replacements_pkey"),
        ("list_deeds", "audit_log_pkey"),
    ):  # fmt: skip
        statement = Statement.registry[name]
        with database.transaction() as transaction:
            transaction.connection.exec_driver_sql("set local enable_seqscan = off")
            sql = f"explain {statement.text(database.schema)}"
            plan = transaction.connection.exec_driver_sql(sql, {**statement.example, "actor": None}).scalars().all()
        assert any(index in line for line in plan), (name, plan)


def test_the_health_is_told_as_values(desk: Desk) -> None:
    findings = health.check(desk, viewer())
    assert health.worst(findings) is health.Level.WARN
    assert {each.check: each.level for each in findings}["PostgreSQL"] is health.Level.OK


def test_what_could_not_be_read_is_of_a_queue_and_its_bytes_are_a_payload(desk: Desk, client: Any) -> None:
    row = {
        "kind": "message",
        "size": 5,
        "job_id": None,
        "reason": "no JSON",
        "raw": base64.b64encode(b"bytes").decode(),
    }
    with desk.database.transaction() as transaction:
        kept.add(transaction, [{**row, "stream_id": q, "field": "f", "queue": q} for q in ("mail", "celery")])
        kept.add(transaction, [{**row, "stream_id": "e", "field": "f", "kind": "entry", "queue": None}])
    first = quarantine.list_quarantine(desk, viewer(), limit=2)
    rest = quarantine.list_quarantine(desk, viewer(), limit=2, before=first.next)
    assert [each["queue"] for each in (*first.rows, *rest.rows)] == [None, "celery", "mail"]
    (mine,) = quarantine.list_quarantine(desk, viewer(MAIL)).rows
    assert not quarantine.list_quarantine(desk, viewer(ACME)).rows
    number = mine["quarantine_id"]
    other = first.rows[1]["quarantine_id"]
    assert quarantine.show_quarantined(desk, viewer(MAIL), number)["entry"] is None
    assert quarantine.show_quarantined(desk, viewer(MAIL, Permission.JOBS_PAYLOAD), number)["entry"] == b"bytes"
    with pytest.raises(NotQuarantined):
        quarantine.show_quarantined(desk, viewer(MAIL), other)
    steers = Actor("omar", Via.PAGE, ROLES["operator"], MAIL)
    assert [each["outcome"] for each in quarantine.replay(desk, steers, Choice(kind="message"), True).rows] == [
        "would replay"
    ]
    done = quarantine.replay(desk, steers, Choice((number, other)))
    assert ([each["queue"] for each in done.rows], list(done.missing), done.resolved) == (["mail"], [other], set())
    assert client.llen(keys.queue_list("mail", 1)) == 1
    assert quarantine.discard(desk, steers, [number]).resolved == {number}
    with pytest.raises(JobOptionError, match="ids: nothing says what"):
        quarantine.discard(desk, steers, [])
    with pytest.raises(Forbidden):
        quarantine.discard(desk, viewer(), [other])
    with desk.look() as session:
        told = [(row["action"], row["outcome"]) for row in audit.listed(session, 10)]
    assert told == [
        ("quarantine.discard", {"refused": "letters.resolve"}), ("quarantine.discard", {"quarantine_ids": []}),
        ("quarantine.replay", {"quarantine_ids": [number]}),
    ]  # fmt: skip


def test_who_steers_models_is_written_down(desk: Desk) -> None:
    with pytest.raises(Forbidden):
        models.put_on_trial(desk, viewer(), "shop.charge")
    models.put_on_trial(desk, ROOT, "shop.charge")
    assert [row["state"] for row in models.list_types(desk, viewer()).types] == ["shadow"]
    with pytest.raises(ModelNotFound):
        models.promote(desk, ROOT, 7)
    with pytest.raises(JobOptionError):
        models.retire(desk, ROOT)
    people.add_user(desk, ROOT, "ann", "correct horse battery", "viewer")
    with desk.look() as session:
        told = [row["action"] for row in audit.listed(session, 10)]
    assert told == ["users.add", "models.trial", "models.trial"]


def test_limits_are_listed_within_a_scope(desk: Desk) -> None:
    for name in ("queue:mine", "queue:theirs", "type:shop.charge"):
        limits.set_limit(desk, ROOT, Limit(name, 1))
    for queue in ("mine", "theirs"):
        limits.set_order(desk, ROOT, queue, True, None)
        for tenant in ("a", "b"):
            limits.set_weight(desk, ROOT, queue, tenant, 2.0)
    found = limits.list_limits(desk, viewer(Scope(frozenset({"mine"}), frozenset({"a"}))))
    assert {row["name"] for row in found.limits} == {"queue:mine", "type:shop.charge"}
    assert [(row["queue"], row["weights"]) for row in found.queues] == [("mine", {"a": 2.0})]
    assert len(limits.list_limits(desk, ROOT).queues) == 2
