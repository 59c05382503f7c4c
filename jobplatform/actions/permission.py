"""What may be done, by name, and the roles that hold these names together."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """What somebody may do; reading a job's payload, result and log is apart from reading the job."""

    JOBS_READ = "jobs.read"
    JOBS_PAYLOAD = "jobs.payload"
    JOBS_SUBMIT = "jobs.submit"
    JOBS_STEER = "jobs.steer"
    QUEUES_READ = "queues.read"
    QUEUES_STEER = "queues.steer"
    WORKERS_READ = "workers.read"
    WORKERS_STEER = "workers.steer"
    SCHEDULES_READ = "schedules.read"
    SCHEDULES_WRITE = "schedules.write"
    LETTERS_READ = "letters.read"
    LETTERS_RESOLVE = "letters.resolve"
    LETTERS_REPLAY = "letters.replay"
    LETTERS_EDIT = "letters.edit"
    MODELS_READ = "models.read"
    MODELS_WRITE = "models.write"
    LIMITS_READ = "limits.read"
    LIMITS_WRITE = "limits.write"
    AUDIT_READ = "audit.read"
    USERS_READ = "users.read"
    USERS_WRITE = "users.write"
    TOKENS_WRITE = "tokens.write"
    PLANS_APPROVE = "plans.approve"
    BACKUPS_WRITE = "backups.write"
    ALERTS_READ = "alerts.read"
    ALERTS_WRITE = "alerts.write"
    RETENTION_WRITE = "retention.write"
    KEYS_WRITE = "keys.write"


_VIEWER = frozenset(each for each in Permission if each.endswith(".read")) - {
    Permission.AUDIT_READ,
    Permission.USERS_READ,
}
_OPERATOR = _VIEWER | {
    Permission.JOBS_SUBMIT,
    Permission.JOBS_STEER,
    Permission.QUEUES_STEER,
    Permission.WORKERS_STEER,
    Permission.SCHEDULES_WRITE,
    Permission.LETTERS_RESOLVE,
    Permission.LETTERS_REPLAY,
    Permission.TOKENS_WRITE,
    Permission.PLANS_APPROVE,
    Permission.ALERTS_WRITE,
}
#: Who sees payloads was given that permission by name, or administers.
ROLES: Mapping[str, frozenset[Permission]] = {
    "viewer": _VIEWER,
    "operator": _OPERATOR,
    "admin": frozenset(Permission),
}
