"""Dead letters as lines of JSON: what a line has to be, so that another installation can take it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from jobplatform.errors import InvalidPayload
from jobplatform.jobs.payload import decode_payload
from jobplatform.journal.storable import find_problem, segment

#: Written into every line; a reader takes no line of another.
VERSION = 1
_MOST = 2**31 - 1

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(low: float, high: float = _MOST, whole: bool = True) -> Check:
    kinds = (int,) if whole else (int, float)
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high


def _id(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _time(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 100


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


#: What each kind of value has to be, in words.
_WANTED: dict[Check, str] = {
    _text: "text", _id: "a UUID in lower case", _time: "an ISO time with its offset", _object: "an object",
    _name: "text of 1 to 100 characters", _texts: "a list of texts",
}  # fmt: skip
_LETTER_NEEDS: dict[str, Check] = {
    "version": _number(1), "job_id": _id, "job_type": _name, "attempt": _number(1), "retry_count": _number(0),
    "failed_at": _time, "reason": _text,
}  # fmt: skip
_LETTER_MAY: dict[str, Check] = {
    "dlq_id": _number(1, 2**63 - 1), "payload": _object, "error_type": _text, "error_message": _text,
    "last_execution_id": _number(1, 2**63 - 1), "fingerprint": _text, "resolution": _text, "resolved_at": _time,
    "resolved_by": _text, "note": _text, "replay_id": _number(1, 2**63 - 1), "replayed_attempt": _number(1),
    "edited_payload": _object, "edited_by": _text, "edited_at": _time, "job": _object,
}  # fmt: skip
_JOB_NEEDS: dict[str, Check] = {"queue": _text, "priority": _number(1, 5), "max_retries": _number(0)}
_SECONDS = _number(0, 1e12, whole=False)
_JOB_MAY: dict[str, Check] = {
    "created_at": _time, "timeout": _SECONDS, "soft_timeout": _SECONDS, "deadline": _SECONDS, "tenant": _text,
    "limit_key": _text, "units": _number(1), "tags": _texts, "retry_rule": _object, "message": _object,
    "root_id": _id, "parent_id": _id,
}  # fmt: skip


def check_line(number: int, text: str) -> None:
    """Refuse a line that is no dead letter.

    :param number: of the line, for the message.
    :raises InvalidPayload: naming the line and the field.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload(f"line {number}", f"it is no JSON ({error})", "give what dlq export wrote") from error
    where = f"line {number}: "
    if not isinstance(value, dict):
        raise InvalidPayload(f"line {number}", f"it is a {type(value).__name__}", "give what dlq export wrote")
    problem = find_problem(f"{where}$", value)
    if problem is not None:
        raise problem
    _check(where, "", value, _LETTER_NEEDS, _LETTER_MAY)
    if value["version"] != VERSION:
        raise InvalidPayload(f"{where}version", f"{value['version']} is not {VERSION}", "export it with this release")
    if value.get("job") is not None:
        _check(where, "job.", value["job"], _JOB_NEEDS, _JOB_MAY)
    if (value.get("resolution") is None) != (value.get("resolved_at") is None):
        raise InvalidPayload(f"{where}resolved_at", "only one of it and resolution is given", "give both or none")
    for name in ("payload", "edited_payload"):
        if value.get(name) is not None:
            _check_payload(f"{where}{name}", value[name])


def _check(
    where: str, prefix: str, value: Mapping[str, Any], needs: Mapping[str, Check], may: Mapping[str, Check]
) -> None:
    for name in needs:
        if value.get(name) is None:
            raise InvalidPayload(f"{where}{prefix}{name}", "it is missing", f"give {_wanted(needs[name])}")
    for name, given in value.items():
        check = needs.get(name) or may.get(name)
        if check is None:
            raise InvalidPayload(
                f"{where}{prefix[:-1] or '$'}{segment(name)}", "there is no such field", "leave it out"
            )
        if given is not None and not check(given):
            raise InvalidPayload(f"{where}{prefix}{name}", f"{str(given)[:60]!r} will not do", f"give {_wanted(check)}")


def _wanted(check: Check) -> str:
    return _WANTED.get(check, "a number in range")


def _check_payload(field: str, payload: Any) -> None:
    try:
        decode_payload(payload)
    except InvalidPayload as error:
        raise InvalidPayload(f"{field} ({error.field})", error.problem, error.fix) from error
