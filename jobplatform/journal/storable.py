"""Values as JSON text that Redis, PostgreSQL and Python can hold and give back.

Good values are encoded and judged by C code alone; only a suspicion starts the walk that names the field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from json import JSONEncoder
from typing import Any

from jobplatform.errors import InvalidPayload

MAX_DEPTH = 100
MAX_DIGITS = 4000

encode = JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=True, separators=(",", ":")).encode
CONTAINERS = (dict, list, tuple)
_SCALARS = (str, int, float, bool, type(None))
_SURROGATE = re.compile(r"\\ud[89a-f]")
_DIGIT_BLOCK = MAX_DIGITS // 2
_INT_BOUND = 10**MAX_DIGITS
_SEGMENT_LENGTH = 60
GIVE_JSON = "pass str, int, float, bool, None, list or dict, or the id of what it stands for"
_FIXES = {
    "builtins.set": "pass sorted(...) or list(...)",
    "builtins.frozenset": "pass sorted(...) or list(...)",
    "builtins.bytes": "pass base64.b64encode(...).decode() or .hex()",
    "builtins.bytearray": "pass base64.b64encode(...).decode() or .hex()",
    "builtins.memoryview": "pass base64.b64encode(...).decode() or .hex()",
    "builtins.complex": "pass [value.real, value.imag]",
    "decimal.Decimal": "pass str(...), which keeps every digit",
    "uuid.UUID": "pass str(...)",
    "datetime.timedelta": "pass .total_seconds()",
    "enum.Enum": "pass .value",
    "builtins.BaseException": "pass str(...)",
}
_FIXES_BY_ATTRIBUTE = {
    "isoformat": "pass .isoformat()",
    "model_dump": 'pass .model_dump(mode="json")',
    "__dataclass_fields__": "pass dataclasses.asdict(...)",
    "__fspath__": "pass str(...)",
    "tolist": "pass .tolist()",
    "__iter__": "pass list(...)",
}

Problem = tuple[str, str]


def find_problem(field: str, root: object, *, text_keys: bool = True) -> InvalidPayload | None:
    """Find the first value inside ``root`` that cannot be stored, at any depth and in any cycle.

    :param field: the path of ``root`` itself.
    :param text_keys: whether keys must be text; JSON turns numbers into text.
    :returns: the error to raise, or None when all is well.
    """
    keys: list[object] = []
    opened: list[object] = []
    problem = _problem(root, opened)
    walks = [_open(root, opened)]
    while walks and problem is None:
        for key, value in walks[-1]:
            problem = _key_problem(key, opened[-1], text_keys) or _problem(value, opened)
            if problem or isinstance(value, CONTAINERS):
                keys.append(key)
                walks.append(_open(value, opened))
                break
        else:
            walks.pop()
            opened.pop()
            del keys[-1:]
    return InvalidPayload(field + "".join(map(segment, keys)), *problem) if problem else None


def is_suspicious(text: str) -> bool:
    """Tell whether JSON text may hold what the stores refuse, so that its value must be walked."""
    # Only suspicions: an escaped backslash before "u0000" and a proper surrogate pair look the same here.
    if "\\u0000" in text or ("\\ud" in text and _SURROGATE.search(text)):
        return True
    # A longer run of digits covers at least one whole block, so that each block is looked at once.
    return len(text) > MAX_DIGITS and any(
        text[start : start + _DIGIT_BLOCK].isdigit() for start in range(0, len(text), _DIGIT_BLOCK)
    )


def is_too_deep(container: Any, *, text_keys: bool, room: int = MAX_DEPTH) -> bool:
    """Tell whether a container is nested deeper than ``room`` levels.

    :raises TypeError: when ``text_keys`` are wanted and a key is no text.
    """
    if isinstance(container, dict):
        if text_keys:
            # It raises TypeError for a key that is not text, faster than a loop over the keys.
            "".join(container)
        container = container.values()
    for value in container:
        if type(value) in _SCALARS or not isinstance(value, CONTAINERS):
            continue
        if room == 0 or is_too_deep(value, text_keys=text_keys, room=room - 1):
            return True
    return False


def _open(value: object, opened: list[object]) -> Iterator[tuple[object, object]]:
    opened.append(value)
    if isinstance(value, dict):
        return iter(value.items())
    return iter(enumerate(value)) if isinstance(value, (list, tuple)) else iter(())


def segment(key: object) -> str:
    """Write one step of a path, ``.name`` or ``[3]``, short and in ASCII."""
    if isinstance(key, str):
        return f".{key}" if key.isidentifier() and len(key) <= _SEGMENT_LENGTH else f"[{_short(ascii(key))}]"
    if type(key) in _SCALARS and not (isinstance(key, int) and abs(key) >= _INT_BOUND):
        return f"[{_short(ascii(key))}]"
    return f"[<{_type_name(key)}>]"


def _short(text: str) -> str:
    return text if len(text) <= _SEGMENT_LENGTH else text[:_SEGMENT_LENGTH] + "..."


def _key_problem(key: object, container: object, text_keys: bool) -> Problem | None:
    if isinstance(key, str):
        return _text_problem(key, "the key")
    if text_keys and isinstance(container, dict):
        return f"the key is of type {_type_name(key)}, not str", "pass str(...) as the key"
    return None


def _problem(value: object, opened: list[object]) -> Problem | None:
    if isinstance(value, CONTAINERS):
        if any(value is outer for outer in opened):
            return "it contains itself (a circular reference)", "pass ids in place of back references"
        if len(opened) > MAX_DEPTH:
            return f"it is nested deeper than {MAX_DEPTH} levels", "pass a flatter value or a reference to it"
        return None
    if isinstance(value, str):
        return _text_problem(value, "it")
    if isinstance(value, int) and not -_INT_BOUND < value < _INT_BOUND:
        return f"it is an integer of more than {MAX_DIGITS} digits", "pass it as text, such as hex(...)"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{float(value)!r} is no JSON number", "pass None, or the text of it"
    if isinstance(value, _SCALARS):
        return None
    return f"{_type_name(value)} is no JSON type", _fix(type(value))


def _text_problem(text: str, what: str) -> Problem | None:
    if "\0" in text:
        return f"{what} holds a NUL character, which no store takes", r"remove it: .replace('\0', '')"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{what} holds a lone surrogate", "pass .encode('utf-8', 'replace').decode()"
    return None


def _fix(kind: type) -> str:
    for base in kind.__mro__:
        if fix := _FIXES.get(f"{base.__module__}.{base.__qualname__}"):
            return fix
    return next((fix for name, fix in _FIXES_BY_ATTRIBUTE.items() if hasattr(kind, name)), GIVE_JSON)


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
