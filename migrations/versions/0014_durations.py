"""How long jobs take, as foretold when they are submitted."""

from alembic import op

revision = "0014"
down_revision = "0013"

UPGRADE = (
    """
    alter table jobs add column duration_key text, add column predicted_p10 real, add column predicted_p50 real,
        add column predicted_p90 real, add column predicted_by text
    """,
    """
    create table duration_estimates (
        job_type text not null,
        key text not null default '',
        p10 double precision not null,
        p50 double precision not null,
        p90 double precision not null,
        chance double precision,
        runs int not null,
        decided_by text not null,
        longest double precision not null,
        history jsonb not null default '[]',
        widening jsonb not null default '{}',
        updated_at timestamptz not null default now(),
        primary key (job_type, key)
    )
    """,
    "create index idx_estimates_updated on duration_estimates (updated_at)",
    """
    create table duration_coverage (
        job_type text not null,
        day date not null,
        runs int not null,
        judged int not null,
        below int not null,
        above int not null,
        within int not null,
        error double precision not null,
        seconds double precision not null,
        primary key (job_type, day)
    )
    """,
    "create index idx_coverage_day on duration_coverage (day)",
)

DOWNGRADE = (
    "drop table duration_coverage",
    "drop table duration_estimates",
    """
    alter table jobs drop column predicted_by, drop column predicted_p90, drop column predicted_p50,
        drop column predicted_p10, drop column duration_key
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
