"""Effects of jobs that commit once, and the states that running jobs save.

An effect has no foreign key to its job: a job that was submitted through the journal may run before its row is there.
A trigger on the rows of jobs, once a statement, lets effects go with their job all the same.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

UPGRADE = (
    "alter table jobs add column checkpoint jsonb",
    "comment on column jobs.checkpoint is 'the state that a run saved last; the next attempt goes on from it'",
    """
    create table job_effects (
        job_id uuid not null,
        key varchar(200) not null,
        attempt int not null,
        created_at timestamptz not null default now(),
        primary key (job_id, key)
    )
    """,
    """
    create function delete_job_effects() returns trigger language plpgsql set search_path from current as $$
    begin
        delete from job_effects e using deleted_jobs j where e.job_id = j.job_id;
        return null;
    end
    $$
    """,
    """
    create trigger delete_job_effects after delete on jobs referencing old table as deleted_jobs
        for each statement execute function delete_job_effects()
    """,
)

DOWNGRADE = (
    "drop trigger delete_job_effects on jobs",
    "drop function delete_job_effects()",
    "drop table job_effects",
    "alter table jobs drop column checkpoint",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
