"""Batches: jobs that are counted together, and the changes of their counts that are not added up yet.

Triggers note the changes, for the jobs of batches alone: whoever changes the state of a row, and however, has told of
it in the same transaction, and no two of them write the same row.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

_FINAL = "('COMPLETED', 'FAILED', 'CANCELLED')"

UPGRADE = (
    """
    create table batches (
        batch_id uuid primary key,
        name text not null,
        callbacks jsonb not null default '{}',
        total bigint not null default 0,
        completed bigint not null default 0,
        failed bigint not null default 0,
        cancelled bigint not null default 0,
        created_at timestamptz not null default now(),
        closed_at timestamptz,
        cancelled_at timestamptz,
        cancel_reason text,
        failure_at timestamptz,
        success_at timestamptz,
        complete_at timestamptz,
        exhausted_at timestamptz,
        began_at timestamptz,
        rated_at timestamptz,
        rate double precision
    )
    """,
    "comment on column batches.callbacks is 'by event, the row of the job that it makes'",
    "comment on column batches.rate is 'jobs that ended a second, of late, when rated_at was'",
    "create index idx_batches_created on batches (created_at desc, batch_id desc)",
    "create index idx_batches_unfinished on batches (created_at desc, batch_id desc) where complete_at is null",
    # store/tallies.py asks with the same words as these two.
    """
    create index idx_batches_cancelling on batches (batch_id) where cancelled_at is not null
        and (complete_at is null or completed + failed + cancelled < total)
    """,
    """
    create index idx_batches_ripe on batches (batch_id) where closed_at is not null
        and completed + failed + cancelled = total and (complete_at is null
            or (success_at is null and completed = total) or (exhausted_at is null and failed > 0))
    """,
    """
    create table batch_changes (
        change_id bigint generated always as identity primary key,
        batch_id uuid not null,
        added smallint not null,
        completed smallint not null,
        failed smallint not null,
        cancelled smallint not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
    """,
    "create index idx_batch_changes_batch on batch_changes (batch_id)",
    "create index idx_jobs_batch on jobs (batch_id, status, job_id) where batch_id is not null",
    "create index idx_jobs_batch_created on jobs (batch_id, created_at desc, job_id desc) where batch_id is not null",
    """
    create function note_batch_change() returns trigger language plpgsql set search_path from current as $$
    begin
        insert into batch_changes (batch_id, added, completed, failed, cancelled) values (
            new.batch_id, (tg_op = 'INSERT')::int,
            (new.status = 'COMPLETED')::int - (old.status is not distinct from 'COMPLETED')::int,
            (new.status = 'FAILED')::int - (old.status is not distinct from 'FAILED')::int,
            (new.status = 'CANCELLED')::int - (old.status is not distinct from 'CANCELLED')::int
        );
        return null;
    end
    $$
    """,
    """
    create trigger note_batch_addition after insert on jobs for each row when (new.batch_id is not null)
        execute function note_batch_change()
    """,
    f"""
    create trigger note_batch_change after update of status on jobs for each row
        when (new.batch_id is not null and old.status <> new.status
            and (old.status in {_FINAL} or new.status in {_FINAL}))
        execute function note_batch_change()
    """,
)

DOWNGRADE = (
    "drop trigger note_batch_change on jobs",
    "drop trigger note_batch_addition on jobs",
    "drop function note_batch_change()",
    "drop index idx_jobs_batch_created",
    "drop index idx_jobs_batch",
    "drop table batch_changes",
    "drop table batches",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
