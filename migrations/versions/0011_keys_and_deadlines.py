"""What a key was used for, until when jobs have to be done, and why an edge was settled."""

from alembic import op

revision = "0011"
down_revision = "0010"

UPGRADE = (
    # Nothing has written keys so far.
    "alter table idempotency_keys add column fingerprint text not null",
    "comment on column idempotency_keys.fingerprint is 'a hash of the job type and the payload'",
    "alter table jobs add column deadline double precision, add column deadline_at timestamptz",
    "comment on column jobs.deadline is 'seconds that the job had when it was submitted, and has when it is replayed'",
    "alter table job_dependencies add column reason text",
    "comment on column job_dependencies.reason is 'why it was settled, where the end of no job tells'",
)

DOWNGRADE = (
    "alter table job_dependencies drop column reason",
    "alter table jobs drop column deadline_at, drop column deadline",
    "alter table idempotency_keys drop column fingerprint",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
