"""How much runs at once, how much begins in a time, and in which order a queue is served."""

from alembic import op

revision = "0012"
down_revision = "0011"

UPGRADE = (
    "alter table jobs add column limit_key text, add column units int not null default 1 check (units > 0)",
    """
    create table limits (
        name text primary key,
        slots int check (slots > 0),
        rate double precision check (rate > 0),
        burst double precision check (burst >= 1),
        declared boolean not null default false,
        updated_at timestamptz not null default now()
    )
    """,
    """
    create table queue_orders (
        queue text primary key,
        fair boolean not null default false,
        age_seconds double precision check (age_seconds > 0)
    )
    """,
    """
    create table tenant_weights (
        queue text,
        tenant text,
        weight double precision not null check (weight > 0),
        primary key (queue, tenant)
    )
    """,
)

DOWNGRADE = (
    "drop table tenant_weights",
    "drop table queue_orders",
    "drop table limits",
    "alter table jobs drop column units, drop column limit_key",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
