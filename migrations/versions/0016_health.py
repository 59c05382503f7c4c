"""How workers are, from sample to sample, and what that says of them."""

from alembic import op

revision = "0016"
down_revision = "0015"

UPGRADE = (
    """
    create table worker_samples (
        worker_id text not null,
        sampled_at timestamptz not null,
        seconds real not null,
        cpu real not null,
        rss bigint not null,
        tree_rss bigint not null,
        rss_slope double precision,
        memory_left bigint,
        memory_limit bigint,
        processes jsonb not null default '[]',
        open_files int,
        disk_free bigint,
        slots int not null,
        active int not null,
        waiting int not null,
        started bigint not null,
        finished bigint not null,
        failed bigint not null,
        loop_wait real,
        jitter real,
        primary key (worker_id, sampled_at)
    )
    """,
    "comment on column worker_samples.seconds is 'since the sample before'",
    "comment on column worker_samples.cpu is 'processors that were busy since then'",
    "comment on column worker_samples.rss_slope is 'bytes a second by which tree_rss grows'",
    "comment on column worker_samples.started is 'attempts since the start of the worker, as are finished and failed'",
    "comment on column worker_samples.finished is 'attempts that ended, those that failed among them'",
    "create index idx_worker_samples_time on worker_samples (sampled_at)",
    """
    create table verdicts (
        worker_id text not null,
        judged_at timestamptz not null,
        verdict text not null check (verdict in ('healthy', 'degraded', 'failing')),
        confidence real not null check (confidence between 0 and 1),
        reason text not null,
        decided_by text not null,
        features jsonb not null default '{}',
        primary key (worker_id, judged_at)
    )
    """,
    "create index idx_verdicts_time on verdicts (judged_at)",
    """
    create table hungry_types (
        job_type text primary key,
        queue text not null,
        needs double precision not null,
        usual double precision not null,
        raised int not null,
        deaths int not null,
        since timestamptz not null,
        found_at timestamptz not null
    )
    """,
    "create index idx_hungry_found on hungry_types (found_at)",
    """
    alter table workers add column verdict text, add column confidence real, add column verdict_reason text,
        add column judged_at timestamptz
    """,
)

DOWNGRADE = (
    """
    alter table workers drop column judged_at, drop column verdict_reason, drop column confidence,
        drop column verdict
    """,
    "drop table hungry_types",
    "drop table verdicts",
    "drop table worker_samples",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
