"""Celery's publishing with a row behind every message: tasks, canvas, links, retries, whoever sends them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from celery._state import get_current_worker_task
from celery.app.amqp import AMQP
from kombu.serialization import dumps as serialise
from kombu.utils.json import dumps as kombu_json

from jobplatform.errors import InvalidPayload, JobOptionError
from jobplatform.jobs import keyed_jobs, membership, secrets, submission, transactional
from jobplatform.jobs.deadline import chosen
from jobplatform.jobs.estimates import columns_of, key_of
from jobplatform.jobs.hiding import Hiding
from jobplatform.jobs.options import JobOptions
from jobplatform.jobs.payload import decode_payload
from jobplatform.jobs.platform import Platform
from jobplatform.jobs.replacing import STAND_IN_HEADER, attempt_of
from jobplatform.jobs.retry import GUESSED
from jobplatform.jobs.wishes import Wishes, carried, stand
from jobplatform.journal.foreign import COLUMN_HEADERS, DEADLINE_HEADER
from jobplatform.journal.inbound import ATTEMPT_HEADER, ENQUEUED_HEADER
from jobplatform.journal.storable import find_problem
from jobplatform.limits import render_key
from jobplatform.metrics.tracing import TRACING
from jobplatform.records import NewJob, job_id_of
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.sealing import is_sealed_payload
from jobplatform.secrecy.signing import SIGNATURE_HEADER, sign
from jobplatform.transport.channel import SUBMITTED_HEADER

#: Headers that the columns of the row stand for, and our own.
_COLUMN_HEADERS = COLUMN_HEADERS | {ATTEMPT_HEADER, ENQUEUED_HEADER, STAND_IN_HEADER}


class JobAMQP(AMQP):  # type: ignore[misc]
    """Write a row for every task message before it is sent."""

    def as_task_v2(self, *args: Any, now: Any = None, **options: Any) -> Any:
        """Count ``countdown`` and ``expires`` from the time of the stores, whatever this machine's clock says."""
        return super().as_task_v2(
            *args, now=now or datetime.fromtimestamp(self.app.jobplatform.clock(), UTC), **options
        )

    def _create_task_sender(self) -> Callable[..., Any]:
        send = super()._create_task_sender()

        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            platform: Platform = self.app.jobplatform
            message.headers.update(options.pop("headers", None) or {})
            if _is_own_retry(message.headers):
                return None
            message.headers.update(membership.headers_of(carried().batch_id))
            outgoing = Outgoing.of(self.app, name, message, options)
            if not TRACING.on:
                return outgoing.submit(platform, producer, send)
            with TRACING.sending(outgoing.queue, name, job_id_of(message.headers["id"])) as context:
                message.headers.update(context)
                return outgoing.submit(platform, producer, send)

        return send_task_message


def _is_own_retry(headers: Mapping[str, Any]) -> bool:
    """Tell whether a running job publishes itself again; the platform does that when the retry is due."""
    task = get_current_worker_task()
    return task is not None and task.request.id == headers["id"] and bool(headers.get("retries"))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way through Celery's publishing."""

    app: Any
    name: str
    message: Any
    options: dict[str, Any]

    @classmethod
    def of(cls, app: Any, name: str, message: Any, options: dict[str, Any]) -> Outgoing:
        """Begin with a message as Celery has built it; the arguments of its links are encrypted already."""
        made = cls(app, name, message, options)
        message = secrets.masked_reprs(message, made.hiding)
        args, kwargs, embed = message.body
        if any(embed.values()):
            links = secrets.sealed_links(app, app.jobplatform.settings.encryption_keys, embed)
            message = message._replace(body=(args, kwargs, links))
        return replace(made, message=message)

    def submit(self, platform: Platform, producer: Any, send: Callable[..., Any]) -> None:
        """Write the row, then send the message."""
        job = self.with_unique(self.new_job(platform), platform.clock())
        job = keyed_jobs.with_idempotency(platform, job, carried(), hidden=self.hiding.encrypt)
        outgoing, job = self.sealed(platform, job)
        transaction = carried().transaction

        def publish(job: NewJob, text: str) -> None:
            outgoing.publish(platform, producer, send, job, text)

        if keyed_jobs.is_keyed(job):
            stand(keyed_jobs.submit(platform, job, transaction, publish))
        elif transaction is not None:
            transactional.submit(platform, job, transaction)
        else:
            submission.submit(platform, job, publish)

    @property
    def hiding(self) -> Hiding:
        """What is secret of the job: as its code says, or else what was told of it."""
        declared = self._declared()
        return carried().hiding if declared is None else declared.hiding

    def sealed(self, platform: Platform, job: NewJob) -> tuple[Outgoing, NewJob]:
        """Give the message and its row with the arguments encrypted, if the type says so.

        :raises JobOptionError: when they are not JSON.
        :raises SealError: when there is no key.
        """
        if not self.hiding.encrypt or is_sealed_payload(json.loads(job.payload)):
            return self, job
        if self._serializer() != "json":
            raise JobOptionError(f"serializer: {self.name} is encrypted, and only JSON can be; leave it out")
        job = secrets.sealed(platform.settings.encryption_keys, job, self.hiding)
        args, kwargs = decode_payload(job.payload)
        return replace(self, message=self.message._replace(body=(args, kwargs, self.message.body[2]))), job

    def new_job(self, platform: Platform) -> NewJob:
        """Give the row of the message.

        :raises InvalidPayload: when the arguments cannot be stored.
        """
        headers, now, wishes = self.message.headers, platform.clock(), carried()
        eta, expires = _timestamp(headers.get("eta")), _timestamp(headers.get("expires"))
        scheduled_at = eta if eta is not None and eta > now else None
        due_at = now if wishes.after else scheduled_at
        declared = self._declared()
        limits = headers.get("timelimit") or (None, None)
        return NewJob(
            job_id=job_id_of(headers["id"]),
            job_type=self.name,
            payload=self._payload(platform),
            queue=self.queue,
            priority=min(max(int(self._priority() or 1), 1), 5),
            status="BLOCKED" if wishes.after else "SCHEDULED" if due_at else "PENDING",
            max_retries=self._max_retries(),
            retry_count=headers.get("retries") or 0,
            attempt=attempt_of(headers),
            scheduled_at=scheduled_at,
            due_at=due_at,
            after=wishes.after or None,
            enqueued_at=None if due_at else now,
            expires_at=expires,
            **chosen(wishes.deadline, declared.deadline if declared else None, now, scheduled_at),
            timeout=limits[0],
            soft_timeout=limits[1],
            root_id=self._id("root_id"),
            parent_id=self._id("parent_id"),
            tenant=wishes.tenant,
            limit_key=self._limit_key(declared, wishes),
            units=wishes.units or (declared.units if declared and declared.units != 1 else None),
            tags=(*(declared.tags if declared else ()), *wishes.tags) or None,
            retry_rule=self._retry_rule(),
            message=secrets.with_secrets(self._extra() or None, self.hiding),
            batch_id=wishes.batch_id,
            **self._foretold(platform, declared, now),
        )

    def publish(self, platform: Platform, producer: Any, send: Callable[..., Any], job: NewJob, text: str) -> None:
        """Send the message, with the journal entry of its submission if it has no row yet."""
        self.message.headers.update({ATTEMPT_HEADER: job.attempt, ENQUEUED_HEADER: job.enqueued_at, "eta": None})
        limits = {"jp_tenant": job.tenant, "jp_limit": job.limit_key, "jp_units": job.units}
        self.message.headers.update({name: value for name, value in limits.items() if value is not None})
        if job.deadline_at is not None and job.begins_by is not None:
            begins_by = datetime.fromtimestamp(job.begins_by, UTC).isoformat()
            self.message.headers.update({DEADLINE_HEADER: job.deadline_at, "expires": begins_by})
        if text and platform.leases and not submission.is_watched():
            platform.publisher.push(submission.message_of(job), text)
            return
        if text and platform.leases:
            self.message.headers[SUBMITTED_HEADER] = text
        elif text:
            platform.publisher.journal(text)
        if platform.settings.signing_keys and not platform.leases:
            self._sign(platform.settings.signing_keys)
        send(producer, self.name, self.message, **self.options)

    def _sign(self, ring: KeyRing) -> None:
        """Sign the message for a broker of which each channel is kombu's own."""
        kind, _, body = serialise(self.message.body, self._serializer())
        self.message.headers[SIGNATURE_HEADER] = sign(ring, self.message.headers, self.queue, kind, body)

    def with_unique(self, job: NewJob, now: float) -> NewJob:
        """Give the row with its unique key, unless nothing else could stand for the message.

        That is so for a part of a canvas, which has links or a group, and for what takes the place of a running job.
        """
        headers, embed = self.message.headers, self.message.body[2]
        if STAND_IN_HEADER in headers or headers.get("group") or any(embed.values()):
            return job
        declared = self._declared()
        unique = carried().unique or (declared.unique if declared else None)
        if declared and declared.encrypt:
            declared.refuse_keys(unique, carried().limit_key)
        return keyed_jobs.with_unique(job, unique, self._names(declared) if unique else {}, now)

    def _declared(self) -> JobOptions | None:
        return getattr(self.app.tasks.get(self.name), "job", None)

    def _names(self, declared: JobOptions | None) -> Mapping[str, Any]:
        args, kwargs, _ = self.message.body
        return declared.signature.named(args, kwargs) if declared else kwargs

    def _limit_key(self, declared: JobOptions | None, wishes: Wishes) -> str | None:
        template = wishes.limit_key or (declared.limit_key if declared else None)
        if template is None:
            return None
        return render_key(template, {"tenant": wishes.tenant, **self._names(declared)})

    def _foretold(self, platform: Platform, declared: JobOptions | None, now: float) -> dict[str, Any]:
        """Foretell how long the job takes; its queue was chosen before."""
        key = key_of(declared.duration_key, self._names(declared)) if declared and declared.duration_key else None
        columns = columns_of(platform.estimates.of(self.name, key, now))
        return {**columns, "duration_key": key} if key else columns

    def _id(self, header: str) -> str | None:
        value = self.message.headers.get(header)
        return job_id_of(value) if value and value != self.message.headers["id"] else None

    def _priority(self) -> Any:
        given = self.options.get("priority")
        return self.app.conf.task_default_priority if given is None else given

    @property
    def queue(self) -> str:
        """Where the message goes."""
        queue = self.options.get("queue") or self.options.get("routing_key") or self.app.conf.task_default_queue
        return str(getattr(queue, "name", queue))

    def _retry_rule(self) -> dict[str, Any] | None:
        task, wishes = self.app.tasks.get(self.name), carried()
        rule = wishes.retry_rule or getattr(getattr(task, "job", None), "retry", None)
        if rule is not None:
            return rule.as_row()
        if task is not None:
            return {"automatic": False}
        return {"automatic": False, GUESSED: ["retry_rule", *(["max_retries"] if wishes.max_retries is None else [])]}

    def _max_retries(self) -> int:
        task = self.app.tasks.get(self.name)
        wished = carried().max_retries
        limit = getattr(task, "max_retries", 5) if wished is None else wished
        return 2_147_483_647 if limit is None else int(limit)

    def _payload(self, platform: Platform) -> str:
        args, kwargs, _ = self.message.body
        if self._serializer() != "json":
            return '{"opaque":true}'
        text = kombu_json({"args": list(args), "kwargs": kwargs})
        if len(text) > platform.settings.payload_limit:
            raise InvalidPayload(
                "payload", f"it takes {len(text)} bytes and the limit is {platform.settings.payload_limit} bytes",
                "store the content elsewhere and pass a reference to it",
            )  # fmt: skip
        if "\\u0000" in text or "\\ud" in text or "NaN" in text or "Infinity" in text:
            problem = find_problem("args", args) or find_problem("kwargs", kwargs)
            if problem is not None:
                raise problem
        return str(text)

    def _serializer(self) -> str:
        return str(self.options.get("serializer") or self.app.conf.task_serializer)

    def _extra(self) -> dict[str, Any]:
        headers = {
            name: value
            for name, value in self.message.headers.items()
            if name not in _COLUMN_HEADERS and value not in (None, False, 0, {}, [])
        }
        embed = json.loads(kombu_json({name: value for name, value in self.message.body[2].items() if value}))
        extra: dict[str, Any] = {"headers": json.loads(kombu_json(headers)), "embed": embed}
        if self.message.headers["id"] != job_id_of(self.message.headers["id"]):
            extra["task_id"] = self.message.headers["id"]
        reply_to = self.message.properties.get("reply_to")
        if reply_to:
            extra["properties"] = {"reply_to": reply_to}
        if self._serializer() != "json":
            content_type, encoding, body = serialise(self.message.body, self._serializer())
            raw = body if isinstance(body, bytes) else body.encode()
            extra["body"] = [content_type, encoding, base64.b64encode(raw).decode()]
        return {name: value for name, value in extra.items() if value}


def _timestamp(value: Any) -> float | None:
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
