"""The rows of a test with every column filled that may be empty, and what is asked of the API about them."""

from __future__ import annotations

from retries import scribble
from told import Told

from jobplatform.actions.desk import Desk
from jobplatform.workers.hunger_watch import HungerWatch

_JOB = """update @jobs set scheduled_at = now(), started_at = now(), completed_at = now(), due_at = now(),
    worker_id = 'w1', parent_id = job_id, batch_id = (select batch_id from @batches limit 1), enqueued_at = now(),
    expires_at = now(), deadline_at = now(), timeout = 9, soft_timeout = 8, unique_key = 'u', limit_key = 'l',
    retry_rule = '{"most": 3}', hold_reason = 'r', hold_by = 'b', hold_until = now(), duration_key = 'k',
    predicted_p10 = 1, predicted_p50 = 2, predicted_p90 = 3, predicted_by = 'rule', result = '1', progress = '{"of": 2}'
    where job_id = %(job_id)s::uuid"""
_ROWS = (
    """update @retry_decisions set delay_seconds = 1.5, dependency = 'host:api', gate = 'host:api', propensity = 0.5,
    chance = 0.5, eventual = 0.5, outcome = 'failed', outcome_at = now(), waited_seconds = 1.5, shadow = '{"by": 1}'""",
    """update @job_executions set metrics = '{"run": 1.5, "death": {"signal": 9}}' where metrics is null""",
    "update @job_dependencies set outcome = 'met', reason = 'it completed'",
    """update @dead_letter_jobs set edited_at = now(), edited_by = 'ann', resolution = 'resolved', resolved_at = now(),
    resolved_by = 'ann', note = 'n', replayed_attempt = 2""",
    """update @bulk_actions set reason = 'r', place_time = now(), started_at = now(), finished_at = now(),
    cancelled_by = 'ann'""",
    """update @job_schedules set last_run = now(), next_run = now(), problem = 'p', hold_reason = 'r', hold_by = 'b',
    hold_until = now() where name = 'skips'""",
    "update @jobs set started_at = now(), completed_at = now(), error_type = 'E' where schedule_id is not null",
    """update @replacements set successor = 'w3', ready_at = now(), drained_at = now(), ended_at = now(),
    outcome = 'replaced'""",
    "update @model_trials set score = '{\"outcomes\": 120, \"skill\": 0.1}'",
    "update @users set seen_at = now(), disabled_at = now(), tenants = '{acme}' where name = 'vera'",
    "update @api_tokens set queues = '{mail}' where name = 'ci'",
    "update @workers set duty_grace = 1.5",
    "update @replay_jobs set fingerprint = 'f', returned = 'f', reason = 'it came back'",
    "insert into @pauses (scope, name, reason, paused_by, paused_until) values ('queue', 'held', 'r', 'ann', now())",
    """insert into @alert_notices (alert_id, target, event, message, due_at, problem)
    select alert_id, 'mail', 'opened', 'm', now(), 'nobody is there' from @alerts""",
)  # fmt: skip


def of_filled(told: Told, desk: Desk, ids: dict[str, str]) -> None:
    """Fill what there is, and ask for it once more."""
    HungerWatch(desk.database).run_once(desk.now())
    scribble(desk.database, _JOB, job_id=ids["failed"])
    for row in _ROWS:
        scribble(desk.database, row.replace("%", "%%"))
    for path in (
        "/jobs?limit=1000", "/queues", "/workers", "/workers/hungry", "/schedules", "/letters?every=true", "/bulk",
        "/workflows", "/fleet/replacements", "/models", "/models/types", "/users", "/tokens", "/replays", "/alerts",
        "/decisions",
    ):  # fmt: skip
        assert told.ask("GET", path), path
    told.ask("GET", "/jobs/{job_id}", job_id=ids["failed"])
    told.ask("GET", "/jobs/{job_id}", job_id=ids["after"])
    told.ask("GET", "/workflows/{root_id}", root_id=ids["failed"])
    told.ask("GET", "/letters/{dlq_id}", dlq_id=1)
    told.ask("GET", "/replays/{replay_id}", replay_id=told.ask("GET", "/replays")["rows"][0]["replay_id"])
    told.ask("GET", "/bulk/{bulk_id}", bulk_id=1)
    told.ask("GET", "/models/{version}", version=1)
    told.ask("GET", "/quarantine/{quarantine_id}", quarantine_id=3)
    for name in ("nightly", "skips"):
        told.ask("GET", "/schedules/{name}", name=name)
