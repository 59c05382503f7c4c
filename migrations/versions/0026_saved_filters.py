"""Filters that people keep, and which job was submitted anew as which, with another payload."""

from alembic import op

revision = "0026"
down_revision = "0025"

UPGRADE = (
    """
    create table saved_filters (
        owner text not null check (owner <> '' and length(owner) <= 100),
        name text not null check (name <> '' and length(name) <= 100),
        filter text not null check (length(filter) <= 2000),
        columns text[] not null default '{}',
        saved_at timestamptz not null default now(),
        primary key (owner, name)
    )
    """,
    "comment on column saved_filters.owner is 'the name of a user, or of who works at a terminal'",
    """
    create table resubmissions (
        job_id uuid primary key references jobs on delete cascade,
        of_job_id uuid not null,
        by text not null,
        at timestamptz not null default now()
    )
    """,
    "create index idx_resubmissions_of on resubmissions (of_job_id)",
)

DOWNGRADE = ("drop table resubmissions", "drop table saved_filters")


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
