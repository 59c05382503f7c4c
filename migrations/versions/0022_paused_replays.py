"""Replays that wait until somebody lets them go on."""

from alembic import op

revision = "0022"
down_revision = "0020"

UPGRADE = (
    """
    alter table replays drop constraint replays_state_check, add constraint replays_state_check
        check (state in ('running', 'paused', 'done', 'stopped', 'cancelled'))
    """,
    "drop index idx_replays_running",
    "create index idx_replays_open on replays (replay_id) where state in ('running', 'paused')",
)

DOWNGRADE = (
    "update replays set state = 'cancelled', ended_at = now() where state = 'paused'",
    """
    alter table replays drop constraint replays_state_check, add constraint replays_state_check
        check (state in ('running', 'done', 'stopped', 'cancelled'))
    """,
    "drop index idx_replays_open",
    "create index idx_replays_running on replays (replay_id) where state = 'running'",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
