"""Who may do what, and who did what."""

from alembic import op

revision = "0018"
down_revision = "0017"

UPGRADE = (
    """
    create table users (
        user_id bigint generated always as identity primary key,
        name text not null unique check (name <> '' and length(name) <= 100),
        password text not null,
        role text not null check (role in ('viewer', 'operator', 'admin')),
        more text[] not null default '{}',
        queues text[],
        tenants text[],
        created_at timestamptz not null default now(),
        seen_at timestamptz,
        disabled_at timestamptz
    )
    """,
    """
    create table sessions (
        session_hash bytea primary key,
        user_id bigint not null references users on delete cascade,
        address text,
        begun_at timestamptz not null default now(),
        used_at timestamptz not null default now(),
        ends_at timestamptz not null
    )
    """,
    "create index idx_sessions_user on sessions (user_id)",
    "create index idx_sessions_end on sessions (ends_at)",
    """
    create table api_tokens (
        token_id bigint generated always as identity primary key,
        token_hash bytea not null unique,
        name text not null check (name <> '' and length(name) <= 100),
        user_id bigint not null references users on delete cascade,
        permissions text[] not null,
        queues text[],
        tenants text[],
        created_at timestamptz not null default now(),
        used_at timestamptz,
        expires_at timestamptz not null,
        revoked_at timestamptz
    )
    """,
    "create index idx_tokens_user on api_tokens (user_id)",
    """
    create table audit_log (
        audit_id bigint generated always as identity primary key,
        at timestamptz not null,
        actor text not null,
        via text not null,
        address text,
        action text not null,
        about jsonb not null,
        outcome jsonb not null,
        reason text,
        previous bytea,
        hash bytea not null
    )
    """,
    "create index idx_audit_actor on audit_log (actor, audit_id desc)",
    "create index idx_audit_action on audit_log (action, audit_id desc)",
    """
    create function refuse_to_forget() returns trigger language plpgsql as $$
    begin
        raise exception 'audit_log: rows are only ever added' using errcode = 'insufficient_privilege';
    end
    $$
    """,
    """
    create trigger audit_log_is_kept before update or delete or truncate on audit_log
    for each statement execute function refuse_to_forget()
    """,
)

DOWNGRADE = (
    "drop table audit_log",
    "drop function refuse_to_forget()",
    "drop table api_tokens",
    "drop table sessions",
    "drop table users",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
