"""What job types take and how they are declared, and how often somebody tried to sign in."""

from alembic import op

revision = "0023"
down_revision = "0022"

UPGRADE = (
    """
    create table job_types (
        name varchar(100) primary key,
        queue text not null,
        words text not null default '',
        schema jsonb,
        positional text[] not null default '{}',
        options jsonb not null default '{}',
        tool boolean not null default false,
        changed_at timestamptz not null default now(),
        seen_at timestamptz not null default now()
    )
    """,
    "comment on column job_types.schema is 'JSON Schema of the arguments by name; null when anything is taken'",
    "comment on column job_types.positional is 'the names of arguments that may be given by position, in order'",
    """
    create table sign_in_slots (
        slot int primary key check (slot between 0 and 8191),
        free_at timestamptz not null
    )
    """,
    "comment on table sign_in_slots is 'how often names and addresses were tried, by a part of their hash'",
)

DOWNGRADE = ("drop table sign_in_slots", "drop table job_types")


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
