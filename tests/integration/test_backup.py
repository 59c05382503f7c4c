"""Everything into a file and back, between two schemas of one server."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import CliEnvironment
from sqlalchemy import inspect as inspected

from jobplatform.cli.exits import Exit
from jobplatform.maintenance.dispatcher import Dispatcher
from jobplatform.settings import Settings
from jobplatform.store import audit, migrate, tables
from jobplatform.store.database import Database
from jobplatform.store.leadership import try_lead
from jobplatform.transport.publisher import Publisher

#: What a restored job says that it did not before.
_CHANGED = "status attempt worker_id started_at due_at updated_at error_type error_message"


@pytest.fixture
def other(settings: Settings, database: Database) -> Iterator[CliEnvironment]:
    """Another schema, migrated and empty."""
    theirs = replace(settings, schema=f"o_{uuid.uuid4().hex[:10]}")
    made = Database(theirs)
    migrate.upgrade(made)
    env = {
        "DATABASE_URL": theirs.database_url,
        "REDIS_URL": theirs.redis_url,
        "JOBPLATFORM_SCHEMA": theirs.schema,
    }
    yield CliEnvironment(env, made)
    made.close()


def contents(database: Database) -> dict[str, list[str]]:
    with database.transaction() as transaction:
        return {
            table.name: sorted(
                transaction.connection.exec_driver_sql(
                    f'select to_jsonb(t)::text from "{database.schema}".{table.name} t'
                ).scalars()
            )
            for table in tables.ours(transaction)
        }


def jobs_of(rows: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in map(json.loads, rows["jobs"])}


def sql(database: Database, text: str) -> list[Any]:
    with database.transaction() as transaction:
        result = transaction.connection.exec_driver_sql(text.replace("@", f'"{database.schema}".'))
        return list(result.scalars()) if result.returns_rows else []


def test_all_tables_are_known(database: Database) -> None:
    """One that no statement of the store names would be missing in a backup."""
    with database.transaction() as transaction:
        known = {table.name for table in tables.ours(transaction)}
    assert known | {migrate.VERSION_TABLE} == set(inspected(database.engine).get_table_names(database.schema))


@pytest.mark.usefixtures("client")
@pytest.mark.owner
def test_what_was_backed_up_is_there_again_and_goes_on(
    cli_environment: CliEnvironment, other: CliEnvironment, publisher: Publisher, client: Any, tmp_path: Path
) -> None:
    ours, file = cli_environment, tmp_path / "all.zip"
    done = ours.add("COMPLETED")
    waits = ours.add(payload='{"args":["tab\\t line\\n back\\\\\\\\ \\u20ac"],"kwargs":{}}')
    urgent, runs, later = ours.add(priority=5), ours.add("PROCESSING"), ours.add("SCHEDULED")
    failed = ours.fail()
    batch = str(uuid.uuid4())
    sql(ours.database, f"insert into @batches (batch_id, name, total) values ('{batch}', 'b', 1)")
    sql(ours.database, f"update @jobs set batch_id = '{batch}' where job_id = '{done}'")
    assert ours.json("queues", "pause", "imports", "--reason", "why not")
    before = contents(ours.database)
    made = ours.json("backup", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert made["rows"] == sum(map(len, before.values()))
    assert ours.run("backup", str(file)).exit_code == Exit.CONFLICT

    assert other.json("restore", str(file), "--check")["rows"] == made["rows"]
    restored = other.json("restore", str(file))
    assert (restored["queued"], restored["interrupted"]) == (3, 0)
    after = contents(other.database)
    note = [row for row in after["audit_log"] if '"backups.restore"' in row]
    assert len(note) == 1
    # The backup itself is written down after it was made.
    assert {**after, "jobs": None, "audit_log": sorted({*after["audit_log"]} - {*note})} == {**before, "jobs": None}
    old, new = jobs_of(before), jobs_of(after)
    changed = dict.fromkeys(_CHANGED.split())
    assert {name: {**row, **changed} for name, row in old.items()} == {n: {**row, **changed} for n, row in new.items()}
    assert all(old[job_id] == new[job_id] for job_id in (done, later, failed))
    with other.database.session() as session:
        assert audit.broken(session) is None

    Dispatcher(other.database, publisher, 10, 1.0).run_once(max_due(other.database))
    assert {client.llen("celery"), client.llen("celery\x06\x165")} == {1, 2}
    assert {job_id: other.status(job_id) for job_id in (waits, urgent, runs, done)} == {
        waits: "PENDING", urgent: "PENDING", runs: "PENDING", done: "COMPLETED"
    }  # fmt: skip
    # What comes next is numbered after what there was.
    other.fail()


def max_due(database: Database) -> Any:
    return sql(database, "select now() + interval '1 second'")[0]


@pytest.mark.usefixtures("client")
@pytest.mark.owner
def test_a_restore_that_would_do_harm_is_refused_and_writes_nothing(
    cli_environment: CliEnvironment, other: CliEnvironment, client: Any, tmp_path: Path
) -> None:
    cli_environment.add()
    file = tmp_path / "all.zip"
    cli_environment.json("backup", str(file))

    def refused(*words: str, path: Path = file, options: tuple[str, ...] = ()) -> None:
        result = other.run("restore", str(path), *options)
        assert result.exit_code == Exit.CONFLICT and all(word in result.output for word in words), result.output
        assert not sql(other.database, "select job_id from @jobs where job_type = 'shop.charge' and attempt > 1")

    damaged = tmp_path / "damaged.zip"
    with rewritten(file, damaged) as parts:
        parts["jobs.copy"] = parts["jobs.copy"].replace(b"shop.charge", b"shop.refund")
    refused("jobs", "not those that were written", path=damaged)
    damaged.unlink()
    with rewritten(file, damaged) as parts:
        parts["manifest.json"] = parts["manifest.json"].replace(b'"format": 1', b'"format": 2')
    refused("format 2", "format 1", path=damaged)
    refused("cannot be read as a backup", path=tmp_path / "none.zip")

    client.lpush("celery", "a message")
    refused("Redis", "--keep-redis")
    with other.database.session() as session:
        assert try_lead(session)
        refused("a controller leads", options=("--keep-redis",))
        session.connection.invalidate()
    other.add()
    refused("table jobs has rows", options=("--keep-redis",))
    migrate.downgrade(other.database, "0017")
    result = other.run("restore", str(file), "--keep-redis")
    assert result.exit_code == Exit.CONFLICT and "jobplatform migrate --to" in result.output


@contextmanager
def rewritten(file: Path, to: Path) -> Iterator[dict[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    yield parts
    with zipfile.ZipFile(to, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
