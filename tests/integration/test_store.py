"""Migrations and statements on a real PostgreSQL."""

from __future__ import annotations

import importlib
import pkgutil
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, text

import jobplatform.store
from jobplatform.devstack.stack import DevStack
from jobplatform.errors import SchemaConflict
from jobplatform.settings import Settings
from jobplatform.store import migrate
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


def test_up_down_and_up_again_on_an_empty_database(bare: Database) -> None:
    migrate.upgrade(bare)
    first = contents(bare)
    assert migrate.current(bare) == migrate.head()
    migrate.downgrade(bare)
    assert contents(bare) == set()
    migrate.upgrade(bare)
    assert contents(bare) == first


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


def test_a_foreign_table_of_our_name_is_refused_before_anything_is_made(bare: Database) -> None:
    with bare.engine.begin() as connection:
        connection.execute(text(f'create schema "{bare.schema}"'))
        connection.execute(text(f'create table "{bare.schema}".jobs (id int)'))
    with pytest.raises(SchemaConflict, match="JOBPLATFORM_SCHEMA"):
        migrate.upgrade(bare)
    assert contents(bare) == {"jobs"}


def test_two_schemas_live_side_by_side(stack: DevStack, database: Database) -> None:
    other = Database(Settings(database_url=stack.database_url, schema=f"other_{uuid.uuid4().hex[:8]}"))
    migrate.upgrade(other)
    migrate.downgrade(other)
    assert "jobs" in contents(database)
    other.close()
