"""The whole life of a job with each process under its least role, and what none of them may do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import least_jobs
import psycopg2
import pytest
import redis
from celery import Celery
from click.testing import CliRunner, Result
from fleet import Fleet, Process
from least_roles import allow, grant, urls
from processes import eventually

from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack
from jobplatform.jobs.attach import attach
from jobplatform.store import tables
from jobplatform.store.database import Database

USERS = ("jp_worker", "jp_controller", "jp_web", "jp_client", "jp_beat", "jp_flower")


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    allow(stack)
    with Fleet(stack, tmp_path, [least_jobs.__name__]) as made:
        grant(stack, made.settings.schema)
        yield made
    made.redis.close()


@pytest.fixture
def client(fleet: Fleet) -> Iterator[Any]:
    """Who submits jobs, under the role for that."""
    least = urls(fleet.stack, "jp_client")
    settings = replace(fleet.settings, database_url=least["DATABASE_URL"], redis_url=least["REDIS_URL"])
    app = attach(Celery("least", set_as_current=False), settings)
    yield app
    app.jobplatform.close()
    app.close()


def refusals(fleet: Fleet) -> list[Any]:
    """List what Redis has refused; clients ask on the off chance whether it keeps the name of their library."""
    names = ("username", "reason", "context", "object")
    found = [[str(entry.get(name))[:200] for name in names] for entry in fleet.redis.acl_log()]
    return [each for each in found if each[-1] != "client"]


def start(fleet: Fleet, user: str, ready: str, *arguments: str) -> Process:
    celery = ("-m", "celery", "-A", "jobplatform", *arguments)
    made = fleet.python(*celery, name=user, **urls(fleet.stack, user))
    eventually(lambda: made.says(ready), 30, lambda: f"{made.tail()}\n{refusals(fleet)}")
    return made


def test_a_job_lives_its_life_under_the_least_roles(fleet: Fleet, client: Any) -> None:
    fleet.redis.execute_command("ACL", "LOG", "RESET")
    controller = start(fleet, "jp_controller", "this controller leads", "controller")
    worker = start(fleet, "jp_worker", " ready.", "worker", "-c", "2", "-l", "INFO", "-n", "w1@%h", "-E")
    beat = start(fleet, "jp_beat", "beat: Starting...", "beat", "-l", "INFO")
    jobs = {name: client.tasks[f"least_jobs.{name}"] for name in ("ask", "fail_once", "refuse", "tick")}

    def run(*arguments: str, code: int = 0) -> Any:
        env = {**fleet.environment, **urls(fleet.stack, "jp_web")}
        done: Result = CliRunner().invoke(main, [*arguments, "--json"], env=env)
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    asked, retried, refused = (
        jobs[name].submit(number) for name, number in (("ask", 1), ("fail_once", 2), ("refuse", -3))
    )
    jobs["ask"].submit_many([(4,), (5,)])
    eventually(lambda: asked.ready(), 30, lambda: f"{worker.tail()}\n{controller.tail()}\n{refusals(fleet)}")
    assert asked.get(timeout=30) == 2
    assert retried.get(timeout=30) == 2
    eventually(lambda: state(fleet, refused.id) == "FAILED", 30, fleet.describe)
    (letter,) = run("dlq", "list")["dead_letters"]
    run("dlq", "edit", str(letter["dlq_id"]), "--set", "args[0]=3")
    run("dlq", "replay", str(letter["dlq_id"]), "--at-once")
    eventually(lambda: state(fleet, refused.id) == "COMPLETED", 30, fleet.describe)

    run("schedules", "add", "least", "least_jobs.tick", "@every 1s")
    eventually(lambda: states_of(fleet, "least_jobs.tick").get("COMPLETED"), 30, beat.tail)
    run("schedules", "pause", "least")

    run("types", "pause", "least_jobs.ask", "--reason", "to see")
    eventually(lambda: fleet.redis.hexists("jp:paused", "type:least_jobs.ask"), 30, controller.tail)
    held = jobs["ask"].submit(7)
    eventually(lambda: state(fleet, held.id) == "PAUSED", 30, fleet.describe)
    run("types", "resume", "least_jobs.ask")
    assert held.get(timeout=30) == 8
    later = jobs["ask"].using(countdown=600).submit(9)
    run("jobs", "cancel", later.id, "--reason", "not wanted")
    assert state(fleet, later.id) == "CANCELLED"
    run("workers", "list")
    assert refusals(fleet) == []
    for process in (controller, worker, beat):
        assert not re.search("permission denied|NOPERM|NoPermission", process.log.read_text()), process.tail()


def state(fleet: Fleet, job_id: str) -> str:
    return str(fleet.rows("select status from @jobs where job_id = %(id)s", id=job_id)[0]["status"])


def states_of(fleet: Fleet, job_type: str) -> dict[str, int]:
    rows = fleet.rows("select status, count(*) as n from @jobs where job_type = %(type)s group by 1", type=job_type)
    return {row["status"]: row["n"] for row in rows}


def test_what_no_role_may_do_is_refused(fleet: Fleet) -> None:
    def postgres(role: str) -> Callable[[str], None]:
        def execute(sql: str) -> None:
            with closing(psycopg2.connect(urls(fleet.stack, role)["DATABASE_URL"])) as connection:
                connection.cursor().execute(sql.replace("@", f"{fleet.settings.schema}."))

        return execute

    for role, statement in (
        ("jp_web", "update @audit_log set actor = 'x'"),
        ("jp_web", "delete from @audit_log"),
        ("jp_web", "drop table @jobs"),
        ("jp_web", "create table @mine (x int)"),
        ("jp_controller", "select from @users"),
        ("jp_controller", "truncate @audit_log"),
        ("jp_worker", "select from @users"),
        ("jp_worker", "insert into @jobs (job_type) values ('x')"),
        ("jp_worker", "select from @audit_log"),
        ("jp_client", "delete from @jobs"),
        ("jp_client", "select from @api_tokens"),
        ("jp_beat", "select from @sessions"),
        ("jp_flower", "insert into @jobs (job_type) values ('x')"),
        ("jp_flower", "select from @users"),
        ("jp_readonly", "select from @users"),
        ("jp_readonly", "delete from @jobs"),
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            postgres(role)(statement)
    postgres("jp_web")("select from @users")
    postgres("jp_readonly")("select from @jobs")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        postgres("jp_readonly")("create table public.mine_too (x int); select pg_read_file('/etc/passwd')")

    for user in USERS:
        with redis.Redis.from_url(urls(fleet.stack, user)["REDIS_URL"]) as client:
            assert client.ping()
            for command in ("FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "DEBUG SLEEP 0", "SHUTDOWN", "ACL LIST",
                            "SCRIPT FLUSH", "CLIENT LIST", "MONITOR", "REPLICAOF NO ONE", "GET other:app"):  # fmt: skip
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command.split())
    with redis.Redis.from_url(urls(fleet.stack, "jp_client")["REDIS_URL"]) as client:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.hgetall("unacked")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.publish("/0.celery.pidbox", "shutdown")


#: Every table; a new one stands here once the roles say who may do what with it.
TABLES = frozenset({
    "agent_plans", "alert_mutes", "alert_notices", "alerts", "api_tokens", "attempt_logs", "audit_log",
    "audit_seals", "batch_changes", "batches", "breakers", "bulk_actions", "cancellations", "cluster_notes",
    "dead_letter_jobs", "duration_coverage", "duration_estimates", "error_clusters", "fleet_wishes", "hungry_types",
    "idempotency_keys", "job_dependencies", "job_effects", "job_executions", "job_schedules", "job_types", "jobs",
    "journal_quarantine", "limits", "model_trials", "models", "pauses", "queue_orders", "queue_samples",
    "replacements", "replay_jobs", "replays", "request_keys", "resubmissions", "retry_decisions", "saved_filters",
    "scale_decisions", "sessions", "sign_in_slots", "tenant_weights", "users", "verdicts", "worker_samples", "workers",
})  # fmt: skip
_OWN, _PEOPLE = ("jobplatform_version",), ("users", "sessions", "api_tokens", "sign_in_slots", "agent_plans")
#: By role: what it may do with every table (read, add, write, delete), and with those that are others.
GRANTS: dict[str, tuple[str, dict[str, str]]] = {
    "jp_app": ("radw", {**dict.fromkeys(_PEOPLE, ""), "sessions": "d", "api_tokens": "d"}),
    "jp_web": ("radw", {"job_types": "r"}),
    "jp_client": ("", {
        **dict.fromkeys(("jobs", "idempotency_keys", "batches"), "raw"), "job_dependencies": "ra",
        **dict.fromkeys(("batch_changes", "cancellations"), "a"),
        **dict.fromkeys(("job_executions", "duration_estimates", "hungry_types", "pauses"), "r"),
    }),
    "jp_worker": ("", {
        "jobs": "rw", **dict.fromkeys(("job_executions", "job_dependencies", "batches"), "r"), "job_effects": "radw",
        "cancellations": "a",
    }),
    "jp_beat": ("", {
        **dict.fromkeys(("jobs", "job_schedules"), "raw"), "job_dependencies": "ra", "duration_estimates": "r",
        "pauses": "radw", **dict.fromkeys(("batch_changes", "cancellations"), "a"),
    }),
    "jp_flower": ("", {
        **dict.fromkeys(("jobs", "job_dependencies"), "rw"), **dict.fromkeys(("batch_changes", "cancellations"), "a"),
    }),
    "jp_readonly": ("r", dict.fromkeys((*_PEOPLE, "audit_log", "audit_seals"), "")),
}  # fmt: skip
for _role in ("jp_app", "jp_web"):
    GRANTS[_role][1].update({**dict.fromkeys(_OWN, "r"), "audit_log": "ra", "audit_seals": "ra"})


def test_each_table_is_granted_to_those_who_need_it(fleet: Fleet) -> None:
    with closing(Database(fleet.settings)) as database, database.session() as session:
        known = {table.name for table in tables.ours(session)}
    assert known == TABLES
    found = fleet.rows(
        """
        select role, table_name, (select string_agg(letter, '') from unnest(array['r', 'a', 'd', 'w'],
            array['select', 'insert', 'delete', 'update']) as p(letter, privilege)
            where has_table_privilege(role, format('%%I.%%I', %(schema)s, table_name), privilege)) as may
        from unnest(%(roles)s::text[]) as r(role), unnest(%(tables)s::text[]) as t(table_name)
        """,
        schema=fleet.settings.schema, roles=list(GRANTS), tables=[*TABLES, *_OWN],
    )  # fmt: skip
    for row in found:
        usual, others = GRANTS[row["role"]]
        wanted = others.get(row["table_name"], usual)
        assert set(row["may"] or "") == set(wanted), (row["role"], row["table_name"])
