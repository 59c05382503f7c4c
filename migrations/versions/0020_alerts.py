"""What is wrong and people are told of, once, and again when it is over."""

from alembic import op

revision = "0020"
down_revision = "0018"

UPGRADE = (
    """
    create table alerts (
        alert_id bigint generated always as identity primary key,
        condition text not null,
        subject text not null,
        state text not null default 'open' check (state in ('open', 'closed')),
        message text not null,
        opened_at timestamptz not null,
        seen_at timestamptz not null,
        told_at timestamptz,
        closed_at timestamptz
    )
    """,
    "comment on column alerts.told_at is 'when people were last to be told of it; null when that was muted'",
    "create unique index idx_alerts_open on alerts (condition, subject) where state = 'open'",
    "create index idx_alerts_closed on alerts (closed_at) where state = 'closed'",
    """
    create table alert_notices (
        notice_id bigint generated always as identity primary key,
        alert_id bigint not null references alerts on delete cascade,
        target text not null,
        event text not null check (event in ('opened', 'repeated', 'resolved')),
        message text not null,
        due_at timestamptz not null,
        tries int not null default 0,
        problem text,
        sent_at timestamptz,
        given_up_at timestamptz
    )
    """,
    "create index idx_notices_alert on alert_notices (alert_id)",
    """
    create index idx_notices_waiting on alert_notices (target, notice_id)
        where sent_at is null and given_up_at is null
    """,
    """
    create table alert_mutes (
        condition text not null,
        subject text not null default '',
        muted_until timestamptz,
        muted_by text not null,
        reason text,
        primary key (condition, subject)
    )
    """,
    "comment on column alert_mutes.subject is 'empty for all of the condition'",
)

DOWNGRADE = ("drop table alert_mutes", "drop table alert_notices", "drop table alerts")


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
