"""What has changed since somebody looked: topics alone, so that who hears of one asks for what they may see."""

from __future__ import annotations

from collections.abc import Mapping

from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.store import activity

#: The tables of each topic; the names of their sequences begin with theirs.
_TABLES: Mapping[str, tuple[str, ...]] = {
    "jobs": ("jobs", "job_executions", "job_dependencies", "batches", "bulk_actions"),
    "queues": ("pauses", "queue_samples", "jobs", "job_executions"),
    "workers": ("workers", "worker_samples", "verdicts", "replacements", "fleet_wishes", "scale_decisions"),
    "schedules": ("job_schedules",),
    "letters": ("dead_letter_jobs", "error_clusters", "cluster_notes", "replays", "replay_jobs", "journal_quarantine"),
    "decisions": ("retry_decisions", "scale_decisions", "breakers"),
    "models": ("models", "model_trials"),
    "limits": ("limits", "queue_orders", "tenant_weights", "breakers"),
    "people": ("users", "api_tokens"),
    "audit": ("audit_log",),
    "alerts": ("alerts", "alert_notices", "alert_mutes"),
    "plans": ("agent_plans",),
}
TOPICS: Mapping[str, Permission] = {
    "jobs": Permission.JOBS_READ,
    "queues": Permission.QUEUES_READ,
    "workers": Permission.WORKERS_READ,
    "schedules": Permission.SCHEDULES_READ,
    "letters": Permission.LETTERS_READ,
    "decisions": Permission.JOBS_READ,
    "models": Permission.MODELS_READ,
    "limits": Permission.LIMITS_READ,
    "people": Permission.USERS_READ,
    "audit": Permission.AUDIT_READ,
    "alerts": Permission.ALERTS_READ,
    "plans": Permission.PLANS_APPROVE,
}


def marks(desk: Desk) -> dict[str, int]:
    """Give a number for each topic, which is another one once something of it was written.

    It is nobody's: one process asks for all who listen, and ``heard_by`` says what each of them may hear.
    """
    with desk.look() as session:
        writes = activity.writes(session)
    return {
        topic: sum(count for name, count in writes.items() if name.startswith(tables))
        for topic, tables in _TABLES.items()
    }


def heard_by(actor: Actor) -> frozenset[str]:
    """Name the topics that somebody may hear of."""
    return frozenset(topic for topic, permission in TOPICS.items() if actor.may(permission))
