"""Workers, and how often a job's process died.

The index over the status has the time too, which makes the first page of a rare state cheap.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

UPGRADE = (
    "alter table jobs add column deaths int not null default 0",
    "comment on column jobs.deaths is 'how often a process died while it ran the job; the third is the last'",
    "drop index idx_jobs_status",
    "create index idx_jobs_status on jobs (status, created_at desc, job_id desc)",
    """
    create table workers (
        worker_id text primary key,
        name text not null,
        pid int,
        status text not null check (status in ('alive', 'stale', 'gone')),
        started_at timestamptz,
        last_seen_at timestamptz not null,
        report jsonb
    )
    """,
    "create index idx_workers_seen on workers (last_seen_at)",
)

DOWNGRADE = (
    "drop table workers",
    "drop index idx_jobs_status",
    "create index idx_jobs_status on jobs (status)",
    "alter table jobs drop column deaths",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
