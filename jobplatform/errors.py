"""The errors that users of jobplatform can meet; each names the field, the problem and the fix."""

from __future__ import annotations

import copyreg
from typing import Any


class JobPlatformError(Exception):
    """The base of every error that jobplatform raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between processes; constructors take what an error tells of, and not its words.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class SettingsError(JobPlatformError):
    """A setting in the environment has a value that cannot be used."""


class JobOptionError(JobPlatformError, TypeError):
    """An option given to ``@job`` or to a submit call is unknown or out of range."""


class InvalidPayload(JobPlatformError, ValueError):
    """A payload was refused before anything was written.

    ``field`` is the path of the refused value, such as ``kwargs.customer.ids[3]``.
    """

    def __init__(self, field: str, problem: str, fix: str) -> None:
        super().__init__(f"{field}: {problem}; {fix}")
        self.field = field
        self.problem = problem
        self.fix = fix


class SealError(JobPlatformError):
    """Something encrypted cannot be read, or something cannot be encrypted, by this process."""


class PayloadProblems(InvalidPayload):
    """A payload does not fit the schema of its job type; nothing was written.

    :param problems: each with the JSON pointer of a field in the payload (RFC 6901), and what is wrong with it.
    """

    def __init__(self, job_type: str, problems: tuple[tuple[str, str], ...]) -> None:
        told = [f"{pointer or 'payload'}: {problem}" for pointer, problem in problems]
        field, _, first = told[0].partition(": ")
        more = "".join(f"; {each}" for each in told[1:3]) + ("; and more" if len(told) > 3 else "")
        super().__init__(field, first + more, f"give {job_type} what its schema says")
        self.job_type, self.problems = job_type, problems


class ScheduleError(JobPlatformError, ValueError):
    """A schedule says something that cannot be understood; nothing was written."""


class CyclicWorkflow(JobPlatformError, ValueError):
    """The jobs of a workflow wait for each other in a circle; nothing was written."""


class KeyTaken(JobPlatformError):
    """Another job has the unique key; nothing was written.

    :param job_id: the other job.
    """

    def __init__(self, key: str, job_id: str) -> None:
        super().__init__(f"unique_key: {key!r} is taken by job {job_id}; wait for its end, or choose another mode")
        self.key = key
        self.job_id = job_id


class IdempotencyConflict(JobPlatformError):
    """An idempotency key was used for something else; nothing was written.

    :param job_id: the job that was submitted with it.
    :param before: the fingerprint of what was submitted with it.
    :param now: the fingerprint of what was to be submitted.
    """

    def __init__(self, key: str, job_id: str, before: str, now: str) -> None:
        super().__init__(
            f"idempotency_key: {key!r} was used for job {job_id}, of another job type or payload (its fingerprint is "
            f"{before}, and that of this one {now}); give another key, or submit the same again"
        )
        self.key, self.job_id, self.before, self.now = key, job_id, before, now


class BatchNotFound(JobPlatformError, LookupError):
    """No batch has this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"batch {batch_id}: there is none of this id; see: jobplatform batches list")
        self.batch_id = batch_id


class WorkflowNotFound(JobPlatformError, LookupError):
    """No workflow has this root, or a job of this id."""

    def __init__(self, root_id: str) -> None:
        super().__init__(f"workflow {root_id}: there is none of this root or job; see: jobplatform workflows list")
        self.root_id = root_id


class ClusterNotFound(JobPlatformError, LookupError):
    """No cluster of errors has this fingerprint."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(
            f"cluster {fingerprint}: none has a fingerprint that begins so; see: jobplatform clusters list --all"
        )
        self.fingerprint = fingerprint


class BatchClosed(JobPlatformError):
    """A job was to be added to a batch that takes no more; nothing was written."""

    def __init__(self, batch_id: str, name: str) -> None:
        super().__init__(
            f"batch {batch_id} ({name}) is closed; open another batch, "
            "or let a job of this one add the job: current_job().batch.add(...)"
        )
        self.batch_id = batch_id
        self.name = name


class ScheduleNotFound(JobPlatformError, LookupError):
    """No schedule has this name."""


class UnknownJobType(JobPlatformError, LookupError):
    """A job type was named that no imported module defines."""


class UnknownQueue(JobPlatformError, LookupError):
    """A queue was named that the application does not declare."""


class JobNotFound(JobPlatformError, LookupError):
    """No row stands for the job id."""


class ReplayNotFound(JobPlatformError, LookupError):
    """No replay has the id."""


class WorkerNotFound(JobPlatformError, LookupError):
    """No worker that lives has the name."""


class DecisionNotFound(JobPlatformError, LookupError):
    """No decision has the number."""


class NotQuarantined(JobPlatformError, LookupError):
    """Nothing in quarantine has the id."""


class TransitionRefused(JobPlatformError):
    """A state change was asked for that the job's present state does not allow."""


class ResultTooLarge(JobPlatformError, ValueError):
    """A job returned more than the result limit; its run is recorded as failed."""


class StoreUnavailable(JobPlatformError):
    """The stores that are needed are away; nothing was written."""


class DeadlineExceeded(JobPlatformError):
    """The deadline of a running job has come; let it pass through."""


class Superseded(JobPlatformError):
    """A newer attempt of the job has taken over; the one that meets this is to end."""


class EffectPending(JobPlatformError):
    """Another run of the job has the effect open, and how that ends cannot be waited for."""


class SchemaConflict(JobPlatformError):
    """The database schema is missing, out of date, or holds foreign objects of our names."""


class DevStackError(JobPlatformError):
    """The embedded PostgreSQL or Redis could not be started."""


class PoolRefused(JobPlatformError):
    """The worker pool cannot give the promises of the platform."""


class LimitError(JobOptionError):
    """A limit, or the key of one, that cannot be used."""


class ModelRefused(JobPlatformError, ValueError):
    """A model cannot be trained from what there is, or its artifact is not what was written; nothing was loaded."""


class ModelNotFound(JobPlatformError):
    """There is no model of this version."""


class NothingLearned(JobPlatformError):
    """No model was trained, and the words say why; nothing was written."""


class Forbidden(JobPlatformError, PermissionError):
    """Somebody asked for what they may not do; nothing was done.

    :param permission: that is missing.
    :param where: what it is held for, but not there: a queue, a tenant.
    """

    def __init__(self, action: str, permission: str, where: str = "") -> None:
        lacks = f"{permission} is held, but not for {where}" if where else f"the permission {permission} is missing"
        super().__init__(f"{action}: {lacks}; ask an administrator for it")
        self.action, self.permission, self.where = action, permission, where


class UserNotFound(JobPlatformError, LookupError):
    """No user or token is the one that was named."""


class SignInRefused(JobPlatformError):
    """A name and a password do not belong together."""

    def __init__(self) -> None:
        super().__init__("name or password: they do not belong together; try again, or ask an administrator")


class NotSignedIn(JobPlatformError):
    """Nobody is known to have asked, or what they showed counts no more; nothing was done."""

    def __init__(self) -> None:
        super().__init__("session or token: none that counts was given; sign in, or send Authorization: Bearer TOKEN")


class RequestRefused(JobPlatformError, ValueError):
    """A request is not one of those that are answered; nothing was done.

    :param status: of the answer, as HTTP has it.
    """

    def __init__(self, problem: str, status: int = 422) -> None:
        super().__init__(problem)
        self.status = status


class TooOften(JobPlatformError):
    """Somebody tried something too often; nothing was done.

    :param retry_after: seconds after which to come again.
    """

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(f"{what}: it was tried too often; come again in {retry_after:.0f} s")
        self.what, self.retry_after = what, retry_after


class BrokerNotOurs(JobPlatformError):
    """The broker hands out messages without asking the platform, and cannot be told what it is to keep back."""


class PlanRefused(JobPlatformError):
    """What an agent planned cannot be done, or not any more."""


class RestoreRefused(JobPlatformError):
    """A backup cannot be made, read, or put where it was asked for; nothing was written."""


class TargetRefused(JobPlatformError):
    """Nobody may be told of an alert there, or whoever was told did not take it."""


class QueryRefused(JobPlatformError, ValueError):
    """A filter that was typed cannot be read; nothing was looked for.

    :param position: of the character where it goes wrong, the first is 1.
    """

    def __init__(self, position: int, problem: str, fix: str) -> None:
        super().__init__(f"filter, at character {position}: {problem}; {fix}")
        self.position, self.problem, self.fix = position, problem, fix


class BulkNotFound(JobPlatformError, LookupError):
    """No bulk action has this number."""

    def __init__(self, bulk_id: int) -> None:
        super().__init__(f"bulk action {bulk_id}: there is none of this number; see the list of them")
        self.bulk_id = bulk_id
