"""The Task class of job types: what ``.submit``, ``.delay`` and ``.apply_async`` do."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from celery import Task
from celery._state import get_current_worker_task
from celery.canvas import Signature

from jobplatform.errors import JobOptionError
from jobplatform.jobs import keyed_jobs, membership, secrets, submission, transactional
from jobplatform.jobs.chunk import Chunk, submit_chunks
from jobplatform.jobs.deadline import chosen
from jobplatform.jobs.estimates import Outlook, key_of, outlook
from jobplatform.jobs.options import JobOptions, refuse_unknown
from jobplatform.jobs.payload import encode_payload
from jobplatform.jobs.platform import Platform, platform_of
from jobplatform.jobs.traced import traced
from jobplatform.jobs.wishes import OURS, SHARED, Wishes, carrying, wishes_of
from jobplatform.limits import render_key
from jobplatform.records import NewJob, job_id_of, new_job_id, new_job_ids
from jobplatform.secrecy.sealing import seal_payload

#: Jobs in one INSERT of ``submit_many``.
CHUNK = 1_000


class JobTask(Task):  # type: ignore[misc]
    """A Celery task that is a job type."""

    abstract = True
    job: JobOptions

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a job with these arguments and return its ``AsyncResult``.

        :raises InvalidPayload: when the arguments do not fit the function or cannot be stored; nothing is written.
        :raises StoreUnavailable: when neither PostgreSQL nor Redis took it.
        """
        return self.apply_async(args, kwargs)

    def using(self, **options: Any) -> Using:
        """Give submit methods that use some options, such as ``priority=5`` or ``session=session``."""
        refuse_unknown(options, OURS, "using")
        return Using(self, options)

    def submit_many(self, items: Iterable[Any], **options: Any) -> list[str]:
        """Submit a job for each item, all rows in one transaction, and return the job ids.

        Under a broker that is not our Redis transport the jobs are submitted one by one.

        :param items: a mapping gives keyword arguments, a tuple or list positional ones, anything else the only one.
        """
        if "idempotency_key" in options:
            raise JobOptionError(
                "submit_many: idempotency_key: a key stands for one job; submit each with using(idempotency_key=...)"
            )
        if self.job.unique is not None:
            raise JobOptionError(
                f"submit_many: {self.name}: it has a unique key, so another job may stand for each; submit one by one"
            )
        refuse_unknown(options, SHARED, "submit_many")
        platform = platform_of(self._get_app())
        if not platform.leases:
            return [self.apply_async(*_arguments(item), **options).id for item in items]
        wishes = wishes_of(options, platform.clock())
        like = self._new_job(platform, (), {}, wishes, payload="{}")
        ids: list[str] = []
        chunks = self._chunks(platform, iter(items), ids, wishes)
        with traced(like, one=False) as like:
            if wishes.transaction is not None:
                transactional.submit_many(platform, like, chunks, wishes.transaction)
            else:
                submit_chunks(platform, like, chunks)
        return ids

    def _chunks(self, platform: Platform, items: Iterator[Any], ids: list[str], wishes: Wishes) -> Iterator[Chunk]:
        check, limit = self.job.signature.check, platform.settings.payload_limit
        keyed = wishes.limit_key or self.job.limit_key
        queue = wishes.queue or self.job.queue or self._routed_queue((), {})
        while taken := list(itertools.islice(items, CHUNK)):
            chunks: defaultdict[tuple[str | None, str | None], list[tuple[str, str]]] = defaultdict(list)
            now = platform.clock()
            for item, job_id in zip(taken, new_job_ids(now, len(taken)), strict=True):
                args, kwargs = _arguments(item)
                check(args, kwargs)
                keys = self._limit_key(wishes, args, kwargs) if keyed else None, self._duration_key(args, kwargs)
                payload = encode_payload(args, kwargs, limit)
                if self.job.encrypt:
                    payload = seal_payload(platform.settings.encryption_keys, payload, job_id, self.name)
                chunks[keys].append((job_id, payload))
                ids.append(job_id)
            for (limit_key, key), pairs in chunks.items():
                foretold = self._outlook(platform, wishes, queue, key, now) if key else None
                yield Chunk(pairs, limit_key, foretold)

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Submit a job as Celery's method does, with Celery's options and ours."""
        args, kwargs = args or (), kwargs or {}
        app = self._get_app()
        if self.job.encrypt:
            args, kwargs = secrets.opened(platform_of(app).settings.encryption_keys, self.name, args, kwargs)
        if app.conf.task_always_eager:
            return super().apply_async(args, kwargs, **options)
        if not submission.is_collecting():
            self.job.signature.check(args, kwargs)
        platform = platform_of(app)
        wishes = wishes_of(options, platform.clock())
        if wishes.celery or not platform.leases or self.__v2_compat__ or submission.is_watched():
            with carrying(wishes) as standing:
                result = super().apply_async(args, kwargs, **{**self._declared_options(), **wishes.for_celery()})
            return self.AsyncResult(standing[0]) if standing else result
        job = self._with_keys(platform, self._new_job(platform, args, kwargs, wishes), args, kwargs, wishes)
        job = secrets.sealed(platform.settings.encryption_keys, job, self.job.hiding)

        def publish(job: NewJob, text: str) -> None:
            platform.publisher.push(submission.message_of(job), text)

        with traced(job) as job:
            if keyed_jobs.is_keyed(job):
                return self.AsyncResult(keyed_jobs.submit(platform, job, wishes.transaction, publish))
            if wishes.transaction is not None:
                transactional.submit(platform, job, wishes.transaction)
            else:
                submission.submit(platform, job, publish)
        return self.AsyncResult(job.job_id)

    def _with_keys(self, platform: Platform, job: NewJob, args: Any, kwargs: Any, wishes: Wishes) -> NewJob:
        unique = wishes.unique or self.job.unique
        if self.job.encrypt:
            self.job.refuse_keys(unique, wishes.limit_key)
        names = self.job.signature.named(args, kwargs) if unique else {}
        job = keyed_jobs.with_unique(job, unique, names, platform.clock())
        return keyed_jobs.with_idempotency(platform, job, wishes, hidden=self.job.encrypt)

    def _declared_options(self) -> dict[str, Any]:
        # Celery deprecates these as attributes of the task.
        options = {"queue": self.job.queue, "priority": self.job.priority}
        return {name: value for name, value in options.items() if value is not None}

    def _new_job(
        self, platform: Platform, args: Any, kwargs: Any, wishes: Wishes, payload: str | None = None
    ) -> NewJob:
        declared, now = self.job, platform.clock()
        queue = wishes.queue or declared.queue or self._routed_queue(args, kwargs)
        platform.check_queue(self._get_app(), queue)
        key = self._duration_key(args, kwargs) if payload is None else None
        queue, foretold = self._outlook(platform, wishes, queue, key, now)
        parent = get_current_worker_task()
        request = parent.request if parent else None
        return NewJob(
            job_id=wishes.task_id or new_job_id(now),
            job_type=declared.name,
            payload=payload or encode_payload(args, kwargs, platform.settings.payload_limit),
            queue=queue,
            priority=wishes.priority or declared.priority,
            status="BLOCKED" if wishes.after else "SCHEDULED" if wishes.due_at else "PENDING",
            max_retries=declared.max_retries if wishes.max_retries is None else wishes.max_retries,
            scheduled_at=wishes.due_at,
            due_at=now if wishes.after else wishes.due_at,
            enqueued_at=None if wishes.due_at or wishes.after else now,
            after=wishes.after or None,
            expires_at=wishes.expires_at,
            **chosen(wishes.deadline, declared.deadline, now, wishes.due_at),
            timeout=wishes.timeout or declared.timeout,
            soft_timeout=wishes.soft_timeout or declared.soft_timeout,
            root_id=job_id_of(request.root_id or request.id) if request else None,
            parent_id=job_id_of(request.id) if request else None,
            tenant=wishes.tenant,
            limit_key=self._limit_key(wishes, args, kwargs) if payload is None else None,
            units=wishes.units or (declared.units if declared.units != 1 else None),
            tags=(*declared.tags, *wishes.tags) or None,
            retry_rule=(wishes.retry_rule or declared.retry).as_row(),
            batch_id=wishes.batch_id,
            message=secrets.with_secrets(membership.message_of(wishes.batch_id), declared.hiding),
            **foretold,
        )

    def _duration_key(self, args: Any, kwargs: Any) -> str | None:
        names = self.job.duration_key
        return key_of(names, self.job.signature.named(args, kwargs)) if names else None

    def _outlook(self, platform: Platform, wishes: Wishes, queue: str, key: str | None, now: float) -> Outlook:
        """Foretell a job; only one whose caller names no queue is sent to that of the long ones or the large ones."""
        found = outlook(platform.estimates, platform.hungry, self.job, queue, key, now)
        return found._replace(queue=queue) if wishes.queue else found

    def _limit_key(self, wishes: Wishes, args: Any, kwargs: Any) -> str | None:
        template = wishes.limit_key or self.job.limit_key
        if template is None:
            return None
        return render_key(template, {"tenant": wishes.tenant, **self.job.signature.named(args, kwargs)})

    def _routed_queue(self, args: Any, kwargs: Any) -> str:
        app = self._get_app()
        unrouted = platform_of(app).unrouted_queue(app)
        if unrouted is not None:
            return unrouted
        queue = app.amqp.router.route({}, self.name, args, kwargs, self).get("queue")
        return str(getattr(queue, "name", queue) or app.conf.task_default_queue)


def job_of(signature: Signature) -> JobOptions | None:
    """Give what the job type of a signature declares; None for a plain task, and for one whose code is not here."""
    try:
        task = signature.type
    except KeyError:
        return None
    return task.job if isinstance(task, JobTask) else None


class Using:
    """A job type together with submit options."""

    def __init__(self, task: JobTask, options: Mapping[str, Any]) -> None:
        self.task = task
        self.options = options

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a job with the options."""
        return self.task.apply_async(args, kwargs, **self.options)

    def submit_many(self, items: Iterable[Any]) -> list[str]:
        """Submit a job for each item with the options."""
        return self.task.submit_many(items, **self.options)


def _arguments(item: Any) -> tuple[Any, Any]:
    if isinstance(item, dict):
        return (), item
    return (item, {}) if isinstance(item, (tuple, list)) else ((item,), {})
