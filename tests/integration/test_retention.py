"""Finished jobs leave when their time is over, after they were written to a file, and nothing that is needed does."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import CliEnvironment
from sqlalchemy.exc import DBAPIError

from jobplatform.maintenance.audit_pruner import AuditPruner
from jobplatform.maintenance.job_files import JobFiles
from jobplatform.maintenance.keeping import Keeping
from jobplatform.maintenance.retention import Retention
from jobplatform.store import audit
from jobplatform.store.database import Database

NOW = datetime.now(UTC)
KEEPING = Keeping(30, (("brief.*", 1.0), ("tax.*", float("inf"))))


def sql(database: Database, text: str, **values: Any) -> list[Any]:
    with database.transaction() as transaction:
        result = transaction.connection.exec_driver_sql(text.replace("@", f'"{database.schema}".'), values)
        return list(result.scalars()) if result.returns_rows else []


def age(database: Database, job_id: str, days: float) -> str:
    sql(
        database,
        "update @jobs set created_at = %(at)s, completed_at = %(at)s where job_id = %(job_id)s::uuid",
        at=NOW - timedelta(days=days),
        job_id=job_id,
    )
    return job_id


def left(database: Database) -> set[str]:
    return {str(job_id) for job_id in sql(database, "select job_id from @jobs")}


def run(retention: Retention) -> Counter[str]:
    return sum(retention.rounds(NOW), Counter())


def test_jobs_leave_by_the_age_of_their_type_after_they_were_written_down(
    cli_environment: CliEnvironment, tmp_path: Path
) -> None:
    database, add = cli_environment.database, cli_environment.add
    gone = {age(database, add(status, job_type="shop.mail"), 31) for status in ("COMPLETED", "CANCELLED")}
    gone |= {age(database, add("COMPLETED", job_type="brief.one"), 2) for _ in range(5)}
    kept = {age(database, add("COMPLETED", job_type="tax.report"), 4_000), age(database, add("COMPLETED"), 29)}
    kept |= {age(database, add("PENDING"), 400)}
    failed = age(database, cli_environment.fail(), 31)
    retention = Retention(database, KEEPING, JobFiles(tmp_path / "out"), page=2)

    assert retention.count(NOW) == {"shop.mail": 2, "brief.one": 5}
    done = run(retention)
    retention.close()
    assert done["jobs"] == len(gone) and left(database) == {*kept, failed}

    sql(database, "update @dead_letter_jobs set resolved_at = now()")
    again = Retention(database, KEEPING, JobFiles(tmp_path / "out"))
    assert run(again)["jobs"] == 1 and left(database) == kept
    again.close()
    assert not sql(database, "select execution_id from @job_executions")
    files = sorted((tmp_path / "out").iterdir())
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert len(files) == 2 and all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert {line["job_id"] for line in lines} == {*gone, failed} and len(lines) == len(gone) + 1
    (letter,) = [line for line in lines if line["job_id"] == failed]
    assert [each["error_message"] for each in letter["executions"]] == ["no"] and letter["decisions"]


def test_nothing_leaves_that_another_still_needs(cli_environment: CliEnvironment) -> None:
    database, add = cli_environment.database, cli_environment.add
    first, waiting, member = (age(database, add("COMPLETED"), 40), add("BLOCKED"), age(database, add("COMPLETED"), 40))
    keyed = age(database, add("COMPLETED"), 40)
    edge = "insert into @job_dependencies (job_id, depends_on_job_id, outcome) values (%(one)s, %(other)s, 'met')"
    sql(database, edge, one=waiting, other=first)
    batch = str(uuid.uuid4())
    sql(database, "insert into @batches (batch_id, name, total) values (%(id)s, 'b', 1)", id=batch)
    sql(database, "update @jobs set batch_id = %(id)s where job_id = %(job)s", id=batch, job=member)
    until = "update @jobs set unique_key = 'k', unique_scope = 'period', unique_until = %(at)s where job_id = %(job)s"
    sql(database, until, at=NOW + timedelta(days=1), job=keyed)
    assert run(Retention(database, KEEPING, None))["jobs"] == 0
    assert left(database) == {first, waiting, member, keyed}

    age(database, waiting, 35)
    sql(database, "update @jobs set status = 'CANCELLED' where job_id = %(job)s", job=waiting)
    sql(
        database, "update @jobs set unique_until = %(at)s where job_id = %(job)s", at=NOW - timedelta(days=1), job=keyed
    )
    sql(database, "update @batches set complete_at = %(at)s, created_at = %(at)s", at=NOW - timedelta(days=40))
    done = run(Retention(database, KEEPING, None))
    assert (done["jobs"], done["batches"]) == (4, 1) and not left(database)


def test_what_cannot_be_written_is_not_deleted(cli_environment: CliEnvironment, tmp_path: Path) -> None:
    database = cli_environment.database
    job_id = age(database, cli_environment.add("COMPLETED"), 40)
    (tmp_path / "out").write_text("no directory")
    with pytest.raises(FileExistsError):
        run(Retention(database, KEEPING, JobFiles(tmp_path / "out")))
    assert left(database) == {job_id}


def test_the_command_counts_and_deletes(cli_environment: CliEnvironment) -> None:
    age(cli_environment.database, cli_environment.add("COMPLETED"), 40)
    cli_environment.env["JOBPLATFORM_KEEP_DAYS"] = "30"
    assert cli_environment.json("prune", "--dry-run")["counts"] == {"shop.charge": 1}
    assert cli_environment.json("prune")["counts"] == {"jobs": 1}
    assert "nothing is old enough" in cli_environment.run("prune", "--dry-run").stderr
    sessions = "insert into @sessions (session_hash, user_id, ends_at) select 'x', user_id, now() - interval '31 d'"
    user = (
        f"with u as (insert into @users (name, password, role) values ('a', '', 'viewer') returning user_id) {sessions}"
    )
    sql(cli_environment.database, f"{user} from u")
    bulk = "('ann', 'cli', '{}', 'jobs.retry', '{}', 'type:a', 1, true, now() - interval '1 d' * %(days)s)"
    columns = "(actor, via, permissions, action, wish, filter, expected, whole, finished_at)"
    for days in (29, 31):
        sql(cli_environment.database, f"insert into @bulk_actions {columns} values {bulk}", days=days)
    assert cli_environment.json("prune")["counts"] == {"sessions": 1, "bulk_actions": 1}


def test_old_rows_of_the_audit_log_move_into_files_and_the_rest_is_one_chain(
    database: Database, tmp_path: Path
) -> None:
    with database.transaction() as transaction:
        for _ in range(7):
            audit.add(transaction, audit.Deed("ann", "terminal", "jobs.cancel"))
    late = NOW + timedelta(days=31)
    assert not AuditPruner(database, 30, None).run(late)
    assert not AuditPruner(database, 30, JobFiles(tmp_path, "audit")).run(NOW)
    pruner = AuditPruner(database, 30, JobFiles(tmp_path, "audit"), batch=4)
    assert [pruner.run(late), pruner.run(late)] == [6, 0]
    pruner.close()
    (file,) = tmp_path.iterdir()
    assert [json.loads(line)["audit_id"] for line in file.read_text().splitlines()] == [1, 2, 3, 4, 5, 6]
    assert sql(database, "select audit_id from @audit_seals where file = %(file)s order by 1", file=file.name) == [4, 6]
    with database.transaction() as transaction:
        audit.add(transaction, audit.Deed("ann", "terminal", "jobs.cancel"))
        assert audit.broken(transaction) is audit.broken_lately(transaction, 100) is None
    for text in ("delete from @audit_log", "delete from @audit_seals"):
        with pytest.raises(DBAPIError, match="only ever added"):
            sql(database, text)
    # One that was taken out without a seal shows, as before.
    sql(database, "alter table @audit_log disable trigger user")
    sql(database, "delete from @audit_log where audit_id = 7")
    with database.session() as session:
        assert audit.broken(session) == audit.broken_lately(session, 100) == 8
