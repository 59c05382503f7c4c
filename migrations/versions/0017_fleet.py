"""How many workers a pool is to have, and workers that take the place of others."""

from alembic import op

revision = "0017"
down_revision = "0016"

UPGRADE = (
    """
    create table replacements (
        replacement_id bigint generated always as identity primary key,
        pool text not null,
        worker_id text not null,
        name text not null,
        reason text not null,
        asked_by text not null,
        asked_at timestamptz not null,
        successor text,
        ready_at timestamptz,
        drained_at timestamptz,
        ended_at timestamptz,
        outcome text check (outcome in ('replaced', 'died', 'refused', 'failed'))
    )
    """,
    "create unique index idx_replacements_open on replacements (worker_id) where ended_at is null",
    "create index idx_replacements_time on replacements (asked_at desc)",
    """
    create table fleet_wishes (
        pool text primary key,
        wanted int not null check (wanted >= 0),
        published int not null check (published >= 0),
        reason text not null,
        asked_by text not null,
        asked_at timestamptz not null
    )
    """,
)

DOWNGRADE = ("drop table fleet_wishes", "drop table replacements")


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
