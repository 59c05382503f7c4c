"""What agents ask to do, until a person has said yes."""

from alembic import op

revision = "0024"
down_revision = "0023"

UPGRADE = (
    """
    create table agent_plans (
        plan_id text primary key,
        actor text not null,
        action text not null,
        arguments jsonb not null,
        digest bytea not null,
        jobs bigint not null,
        blast jsonb not null,
        state text not null default 'asked' check (state in ('asked', 'approved', 'refused', 'applied', 'failed')),
        asked_at timestamptz not null default now(),
        expires_at timestamptz not null,
        decided_by text,
        decided_at timestamptz,
        applied_at timestamptz,
        outcome jsonb
    )
    """,
    "create index idx_agent_plans_open on agent_plans (asked_at desc, plan_id) where state in ('asked', 'approved')",
    "create index idx_agent_plans_asked on agent_plans (asked_at)",
)

DOWNGRADE = ("drop table agent_plans",)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
