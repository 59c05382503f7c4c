"""Paused queues and job types, and who submitted a job, for cancelling all that it led to."""

from alembic import op

revision = "0006"
down_revision = "0005"

UPGRADE = (
    """
    create table pauses (
        scope text not null check (scope in ('queue', 'type')),
        name text not null,
        reason text not null,
        paused_by text not null,
        paused_at timestamptz not null default now(),
        paused_until timestamptz,
        primary key (scope, name)
    )
    """,
    "comment on table pauses is 'queues whose messages are not handed out, job types whose jobs are parked'",
    "create index idx_jobs_parent on jobs (parent_id) where parent_id is not null",
)

DOWNGRADE = ("drop index idx_jobs_parent", "drop table pauses")


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
