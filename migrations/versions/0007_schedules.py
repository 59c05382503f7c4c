"""Schedules that are watched and steered, and which fire of which schedule a job is."""

from alembic import op

revision = "0007"
down_revision = "0006"

UPGRADE = (
    """
    alter table job_schedules
        alter column payload_template set default '{"args": [], "kwargs": {}}',
        add column misfire_grace double precision not null default 60,
        add column misfire_window double precision not null default 3600,
        add column misfire_cap int not null default 100,
        add column spread double precision not null default 0,
        add column skipped bigint not null default 0,
        add column problem text,
        add column origin text not null default 'hand' check (origin in ('hand', 'code')),
        add column hold_reason text,
        add column hold_by text,
        add column hold_until timestamptz,
        add constraint job_schedules_misfire_check check (misfire in ('skip', 'once', 'all', 'window')),
        add constraint job_schedules_overlap_check check (overlap in
            ('skip', 'buffer_one', 'buffer_all', 'cancel_other', 'terminate_other', 'allow_all')),
        add constraint job_schedules_times_check check
            (misfire_grace >= 0 and misfire_window >= 0 and misfire_cap >= 0 and jitter >= 0 and spread >= 0)
    """,
    "comment on column job_schedules.next_run is 'the first time that was not fired at; null when it is to be found'",
    "create index idx_schedules_held on job_schedules (hold_until) where hold_until is not null",
    """
    create function plan_schedule_anew() returns trigger language plpgsql as $$
    begin
        new.next_run := null;
        new.problem := null;
        return new;
    end $$
    """,
    """
    create trigger plan_schedule_anew before update of cron_expression, timezone on job_schedules for each row
    when ((old.cron_expression, old.timezone) is distinct from (new.cron_expression, new.timezone))
    execute function plan_schedule_anew()
    """,
    "alter table jobs add column schedule_id bigint, add column fire_at timestamptz",
    "create unique index idx_jobs_fire on jobs (schedule_id, fire_at) where schedule_id is not null",
)

DOWNGRADE = (
    "drop index idx_jobs_fire",
    "alter table jobs drop column schedule_id, drop column fire_at",
    "drop trigger plan_schedule_anew on job_schedules",
    "drop function plan_schedule_anew()",
    "drop index idx_schedules_held",
    """
    alter table job_schedules
        alter column payload_template drop default,
        drop constraint job_schedules_times_check,
        drop constraint job_schedules_overlap_check,
        drop constraint job_schedules_misfire_check,
        drop column hold_until,
        drop column hold_by,
        drop column hold_reason,
        drop column origin,
        drop column problem,
        drop column skipped,
        drop column spread,
        drop column misfire_cap,
        drop column misfire_window,
        drop column misfire_grace
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
