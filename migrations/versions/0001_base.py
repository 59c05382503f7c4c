"""The base tables: jobs and what happened to them.

All names are resolved through the search path, which ``env.py`` sets to the schema of the operator's choice.
"""

from alembic import op

revision = "0001"
down_revision = None

UPGRADE = (
    """
    create table jobs (
        job_id uuid primary key,
        job_type varchar(100) not null,
        status varchar(50) not null default 'PENDING' check (status in ('BLOCKED', 'SCHEDULED', 'PENDING',
            'PROCESSING', 'RETRYING', 'PAUSED', 'COMPLETED', 'FAILED', 'CANCELLED')),
        priority int not null default 1 check (priority between 1 and 5),
        payload jsonb,
        retry_count int not null default 0,
        max_retries int not null default 5,
        created_at timestamptz not null default now(),
        updated_at timestamptz not null default now(),
        scheduled_at timestamptz,
        started_at timestamptz,
        completed_at timestamptz,
        error_message text,
        queue text not null default 'celery',
        attempt int not null default 1,
        worker_id text,
        result jsonb,
        error_type text,
        fingerprint text,
        enqueued_at timestamptz,
        due_at timestamptz,
        unique_key text,
        batch_id uuid,
        root_id uuid,
        parent_id uuid,
        progress jsonb,
        timeout double precision,
        soft_timeout double precision,
        expires_at timestamptz,
        tenant text,
        tags text[],
        retry_rule jsonb,
        message jsonb
    )
    """,
    "create index idx_jobs_status on jobs (status)",
    "create index idx_jobs_priority on jobs (priority desc, created_at)",
    "create index idx_jobs_scheduled on jobs (scheduled_at) where scheduled_at is not null",
    "create index idx_jobs_type_status on jobs (job_type, status)",
    "create index idx_jobs_due on jobs (due_at) where due_at is not null",
    "create index idx_jobs_waiting on jobs (queue, priority, enqueued_at) where status = 'PENDING'",
    "create index idx_jobs_created on jobs (created_at desc, job_id desc)",
    "create index idx_jobs_root on jobs (root_id) where root_id is not null",
    "comment on column jobs.due_at is 'when it should be in a queue and is not; null while a message stands for it'",
    """
    create table job_executions (
        execution_id bigint generated always as identity primary key,
        job_id uuid not null references jobs on delete cascade,
        worker_id text,
        attempt_number int not null,
        started_at timestamptz,
        completed_at timestamptz,
        status varchar(50) not null,
        error_type text,
        error_message text,
        metrics jsonb,
        traceback text,
        unique (job_id, attempt_number)
    )
    """,
    "create index idx_executions_job on job_executions (job_id)",
    "create index idx_executions_worker on job_executions (worker_id)",
    "create index idx_executions_status on job_executions (status)",
    """
    create table job_dependencies (
        dependency_id bigint generated always as identity primary key,
        job_id uuid not null references jobs on delete cascade,
        depends_on_job_id uuid not null references jobs on delete cascade,
        dependency_type varchar(50) not null default 'sequential',
        created_at timestamptz not null default now(),
        unique (job_id, depends_on_job_id),
        check (job_id <> depends_on_job_id)
    )
    """,
    "create index idx_dependencies_job on job_dependencies (job_id)",
    "create index idx_dependencies_depends_on on job_dependencies (depends_on_job_id)",
    """
    create table job_schedules (
        schedule_id bigint generated always as identity primary key,
        job_type varchar(100) not null,
        cron_expression varchar(100) not null,
        payload_template jsonb,
        enabled boolean not null default true,
        last_run timestamptz,
        next_run timestamptz,
        created_at timestamptz not null default now(),
        updated_at timestamptz not null default now(),
        name text not null unique,
        timezone text not null default 'UTC',
        misfire text not null default 'once',
        overlap text not null default 'skip',
        jitter double precision not null default 0,
        priority int not null default 1 check (priority between 1 and 5),
        queue text not null default 'celery'
    )
    """,
    "create index idx_schedules_enabled on job_schedules (enabled)",
    "create index idx_schedules_next_run on job_schedules (next_run) where enabled",
    """
    create table dead_letter_jobs (
        dlq_id bigint generated always as identity primary key,
        job_id uuid not null,
        job_type varchar(100) not null,
        payload jsonb,
        error_type text,
        error_message text,
        retry_count int not null default 0,
        failed_at timestamptz not null default now(),
        last_execution_id bigint,
        reason text not null,
        fingerprint text,
        resolution text,
        resolved_at timestamptz,
        attempt int not null default 1,
        unique (job_id, attempt)
    )
    """,
    "create index idx_dlq_job_type on dead_letter_jobs (job_type)",
    "create index idx_dlq_error_type on dead_letter_jobs (error_type)",
    "create index idx_dlq_failed_at on dead_letter_jobs (failed_at desc)",
    """
    create table retry_decisions (
        decision_id bigint generated always as identity primary key,
        job_id uuid not null references jobs on delete cascade,
        attempt int not null,
        action text not null check (action in ('retry', 'dead_letter')),
        delay_seconds double precision,
        reason text not null,
        decided_by text not null,
        decided_at timestamptz not null,
        unique (job_id, attempt)
    )
    """,
    """
    create table journal_quarantine (
        quarantine_id bigint generated always as identity primary key,
        stream_id text not null,
        field text not null,
        entry bytea not null,
        reason text not null,
        quarantined_at timestamptz not null default now(),
        unique (stream_id, field)
    )
    """,
)

DOWNGRADE = (
    "drop table journal_quarantine",
    "drop table retry_decisions",
    "drop table dead_letter_jobs",
    "drop table job_schedules",
    "drop table job_dependencies",
    "drop table job_executions",
    "drop table jobs",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
