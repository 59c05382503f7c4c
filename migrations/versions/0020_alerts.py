"""What is wrong and people are told of; and up to where the audit log was moved into files."""

from alembic import op

revision = "0020"
down_revision = "0019"

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
    """
    create table audit_seals (
        audit_id bigint primary key,
        hash bytea not null,
        file text not null,
        sealed_at timestamptz not null default now()
    )
    """,
    "comment on column audit_seals.hash is 'of the last row that was moved into the file; the next is bound to it'",
    """
    create trigger audit_seals_are_kept before update or delete or truncate on audit_seals
    for each statement execute function refuse_to_forget()
    """,
    """
    create function refuse_to_forget_unsealed() returns trigger language plpgsql set search_path from current as $$
    begin
        if not exists (select from audit_seals s where s.audit_id >= old.audit_id) then
            raise exception 'audit_log: rows are only ever added' using errcode = 'insufficient_privilege';
        end if;
        return old;
    end
    $$
    """,
    "drop trigger audit_log_is_kept on audit_log",
    """
    create trigger audit_log_is_kept before update or truncate on audit_log
    for each statement execute function refuse_to_forget()
    """,
    """
    create trigger audit_log_is_sealed before delete on audit_log
    for each row execute function refuse_to_forget_unsealed()
    """,
)

DOWNGRADE = (
    "drop trigger audit_log_is_sealed on audit_log",
    "drop function refuse_to_forget_unsealed()",
    "drop trigger audit_log_is_kept on audit_log",
    """
    create trigger audit_log_is_kept before update or delete or truncate on audit_log
    for each statement execute function refuse_to_forget()
    """,
    "drop table audit_seals",
    "drop table alert_mutes",
    "drop table alert_notices",
    "drop table alerts",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
