"""Messages beside journal entries in quarantine, and why a job is held.

The quarantine keeps the name of its table; what was in it before are journal entries, whole.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

UPGRADE = (
    """
    alter table journal_quarantine
        add column kind text not null default 'entry' check (kind in ('entry', 'message')),
        add column queue text,
        add column size int,
        add column job_id uuid,
        add column resolution text,
        add column resolved_at timestamptz
    """,
    "update journal_quarantine set size = length(entry)",
    "alter table journal_quarantine alter column size set not null",
    "comment on column journal_quarantine.size is 'in bytes; above the length of entry if only its head is kept'",
    "create index idx_quarantine_open on journal_quarantine (quarantine_id desc) where resolved_at is null",
    """
    alter table jobs
        add column hold_reason text,
        add column hold_by text,
        add column hold_until timestamptz
    """,
    "comment on column jobs.hold_by is 'who holds a paused job: platform, or a person'",
    "create index idx_jobs_parked on jobs (job_type) where status = 'PAUSED' and hold_by = 'platform'",
)

DOWNGRADE = (
    "drop index idx_jobs_parked",
    "alter table jobs drop column hold_until, drop column hold_by, drop column hold_reason",
    "drop index idx_quarantine_open",
    """
    alter table journal_quarantine drop column resolved_at, drop column resolution, drop column job_id,
        drop column size, drop column queue, drop column kind
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
