"""What workers are asked to do: work, take no more, or leave."""

from alembic import op

revision = "0005"
down_revision = "0004"

UPGRADE = (
    """
    alter table workers
        add column duty text not null default 'work' check (duty in ('work', 'cordon', 'drain')),
        add column duty_reason text,
        add column duty_by text,
        add column duty_since timestamptz,
        add column duty_grace float8
    """,
    "comment on column workers.duty is 'what the worker is asked to do; its report says what it does'",
    "comment on column workers.duty_grace is 'seconds that running jobs have to end; null for those of the setting'",
    "create index idx_workers_duty on workers (worker_id) where duty <> 'work'",
)

DOWNGRADE = (
    "drop index idx_workers_duty",
    """
    alter table workers drop column duty_grace, drop column duty_since, drop column duty_by, drop column duty_reason,
        drop column duty
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
