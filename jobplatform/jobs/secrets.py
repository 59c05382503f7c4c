"""What is secret of a job, and the arguments of one whose type is encrypted, on their way into its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kombu.utils.json import dumps as kombu_json

from jobplatform.jobs.hiding import NOTHING, Hiding
from jobplatform.jobs.options import JobOptions
from jobplatform.jobs.payload import decode_payload
from jobplatform.masking import MASK
from jobplatform.records import NewJob
from jobplatform.secrecy import sealing
from jobplatform.secrecy.keyring import KeyRing

#: Where in a row's message it says which parts of the payload are secret.
SECRET = "secret"


def with_secrets(message: Mapping[str, Any] | None, hiding: Hiding) -> Mapping[str, Any] | None:
    """Add to what a row says of its message where in the payload secrets are."""
    return {**(message or {}), SECRET: list(hiding.paths)} if hiding.paths else message


def sealed(ring: KeyRing, job: NewJob, hiding: Hiding) -> NewJob:
    """Give a job with its payload encrypted, if its type says so.

    :raises SealError: when there is no key.
    """
    if not hiding.encrypt:
        return job
    return replace(job, payload=sealing.seal_payload(ring, job.payload, job.job_id, job.job_type))


def sealed_template(ring: KeyRing, payload: Mapping[str, Any], job_id: str, job_type: str) -> Mapping[str, Any]:
    """Give the encrypted payload of a job that a row made, and not a submission."""
    return dict(zip(("args", "kwargs"), decode_payload(
        sealing.seal_payload(ring, kombu_json(payload), job_id, job_type)), strict=True
    ))  # fmt: skip


def sealer_of(
    ring: KeyRing, job_type: str, hiding: Hiding
) -> Callable[[Mapping[str, Any], str], Mapping[str, Any]] | None:
    """Give what encrypts payloads of jobs that rows make, None where the type does not ask for it."""
    if not hiding.encrypt:
        return None
    return lambda payload, job_id: sealed_template(ring, payload, job_id, job_type)


def opened(ring: KeyRing, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
    """Give the arguments of a link as they were before they were encrypted.

    :raises SealError: when there is no key.
    """
    if not sealing.is_sealed(kwargs):
        return args, kwargs
    return sealing.unseal_payload(ring, args, kwargs, sealing.LINK, name)


def sealed_links(app: Any, ring: KeyRing, value: Any) -> Any:
    """Encrypt the arguments of those signatures in a JSON value, at any depth, whose types say so.

    :raises SealError: when there is no key.
    """
    if isinstance(value, (list, tuple)):
        return [sealed_links(app, ring, each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if _hides(app, value):
        payload = kombu_json({"args": list(value["args"]), "kwargs": value["kwargs"]})
        return {**value, "args": [], "kwargs": sealing.seal(ring, payload, sealing.LINK, value["task"], "payload")}
    return {key: sealed_links(app, ring, each) for key, each in value.items()}


def _hides(app: Any, value: Mapping[str, Any]) -> bool:
    name = value.get("task")
    if not isinstance(name, str) or "args" not in value or not isinstance(value.get("kwargs"), Mapping):
        return False
    declared: JobOptions | None = getattr(app.tasks.get(name), "job", None)
    return declared is not None and declared.encrypt and not sealing.is_sealed(value["kwargs"])


def masked_reprs(message: Any, hiding: Hiding) -> Any:
    """Give Celery's message with nothing secret in what it shows of the arguments."""
    if hiding == NOTHING:
        return message
    message.headers.update(argsrepr=MASK, kwargsrepr=MASK)
    if message.sent_event:
        message.sent_event.update(args=MASK, kwargs=MASK)
    return message
