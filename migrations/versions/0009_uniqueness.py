"""Jobs of which there is one at a time, and submissions that count once."""

from alembic import op

revision = "0009"
down_revision = "0008"

UPGRADE = (
    """
    alter table jobs add column unique_scope text check (unique_scope in ('waiting', 'unfinished', 'period')),
        add column unique_until timestamptz
    """,
    # What is there keeps its key, as it has no scope: nothing has been unique so far.
    """
    create unique index idx_jobs_unique on jobs (unique_key) where unique_key is not null and (
        (unique_scope = 'waiting' and status in ('BLOCKED', 'SCHEDULED', 'PENDING', 'PAUSED'))
        or (unique_scope = 'unfinished' and status not in ('COMPLETED', 'FAILED', 'CANCELLED'))
        or unique_scope = 'period')
    """,
    """
    create table idempotency_keys (
        key text primary key,
        job_id uuid not null,
        created_at timestamptz not null default now(),
        expires_at timestamptz not null
    )
    """,
    "create index idx_idempotency_expires on idempotency_keys (expires_at)",
)

DOWNGRADE = (
    "drop table idempotency_keys",
    "drop index idx_jobs_unique",
    "alter table jobs drop column unique_until, drop column unique_scope",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
