"""What the code of attempts has logged, and how many jobs were cancelled."""

from alembic import op

revision = "0019"
down_revision = "0018"

UPGRADE = (
    """
    create table attempt_logs (
        job_id uuid not null references jobs on delete cascade,
        attempt int not null,
        logged_at timestamptz not null,
        text text not null,
        cut int not null default 0,
        primary key (job_id, attempt)
    )
    """,
    "comment on column attempt_logs.cut is 'lines that were left out before the text'",
    """
    create table cancellations (
        cancellation_id bigint generated always as identity primary key,
        job_type text not null,
        queue text not null,
        jobs int not null
    )
    """,
    "comment on table cancellations is 'how many jobs were cancelled in their rows; the leader counts them'",
)

DOWNGRADE = ("drop table cancellations", "drop table attempt_logs")


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
