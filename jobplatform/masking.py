"""Secrets taken out of what is shown, logged and kept about jobs: by the names of keys, by paths, and by value."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

MASK = "***"
#: A shorter value is no secret, and to replace it everywhere would make texts unreadable.
_SHORTEST = 4
#: Looked for in a text before anything dearer is tried; every name that is masked holds one of them.
_HINTS = ("pass", "pwd", "secret", "token", "auth", "cookie", "credential", "key", "card", "cv", "ssn", "iban", "pin",
          "session", "://", "eyj", "bearer")  # fmt: skip
#: Names as written in lower case with an underscore between words.
_ANYWHERE = (
    "password|passwd|passphrase|secret|credential|api_?key|private_?key|access_?key|signing_?key|encryption_?key"
)
_AS_WORD = (
    "pwd|token|auth|authorization|authentication|cookie|card|card_?(?:no|number)|cvv2?|cvc2?|ssn|iban|pin|"
    "session_?id|\\w+token"
)
_NAME = re.compile(f"^pass$|{_ANYWHERE}|(?:^|_)(?:{_AS_WORD})s?(?:_|$)")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
#: A name and the sign after it, as in ``name=value``, ``"name": "value"`` and ``Name: value``, also within a text.
_HEAD = re.compile(r"(?P<open>\\?[\"']|)(?P<name>[A-Za-z][\w.-]{0,60})(?P=open)\s{0,3}(?:=>|[=:])\s{0,3}")
_VALUE = re.compile(
    r"""(?P<quote>\\?["'])(?:(?!(?P=quote))(?:\\.|.))*(?:(?P=quote)|\Z)|(?:(?:bearer|basic|token|digest)\s+)?"""
    r"""[^\s,;&)\]}"']+""",
    re.IGNORECASE | re.DOTALL,
)
#: Names of headers, whose values go to the end of the line.
_HEADERS = frozenset({"cookie", "set_cookie", "authorization", "proxy_authorization"})
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_LINE_END = re.compile(r"[\r\n\"']|\Z")
_SHAPES = (
    re.compile(r"([A-Za-z][\w+.-]{0,30}://[^\s/:@\"']*:)[^\s/\"']*(?=@)"),
    re.compile(r"\b((?:Bearer|Basic)\s+)[\w.~+/=-]{6,}", re.IGNORECASE),
    re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL),
    re.compile(r"\b(eyJ)[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"),
)


#: Names the values that are secret of the job that runs here.
of_job: ContextVar[Callable[[], Sequence[str]]] = ContextVar("jobplatform_secrets", default=tuple)


class _Known:
    """What this process was told to hide: names of keys, and values."""

    names: frozenset[str] = frozenset()
    values: tuple[str, ...] = ()


def hide(keys: Iterable[str] = (), values: Iterable[str] = ()) -> None:
    """Let this process mask more from now on: keys of these names, and these values wherever they stand."""
    names = _Known.names | {_normal(key) for key in keys}
    known = {*_Known.values, *(value for value in values if len(value) >= _SHORTEST)}
    if (names, len(known)) != (_Known.names, len(_Known.values)):
        _Known.names, _Known.values = names, tuple(sorted(known, key=len, reverse=True))
        is_secret.cache_clear()


@lru_cache(maxsize=4_096)
def is_secret(key: str) -> bool:
    """Tell whether what stands under a key is to be masked, by the key's name."""
    name = _normal(key[:200])
    return bool(_NAME.search(name)) or name in _Known.names


def mask(value: Any, extra_keys: Sequence[str] = ()) -> Any:
    """Give a JSON value with the mask in place of what is secret in it; the one given stays as it is.

    :param extra_keys: more names of keys; or paths, such as ``customer.iban`` and ``args.0``, that lead to what is to
        be masked from anywhere.
    """
    return _masked(value, (), tuple(tuple(key.split(".")) for key in extra_keys))


def mask_text(text: str, values: Sequence[str] = ()) -> str:
    """Give a text for people, as of an error or a log, with the mask in place of what is secret in it.

    :param values: what is secret here beside what is everywhere.
    """
    for value in (*sorted(values, key=len, reverse=True), *_Known.values):
        if len(value) >= _SHORTEST and value in text:
            text = text.replace(value, MASK)
    lowered = text.lower()
    if not (_Known.names or any(hint in lowered for hint in _HINTS)):
        return text
    for shape in _SHAPES:
        text = shape.sub(rf"\1{MASK}", text)
    return _without_pairs(text)


def mask_of_job(text: str) -> str:
    """Give a text of the job that runs here, or of none, with the mask in place of what is secret in it."""
    return mask_text(text, of_job.get()())


def secrets_in(value: Any, paths: Sequence[str]) -> list[str]:
    """Name the values, as texts, that paths lead to in a JSON value."""
    wanted = tuple(tuple(path.split(".")) for path in paths)
    return [text for leaf in _found(value, (), wanted) for text in _texts(leaf)]


class MaskedFormatter(logging.Formatter):
    """A formatter of log records that masks what another one has made, also what is secret of the job that runs.

    :param inner: the other one.
    """

    #: It masks what it writes; so do other formatters that say so.
    masks = True

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with the mask in place of what is secret in it."""
        return mask_of_job(self.inner.format(record))


def mask_logs(logger: logging.Logger) -> None:
    """Let the handlers of a logger write no secrets."""
    for handler in logger.handlers:
        if not getattr(handler.formatter, "masks", False):
            handler.setFormatter(MaskedFormatter(handler.formatter or logging.Formatter()))


def _normal(key: str) -> str:
    return _WORD_START.sub("_", key).strip("_").lower()


def _masked(value: Any, path: tuple[str, ...], extra: tuple[tuple[str, ...], ...]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: MASK if _is_hidden(str(key), (*path, str(key)), extra) else _masked(each, (*path, str(key)), extra)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        steps = ((*path, str(place)) for place in range(len(value)))
        return [
            MASK if _leads(step, extra) else _masked(each, step, extra) for step, each in zip(steps, value, strict=True)
        ]
    return mask_text(value) if isinstance(value, str) else value


def _is_hidden(key: str, path: tuple[str, ...], extra: tuple[tuple[str, ...], ...]) -> bool:
    return is_secret(key) or _leads(path, extra)


def _leads(path: tuple[str, ...], extra: tuple[tuple[str, ...], ...]) -> bool:
    return any(path[-len(each) :] == each for each in extra)


def _found(value: Any, path: tuple[str, ...], wanted: tuple[tuple[str, ...], ...]) -> Iterator[Any]:
    if path and _leads(path, wanted):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _found(each, (*path, str(key)), wanted)
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value):
            yield from _found(each, (*path, str(place)), wanted)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _without_pairs(text: str) -> str:
    """Mask what names of secrets are set to."""
    parts, begin, at = [], 0, 0
    while head := _HEAD.search(text, at):
        at = head.end()
        if at < len(text) and is_secret(head["name"]) and not _is_prose(head):
            end = _value_end(text, at, _normal(head["name"]))
            quote = found["quote"] or "" if (found := _VALUE.match(text, at)) else ""
            parts.append(f"{text[begin:at]}{quote}{MASK}{quote}")
            begin = at = end
    return "".join([*parts, text[begin:]])


def _is_prose(head: re.Match[str]) -> bool:
    """Tell whether a name stands in a sentence that only says who speaks, such as ``auth: no such user``."""
    return head["name"].lower() == "auth" and not head["open"] and ":" in head[0]


def _value_end(text: str, at: int, name: str) -> int:
    """Find where a value ends that begins at a place of a text."""
    if (closing := _CLOSING.get(text[at])) is not None:
        return _closed(text, at, text[at], closing)
    if name in _HEADERS and text[at] not in "\\\"'" and (found := _LINE_END.search(text, at)):
        return found.start()
    found = _VALUE.match(text, at)
    return found.end() if found else at


def _closed(text: str, at: int, opening: str, closing: str) -> int:
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] == opening) - (text[place] == closing)
        if depth == 0:
            return place + 1
    return len(text)
