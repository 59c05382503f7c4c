"""Searching at any size, and what people ask for over HTTP: keys of requests, and changes of many jobs."""

from alembic import op

revision = "0025"
down_revision = "0024"

#: Of jobs in order of time: of a type in each state, since those of a state alone have that since 0002; of a root, ...
INDEXES = {
    "idx_jobs_type_status": "(job_type, status, created_at desc, job_id desc)",
    "idx_jobs_root": "(root_id, created_at desc, job_id desc) where root_id is not null",
    "idx_jobs_error": "(error_type, created_at desc, job_id desc) where error_type is not null",
    "idx_jobs_tenant": "(tenant, created_at desc, job_id desc) where tenant is not null",
}

UPGRADE = (
    """
    create table request_keys (
        actor text not null,
        key text not null,
        fingerprint text not null,
        begun_at timestamptz not null default now(),
        status smallint,
        answer bytea,
        primary key (actor, key)
    )
    """,
    "create index idx_request_keys_begun on request_keys (begun_at)",
    """
    create table bulk_actions (
        bulk_id bigint generated always as identity primary key,
        actor text not null,
        via text not null,
        permissions text[] not null,
        queues text[],
        tenants text[],
        action text not null,
        wish jsonb not null,
        filter text not null,
        reason text,
        expected bigint not null,
        whole boolean not null,
        status text not null default 'waiting' check (status in ('waiting', 'running', 'done', 'cancelled')),
        place_time timestamptz,
        place_id uuid,
        counts jsonb not null default '{}',
        jobs bigint not null default 0,
        job_id uuid,
        created_at timestamptz not null default now(),
        started_at timestamptz,
        finished_at timestamptz,
        cancelled_by text
    )
    """,
    "create index idx_bulk_actions_actor on bulk_actions (actor, bulk_id desc)",
)

DOWNGRADE = (
    "drop table bulk_actions",
    "drop table request_keys",
    "drop index idx_jobs_tenant",
    "drop index idx_jobs_error",
    "drop index idx_jobs_root",
    "create index idx_jobs_root on jobs (root_id) where root_id is not null",
    "drop index idx_jobs_type_status",
    "create index idx_jobs_type_status on jobs (job_type, status)",
)


def upgrade() -> None:
    for name, index in INDEXES.items():
        # Who cannot wait makes it beforehand, concurrently, by this name; DEPLOYMENT.md says how.
        op.execute(f"create index if not exists {name}_next on jobs {index}")
        op.execute(f"drop index if exists {name}")
        op.execute(f"alter index {name}_next rename to {name}")
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
