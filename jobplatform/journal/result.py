"""What a job returned, as JSON text, and as the fresh result that Celery's clients read."""

from __future__ import annotations

import reprlib
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote

from jobplatform.errors import ResultTooLarge
from jobplatform.journal.storable import CONTAINERS, MAX_DEPTH, encode, find_problem, is_suspicious, is_too_deep

REPR_LENGTH = 1000


def encode_result(value: object, limit: int) -> str:
    """Encode what a job returned as compact ASCII JSON.

    A value that JSON or jsonb cannot hold is not refused, since the work is done: it is stored as
    ``{"__repr__": <at most 1000 characters>, "__type__": "module.Class"}``. Keys that are numbers
    become text.

    :param limit: the largest result kept, in bytes.
    :raises ResultTooLarge: when the text is larger than ``limit``.
    """
    if value is None:
        return "null"
    try:
        text = encode(value)
        if not _storable_result(text, value):
            text = encode(_stand_in(value))
    except Exception:  # noqa: BLE001 - the value's own code runs here, and must not fail a job that is done
        text = encode(_stand_in(value))
    if len(text) > limit:
        raise ResultTooLarge(
            f"result: it takes {len(text)} bytes and the limit is {limit} bytes; "
            "store it elsewhere and return a reference, or raise JOBPLATFORM_RESULT_LIMIT"
        )
    return text


def _storable_result(text: str, value: object) -> bool:
    suspicious = is_suspicious(text)
    if not suspicious and isinstance(value, CONTAINERS) and text.count("[") + text.count("{") > MAX_DEPTH:
        suspicious = is_too_deep(value, text_keys=False)
    return not (suspicious and find_problem("result", value, text_keys=False))


def _stand_in(value: object) -> dict[str, str]:
    kind = "unknown"
    try:
        kind = _clean(f"{type(value).__module__}.{type(value).__qualname__}")
        return {"__repr__": _clean(_bounded_repr.repr(value)), "__type__": kind}
    except Exception:  # noqa: BLE001 - the value's own code runs here, and must not fail a job that is done
        return {"__repr__": "<no repr>", "__type__": kind}


def _clean(text: str) -> str:
    text = text[:REPR_LENGTH].replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode()[:REPR_LENGTH]


def _new_repr() -> reprlib.Repr:
    # reprlib looks at a few items of each container, so that the repr of a huge result stays cheap.
    bounded = reprlib.Repr()
    bounded.maxlist = bounded.maxtuple = bounded.maxset = bounded.maxfrozenset = bounded.maxdict = 50
    bounded.maxstring = bounded.maxother = bounded.maxlong = REPR_LENGTH
    return bounded


_bounded_repr = _new_repr()


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def result_meta(task_id: str, text: str, at: float) -> tuple[str, str]:
    """Give the key and the text of a fresh result, as Celery's Redis backend writes them.

    :param text: JSON text of the value.
    :param at: seconds since the epoch.
    """
    done = f"{_second(int(at))}.{int(at % 1 * 1e6):06d}+00:00"
    value = (
        f'{{"status":"SUCCESS","result":{text},"traceback":null,"children":[],'
        f'"date_done":"{done}","task_id":{quote(task_id)}}}'
    )
    return f"celery-task-meta-{task_id}", value
