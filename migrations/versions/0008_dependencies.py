"""What becomes of a job when one that it waits for ends, and which edges are settled."""

from alembic import op

revision = "0008"
down_revision = "0007"

UPGRADE = (
    # A job that a running job submits comes through the journal, as may the one that it waits for: in any order.
    "alter table job_dependencies drop constraint job_dependencies_depends_on_job_id_fkey",
    """
    alter table job_dependencies
        add column on_failure text not null default 'cancel' check (on_failure in ('cancel', 'continue', 'hold')),
        add column outcome text check (outcome in ('met', 'unmet')),
        add column watched boolean not null default false,
        add constraint job_dependencies_type_check check
            (dependency_type in ('sequential', 'success', 'finished', 'failure'))
    """,
    "comment on column job_dependencies.outcome is 'null until the job that is depended on has ended'",
    "comment on column job_dependencies.watched is 'whether the end of the other job cannot be missed any more'",
    "create index idx_dependencies_open on job_dependencies (job_id) where outcome is null",
    "create index idx_dependencies_unmet on job_dependencies (job_id) where outcome = 'unmet'",
    "create index idx_dependencies_awaited on job_dependencies (depends_on_job_id) where outcome is null",
)

DOWNGRADE = (
    "drop index idx_dependencies_awaited",
    "drop index idx_dependencies_unmet",
    "drop index idx_dependencies_open",
    """
    alter table job_dependencies
        drop constraint job_dependencies_type_check,
        drop column watched,
        drop column outcome,
        drop column on_failure
    """,
    """
    delete from job_dependencies d where not exists (select from jobs u where u.job_id = d.depends_on_job_id)
    """,
    """
    alter table job_dependencies add constraint job_dependencies_depends_on_job_id_fkey
        foreign key (depends_on_job_id) references jobs on delete cascade
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
