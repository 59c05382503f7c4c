"""Migrations and statements on a real PostgreSQL."""

from __future__ import annotations

import importlib
import pkgutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import inspect, text

import jobplatform.store
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import SchemaConflict
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.settings import Settings
from jobplatform.store import migrate, new_jobs
from jobplatform.store.database import Database
from jobplatform.store.statement import Statement

for module in pkgutil.iter_modules(jobplatform.store.__path__):
    importlib.import_module(f"jobplatform.store.{module.name}")

BASE_TABLES = {
    "jobs": "job_id job_type status priority payload retry_count max_retries created_at updated_at scheduled_at "
    "started_at completed_at error_message",
    "job_executions": "execution_id job_id worker_id attempt_number started_at completed_at status error_type "
    "error_message metrics",
    "job_dependencies": "dependency_id job_id depends_on_job_id dependency_type created_at",
    "job_schedules": "schedule_id job_type cron_expression payload_template enabled last_run next_run created_at "
    "updated_at",
    "dead_letter_jobs": "dlq_id job_id job_type payload error_type error_message retry_count failed_at "
    "last_execution_id",
}
INDEXES = (
    "idx_jobs_status idx_jobs_priority idx_jobs_scheduled idx_jobs_type_status idx_executions_job "
    "idx_executions_worker idx_executions_status idx_schedules_enabled idx_schedules_next_run idx_dlq_job_type "
    "idx_dlq_error_type idx_dlq_failed_at"
)


@pytest.fixture
def bare(settings: Settings) -> Iterator[Database]:
    made = Database(settings)
    yield made
    made.close()


@pytest.mark.parametrize("name", sorted(Statement.registry))
@pytest.mark.owner
def test_every_statement_can_be_planned(database: Database, name: str) -> None:
    statement = Statement.registry[name]
    sql = statement.text(database.schema)
    assert "@" not in sql.replace("@>", "").replace("@@", "")
    with database.transaction() as transaction:
        plan = transaction.connection.exec_driver_sql(f"explain {sql}", dict(statement.example)).scalars().all()
    assert plan


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("claim_due", "idx_jobs_due"),
        ("list_overdue", "idx_jobs_waiting"),
        ("lock_ripe", "idx_batches_ripe"),
        ("list_cancelling", "idx_batches_cancelling"),
        ("list_roots", "idx_jobs_root"),
    ],
)
def test_the_hot_look_ups_use_their_partial_indexes(database: Database, name: str, index: str) -> None:
    statement = Statement.registry[name]
    with database.transaction() as transaction:
        transaction.connection.exec_driver_sql("set local enable_seqscan = off")
        plan = transaction.connection.exec_driver_sql(
            f"explain {statement.text(database.schema)}", dict(statement.example)
        ).scalars().all()  # fmt: skip
    assert any(index in line for line in plan), plan


def test_the_base_tables_have_the_agreed_columns_and_indexes(database: Database) -> None:
    found = inspect(database.engine)
    for table, columns in BASE_TABLES.items():
        names = {column["name"] for column in found.get_columns(table, schema=database.schema)}
        assert set(columns.split()) <= names, table
    indexes = {index["name"] for table in BASE_TABLES for index in found.get_indexes(table, schema=database.schema)}
    assert set(INDEXES.split()) <= indexes


def contents(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(connection.execute(
            text(
                "select relname from pg_class join pg_namespace n on n.oid = relnamespace where nspname = :s "
                "union all select proname from pg_proc join pg_namespace n on n.oid = pronamespace where nspname = :s"
            ),
            {"s": database.schema},
        ).scalars())  # fmt: skip


@pytest.mark.owner
def test_up_down_and_up_again_on_an_empty_database(bare: Database) -> None:
    migrate.upgrade(bare)
    first = contents(bare)
    assert migrate.current(bare) == migrate.head()
    migrate.downgrade(bare)
    assert contents(bare) == set()
    migrate.upgrade(bare)
    assert contents(bare) == first


@pytest.mark.owner
def test_up_down_and_up_again_beside_foreign_tables(bare: Database) -> None:
    with bare.engine.begin() as connection:
        connection.execute(text(f'create schema "{bare.schema}"'))
        connection.execute(text(f'create table "{bare.schema}".orders (id int primary key, note text)'))
        connection.execute(text(f"insert into \"{bare.schema}\".orders values (1, 'kept')"))
        connection.execute(text(f'create table "{bare.schema}".alembic_version (version_num text)'))
        connection.execute(text(f"insert into \"{bare.schema}\".alembic_version values ('theirs')"))
    foreign = contents(bare)
    for _ in range(2):
        migrate.upgrade(bare)
        assert foreign < contents(bare)
        migrate.downgrade(bare)
        assert contents(bare) == foreign
    with bare.engine.connect() as connection:
        assert connection.execute(text(f'select note from "{bare.schema}".orders')).scalar() == "kept"
        assert connection.execute(text(f'select version_num from "{bare.schema}".alembic_version')).scalar() == "theirs"


@pytest.mark.owner
def test_a_foreign_table_of_our_name_is_refused_before_anything_is_made(bare: Database) -> None:
    with bare.engine.begin() as connection:
        connection.execute(text(f'create schema "{bare.schema}"'))
        connection.execute(text(f'create table "{bare.schema}".jobs (id int)'))
    with pytest.raises(SchemaConflict, match="JOBPLATFORM_SCHEMA"):
        migrate.upgrade(bare)
    assert contents(bare) == {"jobs"}


@pytest.mark.owner
def test_an_index_that_was_made_beforehand_is_taken(bare: Database) -> None:
    migrate.upgrade(bare, "0024")
    with bare.engine.begin() as connection:
        connection.execute(text(f'create index idx_jobs_error_next on "{bare.schema}".jobs (error_type)'))
    migrate.upgrade(bare)
    indexes = {index["name"]: index["column_names"] for index in inspect(bare.engine).get_indexes("jobs", bare.schema)}
    assert indexes["idx_jobs_error"] == ["error_type"]
    assert indexes["idx_jobs_tenant"] == ["tenant", "created_at", "job_id"]
    assert not {name for name in indexes if name and name.endswith("_next")}


def test_two_schemas_live_side_by_side(stack: DevStack, database: Database) -> None:
    other = Database(Settings(database_url=stack.database_url, schema=f"other_{uuid.uuid4().hex[:8]}"))
    migrate.upgrade(other)
    migrate.downgrade(other)
    assert "jobs" in contents(database)
    other.close()


def test_a_new_job_is_the_same_row_whichever_way_it_is_written(database: Database) -> None:
    now = float(round(time.time()))
    like = NewJob(
        new_job_id(), "shop.mail", '{"kwargs": {"to": "it\'s %s \\\\u00e9"}}', "mail", priority=3, status="SCHEDULED",
        max_retries=2, retry_count=1, attempt=2, scheduled_at=now, due_at=now + 1, enqueued_at=now + 2,
        expires_at=now + 3, deadline=4.5, deadline_at=now + 4.5, timeout=5.0, soft_timeout=6.0, root_id=new_job_id(),
        parent_id=new_job_id(), tenant="a", limit_key="tenant:a", units=7, tags=("x", "y, {z}"),
        retry_rule={"automatic": False}, message={"group": "it's"}, duration_key="size=1", predicted_p10=1.5,
        predicted_p50=2.5, predicted_p90=8.5, predicted_by="rule, 3 runs",
    )  # fmt: skip
    plain = NewJob(new_job_id(), "shop.mail", "{}", "celery")
    for job in (like, plain):
        texts, one, alike = (replace(job, job_id=new_job_id()) for _ in range(3))
        with database.transaction() as transaction:
            new_jobs.insert(transaction, [row_of(texts)])
            new_jobs.insert_one(transaction, one)
            for _ in range(2):
                new_jobs.insert_alike(transaction, job, [(alike.job_id, job.payload)])
            rows = transaction.connection.exec_driver_sql(
                f"select to_jsonb(j) - 'job_id' from {database.schema}.jobs j where job_id = any(%s::uuid[])",
                ([each.job_id for each in (texts, one, alike)],),
            )
            found = [row[0] for row in rows]
        assert len(found) == 3
        assert found[0] == found[1] == found[2]
