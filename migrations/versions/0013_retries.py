"""What retry decisions rest on and what came of them, breakers, clusters of errors, replays, and models."""

from alembic import op

revision = "0013"
down_revision = "0012"

UPGRADE = (
    """
    alter table retry_decisions add column job_type text, add column fingerprint text, add column dependency text,
        add column gate text, add column free boolean not null default false, add column features jsonb,
        add column candidates jsonb, add column propensity double precision, add column chance double precision,
        add column eventual double precision, add column shadow jsonb,
        add column outcome text check (outcome in ('succeeded', 'failed')), add column outcome_at timestamptz,
        add column waited_seconds double precision, add column ended text
    """,
    "create index idx_decisions_outcome on retry_decisions (outcome_at) where outcome is not null",
    "create index idx_decisions_type_outcome on retry_decisions (job_type, outcome_at) where outcome is not null",
    "create index idx_decisions_fingerprint on retry_decisions (fingerprint, decided_at)",
    """
    alter table jobs add column gate text, add column trial boolean not null default false
    """,
    "create index idx_jobs_gate on jobs (gate, due_at) where gate is not null",
    """
    create table breakers (
        cause text primary key,
        state text not null check (state in ('open', 'releasing', 'closed')),
        reason text not null,
        opened_at timestamptz not null,
        probe_at timestamptz,
        probes int not null default 0,
        canary uuid,
        canary_at timestamptz,
        released int not null default 0,
        job_types text[] not null default '{}',
        forced text check (forced in ('open', 'closed')),
        forced_by text,
        closed_at timestamptz,
        updated_at timestamptz not null default now()
    )
    """,
    "create index idx_breakers_open on breakers (state) where state <> 'closed'",
    """
    create table error_clusters (
        fingerprint text primary key,
        error_type text not null,
        text text not null,
        dependency text,
        sample text,
        traceback text,
        sample_job uuid,
        job_types jsonb not null default '{}',
        releases text[] not null default '{}',
        errors bigint not null default 0,
        first_seen timestamptz not null,
        last_seen timestamptz not null,
        state text not null default 'open' check (state in ('open', 'resolved')),
        muted boolean not null default false,
        assignee text,
        resolved_at timestamptz,
        reopened int not null default 0,
        merged_into text references error_clusters on delete set null
    )
    """,
    "create index idx_clusters_seen on error_clusters (last_seen desc)",
    """
    create table cluster_notes (
        note_id bigint generated always as identity primary key,
        fingerprint text not null references error_clusters on delete cascade,
        note text not null,
        noted_by text not null,
        noted_at timestamptz not null default now()
    )
    """,
    "create index idx_cluster_notes on cluster_notes (fingerprint)",
    "create index idx_dlq_fingerprint on dead_letter_jobs (fingerprint, dlq_id) where resolved_at is null",
    "create index idx_dlq_resolved on dead_letter_jobs (resolved_at) where resolved_at is not null",
    "create index idx_dlq_open on dead_letter_jobs (failed_at) where resolved_at is null",
    """
    alter table dead_letter_jobs add column resolved_by text, add column note text, add column replay_id bigint,
        add column replayed_attempt int, add column edited_payload jsonb, add column edited_by text,
        add column edited_at timestamptz
    """,
    """
    create table replays (
        replay_id bigint generated always as identity primary key,
        state text not null default 'running' check (state in ('running', 'done', 'stopped', 'cancelled')),
        chosen jsonb not null,
        jobs int not null,
        rate double precision,
        canaries int,
        stop_on text[] not null default '{}',
        step int not null default 0,
        step_size int not null default 0,
        next_at timestamptz,
        asked_by text not null,
        asked_at timestamptz not null default now(),
        ended_at timestamptz,
        reason text
    )
    """,
    "create index idx_replays_running on replays (replay_id) where state = 'running'",
    "create index idx_replays_ended on replays (ended_at) where ended_at is not null",
    """
    create table replay_jobs (
        replay_id bigint not null references replays on delete cascade,
        job_id uuid not null,
        dlq_id bigint not null,
        position int not null,
        step int,
        attempt int,
        state text not null default 'waiting' check (state in ('waiting', 'sent', 'succeeded', 'failed', 'skipped')),
        sent_at timestamptz,
        ended_at timestamptz,
        error_type text,
        fingerprint text,
        returned text,
        reason text,
        primary key (replay_id, job_id)
    )
    """,
    "create index idx_replay_jobs_state on replay_jobs (replay_id, state, position)",
    "create index idx_replay_jobs_step on replay_jobs (replay_id, step) where step is not null",
    "create index idx_replay_jobs_sent on replay_jobs (replay_id, job_id) where state = 'sent'",
    "create index idx_replay_jobs_returned on replay_jobs (replay_id, position) where returned is not null",
    """
    create table models (
        version int generated always as identity primary key,
        kind text not null,
        state text not null check (state in ('shadow', 'active', 'retired')),
        trained_at timestamptz not null,
        window_from timestamptz,
        window_to timestamptz,
        rows int not null,
        features jsonb not null,
        base_rate double precision not null,
        metrics jsonb not null,
        calibration jsonb not null,
        artifact bytea,
        sha256 text not null,
        reason text,
        retired_at timestamptz
    )
    """,
    "create index idx_models_kind on models (kind, version desc)",
    """
    create table model_trials (
        kind text not null,
        job_type text not null,
        state text not null check (state in ('shadow', 'active', 'retired')),
        version int references models on delete set null,
        since timestamptz not null,
        reason text not null,
        score jsonb not null default '{}',
        forced boolean not null default false,
        primary key (kind, job_type)
    )
    """,
)

DOWNGRADE = (
    "drop table model_trials",
    "drop table models",
    "drop table replay_jobs",
    "drop table replays",
    """
    alter table dead_letter_jobs drop column edited_at, drop column edited_by, drop column edited_payload,
        drop column replayed_attempt, drop column replay_id, drop column note, drop column resolved_by
    """,
    "drop index idx_dlq_open",
    "drop index idx_dlq_resolved",
    "drop index idx_dlq_fingerprint",
    "drop table cluster_notes",
    "drop table error_clusters",
    "drop table breakers",
    "drop index idx_jobs_gate",
    "alter table jobs drop column trial, drop column gate",
    "drop index idx_decisions_fingerprint",
    "drop index idx_decisions_type_outcome",
    "drop index idx_decisions_outcome",
    """
    alter table retry_decisions drop column ended, drop column waited_seconds, drop column outcome_at,
        drop column outcome, drop column shadow, drop column eventual, drop column chance, drop column propensity,
        drop column candidates, drop column features, drop column free, drop column gate, drop column dependency,
        drop column fingerprint, drop column job_type
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
