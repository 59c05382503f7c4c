"""What queues hold and how fast they move, and how many workers that asks for."""

from alembic import op

revision = "0015"
down_revision = "0014"

UPGRADE = (
    """
    create table queue_samples (
        queue text not null,
        sampled_at timestamptz not null,
        seconds real not null,
        depth int not null,
        oldest_seconds real,
        arrived int not null,
        started int not null,
        finished int not null,
        running int not null,
        work_seconds double precision,
        coming real,
        leaving real,
        primary key (queue, sampled_at)
    )
    """,
    "create index idx_queue_samples_time on queue_samples (sampled_at)",
    """
    create table scale_decisions (
        decision_id bigint generated always as identity primary key,
        decided_at timestamptz not null,
        pool text not null,
        queues text[] not null,
        had int not null,
        wanted int not null,
        level text not null check (level in ('normal', 'warning', 'critical')),
        probability double precision not null,
        forecast jsonb not null,
        reason text not null,
        counterfactual text not null,
        decided_by text not null,
        dry_run boolean not null,
        acted_at timestamptz
    )
    """,
    "create index idx_scale_decisions_pool on scale_decisions (pool, decided_at desc)",
    "create index idx_scale_decisions_time on scale_decisions (decided_at)",
)

DOWNGRADE = (
    "drop table scale_decisions",
    "drop table queue_samples",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
