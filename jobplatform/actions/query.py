"""The filter that people type, such as ``type:shop.charge state:failed since:2h "connection reset"``, and back.

A field and a value are joined by a colon; what has no field is looked for in the message of the last error. Quotes hold
together what has spaces or colons in it, and a backslash keeps a quote or a backslash within them.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from jobplatform.errors import QueryRefused
from jobplatform.states import State
from jobplatform.store.listing import JobFilter
from jobplatform.store.payload_path import ARGS, KWARGS, PayloadTerm, Scalar, is_index

#: Characters of a filter, terms of one, steps of a path, and of these how many numbers, each of which doubles the work.
LONGEST, MOST_TERMS, MOST_STEPS, MOST_NUMBERS = 2_000, 20, 10, 3

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(rf"(\d+)([{''.join(_SECONDS)}])")
_LONGEST_SECONDS = 100 * 366 * 86_400
_FIELD = re.compile(r"[A-Za-z_][^\s:\"]*(?=:)")
_BARE = re.compile(r'[^\s"]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_GAP = re.compile(r"\s*")
#: What needs no quotes; a text that stands alone must not look like a field.
_PLAIN, _PLAIN_ALONE = re.compile(r'[^\s"]+'), re.compile(r'[^\s":]+')


class Term(NamedTuple):
    """A part of a filter: a field with its value, or a text alone.

    :param at: where it begins, the first character is 1.
    :param value_at: where its value begins.
    :param quoted: whether the value stood in quotes.
    """

    at: int
    field: str | None
    value_at: int
    value: str
    quoted: bool


#: What the fields that take one value are called in a JobFilter.
_NAMES = {
    "type": "job_type", "queue": "queue", "tag": "tag", "tenant": "tenant", "error": "error_type",
    "batch": "batch_id", "root": "root_id", "since": "created_after", "until": "created_before",
}  # fmt: skip
#: All fields, in the order in which they are written.
FIELDS = ("state", *_NAMES, f"{ARGS}.NAME", f"{KWARGS}.NAME")
_CHOICE = f"use one of {', '.join(f'{name}:' for name in FIELDS)} or put quotes around a text"


def parse(text: str, now: datetime) -> JobFilter:
    """Read a filter; an empty one lets every job pass.

    :param now: to which durations refer.
    :raises QueryRefused: naming where it goes wrong.
    """
    _check(text)
    values: dict[str, Any] = {}
    for number, term in enumerate(_terms(text)):
        if number == MOST_TERMS:
            raise QueryRefused(term.at, f"there are more than {MOST_TERMS} terms", "leave some out")
        _add(values, term, now)
    return JobFilter(**values)


def write(chosen: JobFilter) -> str:
    """Write a filter as it is typed; who asks is no part of it."""
    words = [f"state:{state.lower()}" for state in chosen.states or ()]
    for field, name in _NAMES.items():
        value = getattr(chosen, name)
        if value is not None:
            words.append(f"{field}:{_quoted(_iso(value) if isinstance(value, datetime) else value)}")
    words += [f"{'.'.join(term.path)}:{_written(term.value)}" for term in chosen.payload or ()]
    return " ".join([*words, *(_quoted(text, _PLAIN_ALONE) for text in chosen.error_texts or ())])


def beginnings(types: Iterable[str] = (), queues: Iterable[str] = ()) -> list[str]:
    """List how terms can begin, for who types a filter: the fields, and known values of some.

    :param types: names of job types.
    """
    known = [f"state:{state.lower()}" for state in State]
    known += [f"type:{_quoted(name)}" for name in types] + [f"queue:{_quoted(name)}" for name in queues]
    times = [f"{field}:{text}" for field in ("since", "until") for text in ("15m", "1h", "1d", "1w")]
    return [
        *known,
        *times,
        *(f"{name}:" for name in ("tag", "tenant", "error", "batch", "root")),
        f"{ARGS}.",
        f"{KWARGS}.",
    ]


def _check(text: str) -> None:
    if len(text) > LONGEST:
        raise QueryRefused(LONGEST + 1, f"it is longer than {LONGEST} characters", "leave something out")
    for at, character in enumerate(text, 1):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise QueryRefused(at, "PostgreSQL keeps no such character", "remove it")


def _terms(text: str) -> Iterator[Term]:
    at = _skip(text, 0)
    while at < len(text):
        found = _FIELD.match(text, at)
        value_at = found.end() + 1 if found else at
        value, quoted, end = _value(text, value_at)
        yield Term(at + 1, found.group() if found else None, value_at + 1, value, quoted)
        at = _skip(text, end)
        if at == end < len(text):
            raise QueryRefused(end + 1, "a term ends here and another begins", "put a space between them")


def _value(text: str, at: int) -> tuple[str, bool, int]:
    if text.startswith('"', at):
        found = _QUOTED.match(text, at)
        if not found:
            raise QueryRefused(at + 1, "this quote has no end", 'write " at the end, and \\" or \\\\ within')
        return re.sub(r"\\(.)", r"\1", found.group(1)), True, found.end()
    found = _BARE.match(text, at)
    if not found:
        raise QueryRefused(at + 1, "there is no value", "write one after the colon, without a space")
    return found.group(), False, found.end()


def _skip(text: str, at: int) -> int:
    found = _GAP.match(text, at)
    return found.end() if found else at


def _add(values: dict[str, Any], term: Term, now: datetime) -> None:
    field = (term.field or "").lower()
    in_payload = field.partition(".")[0] in (ARGS, KWARGS)
    if not term.value.strip() and not in_payload:
        raise QueryRefused(term.value_at, "there is no value", "write one")
    if term.field is None:
        _append(values, "error_texts", term.value)
    elif field == "state":
        for state in _states(term):
            _append(values, "states", state)
    elif in_payload:
        _append(values, "payload", _payload(term))
    elif field in _NAMES:
        if _NAMES[field] in values:
            raise QueryRefused(term.at, f"{field}: is there twice", "leave one out")
        values[_NAMES[field]] = _READERS.get(field, _text)(term, now)
    else:
        raise QueryRefused(term.at, f"{term.field[:50]}: is no field", _CHOICE)


def _append(values: dict[str, Any], name: str, value: object) -> None:
    if value not in values.get(name, ()):
        values[name] = (*values.get(name, ()), value)


def _text(term: Term, now: datetime) -> str:
    return term.value


def _states(term: Term) -> Iterator[str]:
    for name in term.value.split(","):
        if name.upper() not in State.__members__:
            states = ", ".join(each.lower() for each in State)
            raise QueryRefused(term.value_at, f"{name[:50]!r} is no state", f"use one of {states}")
        yield str(State[name.upper()])


def _id(term: Term, now: datetime) -> str:
    try:
        return str(uuid.UUID(term.value))
    except ValueError:
        raise QueryRefused(term.value_at, "this is no id", "give all 36 characters of it") from None


def _time(term: Term, now: datetime) -> datetime:
    parts = _PART.findall(term.value)
    try:
        if parts and "".join(map("".join, parts)) == term.value:
            seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
            return now - timedelta(seconds=min(seconds, _LONGEST_SECONDS))
        moment = datetime.fromisoformat(term.value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        fix = "give a duration before now such as 2h, or a time such as 2026-01-31T12:00:00Z"
        raise QueryRefused(term.value_at, "this is no time", fix) from None


def _payload(term: Term) -> PayloadTerm:
    path = tuple((term.field or "").split("."))
    first, steps = path[0].lower(), path[1:]
    if not steps or not all(steps):
        fix = f"write the names from the outside in, such as {KWARGS}.customer.id or {ARGS}.0"
        raise QueryRefused(term.at, "a name is missing in the path", fix)
    if len(path) > MOST_STEPS or sum(map(is_index, steps)) > MOST_NUMBERS:
        most = f"at most {MOST_STEPS} names, of which {MOST_NUMBERS} may be numbers"
        raise QueryRefused(term.at, "the path is too long", f"give {most}")
    return PayloadTerm((first, *steps), term.value if term.quoted else _scalar(term))


def _scalar(term: Term) -> Scalar:
    """Read a number, true, false or null; anything else is a text."""
    try:
        value = json.loads(term.value, parse_constant=str)
    except (ValueError, RecursionError):
        return term.value
    if isinstance(value, list | dict):
        raise QueryRefused(term.value_at, "only one value can be looked for", "name the path down to it")
    if isinstance(value, float) and not math.isfinite(value):
        raise QueryRefused(term.value_at, "this number is too large", "put quotes around it if it is a text")
    return value  # type: ignore[no-any-return]


_READERS: Mapping[str, Callable[[Term, datetime], Any]] = {"batch": _id, "root": _id, "since": _time, "until": _time}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _quoted(value: str, plain: re.Pattern[str] = _PLAIN) -> str:
    return value if plain.fullmatch(value) else _in_quotes(value)


def _written(value: Scalar) -> str:
    return _in_quotes(value) if isinstance(value, str) else json.dumps(value)


def _in_quotes(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
