"""Changes of a payload, written as people write them: ``kwargs.user.ids[3]=5``."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobplatform.errors import InvalidPayload
from jobplatform.jobs.argument import AWAITED
from jobplatform.jobs.payload import decode_payload, encode_payload
from jobplatform.journal.storable import segment
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.sealing import is_sealed, is_sealed_payload, seal_payload, unseal_payload

_PATH = re.compile(r"(?:args|kwargs)(?:\.[^\W\d]\w*|\[-?\d+\]|\[\"(?:[^\"\\]|\\.)*\"\])*")
_STEP = re.compile(r"\.([^\W\d]\w*)|\[(-?\d+)\]|\[(\"(?:[^\"\\]|\\.)*\")\]")
_EXAMPLES = """such as kwargs.user_id=5, args[0]='"text"' or kwargs["odd name"].list[2]=null"""


class Change(NamedTuple):
    """A value to put at a place of the payload, or to take away from there."""

    path: tuple[str | int, ...]
    value: Any = None
    removes: bool = False


def parse_setting(text: str) -> Change:
    """Read ``kwargs.user_id=5``; what is no JSON after the equals sign is text.

    :raises InvalidPayload: when it names no place of a payload.
    """
    found = _PATH.match(text)
    if found is None or not text[found.end() :].startswith("=") or found[0] in ("args", "kwargs"):
        raise InvalidPayload("--set", f"{text!r} cannot be read", f"write a path and a value, {_EXAMPLES}")
    written = text[found.end() + 1 :]
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        value = written
    return Change(_steps(found[0]), value)


def parse_removal(text: str) -> Change:
    """Read the path of what is to be taken away.

    :raises InvalidPayload: when it names no place of a payload.
    """
    if not _PATH.fullmatch(text) or text in ("args", "kwargs"):
        raise InvalidPayload("--unset", f"{text!r} cannot be read", f"write a path, {_EXAMPLES}")
    return Change(_steps(text), removes=True)


def _steps(path: str) -> tuple[str | int, ...]:
    head = re.match(r"\w+", path)
    assert head is not None
    steps = (
        name or (int(index) if index else json.loads(quoted)) for name, index, quoted in _STEP.findall(path, head.end())
    )
    return (head[0], *steps)


def changed(payload: Any, changes: Sequence[Change]) -> dict[str, Any]:
    """Give a payload with changes, made one after the other; the one given stays as it is.

    :raises InvalidPayload: when a path leads nowhere.
    """
    if is_sealed_payload(payload):
        raise InvalidPayload("payload", "it is encrypted", "edit it where JOBPLATFORM_ENCRYPTION_KEYS has its key")
    args, kwargs = decode_payload(payload)
    made = {"args": copy.deepcopy(args), "kwargs": copy.deepcopy(kwargs)}
    for change in changes:
        _apply(made, change)
    args, kwargs = decode_payload(made)
    return {"args": args, "kwargs": kwargs}


def _apply(payload: dict[str, Any], change: Change) -> None:
    place: Any = payload
    for depth, step in enumerate(change.path[:-1]):
        if not _has(place, step):
            raise _nowhere(change.path[: depth + 1])
        place = place[step]
    last = change.path[-1]
    known = _has(place, last)
    if change.removes and known:
        del place[last]
    elif known or (isinstance(place, dict) and isinstance(last, str) and not change.removes):
        place[last] = change.value
    elif isinstance(place, list) and last == len(place) and not change.removes:
        place.append(change.value)
    else:
        raise _nowhere(change.path)


def _has(place: Any, step: str | int) -> bool:
    if isinstance(place, list):
        return isinstance(step, int) and -len(place) <= step < len(place)
    return isinstance(place, dict) and step in place


def _nowhere(path: Sequence[str | int]) -> InvalidPayload:
    field = f"{path[0]}{''.join(map(segment, path[1:]))}"
    return InvalidPayload(field, "the payload has no such place", "see what it has: jobplatform dlq show ID")


def readable(ring: KeyRing, row: Mapping[str, Any], payload: Any) -> Any:
    """Give a payload as it was before it was encrypted, and others as they are.

    :param row: of the dead letter, with ``job_id`` and ``job_type``.
    :raises SealError: when this process has not the key.
    """
    if not is_sealed_payload(payload):
        return payload
    args, kwargs = unseal_payload(ring, payload["args"], payload["kwargs"], row["job_id"], row["job_type"])
    return {"args": args, "kwargs": kwargs}


def kept(ring: KeyRing, row: Mapping[str, Any], text: str) -> str:
    """Give the text of an edited payload as it is written: encrypted, if the one that failed is.

    :param text: JSON text of the payload.
    """
    if not is_sealed_payload(row["payload"]):
        return text
    return seal_payload(ring, text, row["job_id"], row["job_type"])


def check_payload(app: Any, job_type: str, payload: Any, limit: int, awaits: bool = False) -> bool:
    """Refuse what a submission would refuse, and tell whether the arguments were checked: the type is known here.

    :param app: the attached Celery application.
    :param limit: the largest payload taken, in bytes.
    :param awaits: the first argument is made of the results of other jobs.
    :raises InvalidPayload: naming the field, the problem and the fix.
    """
    args, kwargs = decode_payload(payload)
    encode_payload(args, kwargs, limit)
    declared = getattr(app.tasks.get(job_type), "job", None)
    if is_sealed(kwargs):
        ring = app.jobplatform.settings.encryption_keys
        if not ring:
            return False
        args, kwargs = unseal_payload(ring, args, kwargs, kwargs["jp_enc"]["of"], job_type)
    if declared is None:
        return False
    declared.signature.check([AWAITED, *args[1:]] if awaits else args, kwargs)
    return True
