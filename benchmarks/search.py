"""Lists and searches over many jobs: how long each takes, what it reads, and how far it looks.

Rows are made by PostgreSQL itself on a stack of its own. ``python -m benchmarks.search --jobs 10_000_000``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.statistics import percentile
from jobplatform.actions import query
from jobplatform.devstack.stack import DevStack
from jobplatform.settings import Settings
from jobplatform.store import migrate, search
from jobplatform.store.database import Database, Transaction
from jobplatform.store.listing import JobFilter

_ROWS = 50
_TIMES = 20
#: The newest is of now, and one comes each second; of 200 jobs one fails, of 100,000 one waits; 50 types, 20 queues.
_FILL = """
insert into "{schema}".jobs (job_id, job_type, status, priority, payload, created_at, updated_at, completed_at, queue,
    error_type, error_message, tenant, tags)
select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'shop.type' || (n % 50),
    case when n %% 100000 = 7 then 'PENDING' when n %% 200 = 0 then 'FAILED' else 'COMPLETED' end, 1 + n %% 5,
    jsonb_build_object('args', jsonb_build_array(n), 'kwargs', jsonb_build_object('customer', jsonb_build_object(
        'id', n %% 100000, 'name', md5(n::text)), 'note', repeat('x', 200))),
    now() - n * interval '1 second', now(), now(), 'queue' || (n %% 20),
    case when n %% 200 = 0 then 'Error' || (n %% 7) end, case when n %% 200 = 0 then 'connection ' || n || ' reset' end,
    case when n %% 3 = 0 then 'tenant' || (n %% 1000) end, case when n %% 10 = 0 then array['vip'] end
from generate_series({start}, {end}) n
"""
QUERIES = (
    "",
    "state:completed",
    "state:failed",
    "state:pending",
    "type:shop.type7",
    "type:shop.type7 state:failed",
    "type:none",
    "queue:queue3 state:failed since:30d",
    "error:Error3 type:shop.type0",
    "tenant:tenant3",
    "tag:vip",
    "tag:none",
    "queue:none",
    "connection reset",
    '"connection 400 reset"',
    "nowhere",
    "kwargs.customer.id:42",
    "kwargs.customer.id:-1",
    "args.0:100",
    "type:shop.type42 kwargs.customer.id:42",
)


def fill(database: Database, jobs: int, step: int = 500_000) -> None:
    """Make so many jobs."""
    for start in range(1, jobs + 1, step):
        with database.transaction() as transaction:
            end = min(start + step - 1, jobs)
            sql = _FILL.format(schema=database.schema, start=start, end=end).replace("%%", "%")
            transaction.connection.exec_driver_sql(sql.replace("%", "%%"), {})
    with database.session() as session:
        session.connection.exec_driver_sql(f'vacuum analyze "{database.schema}".jobs')


def measure(database: Database, text: str) -> dict[str, Any]:
    """Ask for the first page and give its times in milliseconds, what it found, and what the plans read."""
    chosen, taken = query.parse(text, datetime.now(UTC)), []
    for _ in range(_TIMES):
        with database.session() as session:
            begun = time.perf_counter()
            found = search.find(session, chosen, _ROWS)
            taken.append((time.perf_counter() - begun) * 1_000)
    with database.session() as session:
        plans = [*explained(session, chosen)]
    return {
        "filter": text,
        "p50": round(percentile(taken, 0.5), 1),
        "p95": round(percentile(taken, 0.95), 1),
        "rows": len(found.rows),
        "looked": found.reach.looked if found.reach else None,
        "by": search.source_of(chosen),
        "whole": any(node["Node Type"] == "Seq Scan" and node["Relation Name"] == "jobs" for node in plans),
        "read": max((node["Actual Rows"] for node in plans if "Relation Name" in node), default=0),
    }


def explained(session: Transaction, chosen: JobFilter) -> Iterator[dict[str, Any]]:
    """Run the statements of a first page and of a count under EXPLAIN and give every node of their plans."""
    source, values = search.asked(chosen, _ROWS + 1, None)
    for statement in (search.FIND_JOBS[source], search.FIND_END[source]):
        sql = f"explain (analyze, format json) {statement.text(session.schema)}"
        (plan,) = session.connection.exec_driver_sql(sql, values).scalars().all()
        yield from _nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def main() -> None:
    """Measure every filter and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300_000)
    jobs = parser.parse_args().jobs
    stack = DevStack(Path(tempfile.mkdtemp(prefix="search-")))
    stack.start()
    database = Database(Settings(database_url=stack.database_url, redis_url=stack.redis_url), statement_seconds=600)
    try:
        migrate.upgrade(database)
        fill(database, jobs)
        names = ("filter", "by", "p50", "p95", "rows", "looked", "read", "whole")
        print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
        for text in QUERIES:
            found = measure(database, text)
            print("| " + " | ".join(str(found[name]) for name in names) + " |", flush=True)
    finally:
        database.close()
        stack.erase()


if __name__ == "__main__":
    main()
