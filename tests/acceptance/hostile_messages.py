"""Messages as foreign, broken or hostile publishers push them onto a queue list, and what must become of each."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The job type that they are for; it returns what it is called with.
KNOWN = "suite_jobs.remember"
UNKNOWN = "nowhere.at_all"
_DEEP = 200_000
_DIGITS = "9" * 10_000
_NAMESPACE = uuid.UUID("2f0c6f0e-5a8e-4a53-9b0d-1d8a6d1c7a11")

QUARANTINED, ROWLESS, PARKED, COMPLETED, FAILED = "quarantined", "rowless", "PAUSED", "COMPLETED", "FAILED"


@dataclass(frozen=True)
class Hostile:
    """One message.

    ``fate`` is the state of the row with ``job_id``, or where the bytes are: in quarantine, or in the journal entries
    there that no row stands for.
    """

    name: str
    raw: bytes
    fate: str = QUARANTINED

    @property
    def job_id(self) -> str:
        """The id that the message carries if it carries a good one."""
        return str(uuid.uuid5(_NAMESPACE, self.name))


class CanaryBird:
    """What leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def message(name: str, call: Any = None, /, **changes: Any) -> dict[str, Any]:
    """Build a good message of protocol 2.

    :param call: the text or the value of its body; a call with one argument if not given.
    :param changes: of the envelope; those of ``headers`` and ``properties`` are merged in, and None takes out.
    """
    job_id = str(uuid.uuid5(_NAMESPACE, name))
    call = [[1], {}, {}] if call is None else call
    text = call if isinstance(call, (str, bytes)) else json.dumps(call)
    envelope: dict[str, Any] = {
        "body": base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": KNOWN, "id": job_id, "root_id": job_id, "retries": 0},
        "properties": {
            "correlation_id": job_id,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": job_id,
        },
    }
    for part, change in changes.items():
        part = part.replace("_", "-") if part.startswith("content") else part
        merged = isinstance(change, dict) and isinstance(envelope.get(part), dict)
        envelope[part] = {**envelope[part], **change} if merged else change
    return _without_nothing(envelope)


#: Stands for a value that is JSON's null, which None takes out.
NULL = object()


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nothing(item) for name, item in value.items() if item is not None}
    return None if value is NULL else value


def raw(envelope: Any) -> bytes:
    """Write an envelope as it lies on the list."""
    return json.dumps(envelope).encode()


def hostile(canary: Path) -> list[Hostile]:
    """List them all.

    :param canary: the file that the pickles would write.
    """
    found = [*_envelopes(), *_parts(), *_bodies(canary), *_headers(), *_identities(), *_harmless(), *_unroutable()]
    assert len({item.name for item in found}) == len(found)
    return found


def _envelopes() -> Iterator[Hostile]:
    """What is no envelope at all."""
    for name, content in {
        "empty": b"",
        "no JSON": b"hello",
        "half an envelope": raw(message("half an envelope"))[:100],
        "a list": b"[]",
        "a list of messages": b"[" + raw(message("a list of messages")) + b"]",
        "a number": b"7",
        "a text": b'"celery"',
        "null": b"null",
        "not UTF-8": b'{"body":"\xff\xfe","properties":{}}',
        "binary": bytes(range(256)) * 20,
        "deep lists": b"[" * _DEEP,
        "deep objects": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
        "10,000 digits in a property": b'{"properties":{"priority":' + _DIGITS.encode() + b"}}",
    }.items():
        yield Hostile(name, content)


def _parts() -> Iterator[Hostile]:
    """Envelopes with parts missing or of other types."""
    for part in ("headers", "properties", "body"):
        yield Hostile(f"no {part}", raw(message(f"no {part}", **{part: None})))
        for kind, value in {"null": NULL, "a list": [1], "a number": 7, "a text": "x"}.items():
            name = f"{part} is {kind}"
            yield Hostile(name, raw(message(name, **{part: value})))
    for name, properties in {
        "body_encoding unknown": {"body_encoding": "rot13"},
        "body_encoding a number": {"body_encoding": 5},
        "delivery_info a list": {"delivery_info": [1]},
        "delivery_info a text": {"delivery_info": "celery"},
    }.items():
        yield Hostile(name, raw(message(name, properties=properties)))


def _bodies(canary: Path) -> Iterator[Hostile]:
    """Bodies that are no call."""
    pickled = pickle.dumps([[CanaryBird(canary)], {}, {}])
    for name, body in {
        "body no JSON": "hello",
        "body a number": "7",
        "body a text": '"args"',
        "body one part": [1],
        "body four parts": [1, 2, 3, 4],
        "body an empty object": "{}",
        "body deep": "[" * _DEEP,
        "body not UTF-8": b'[["\xff"],{},{}]',
        "args an object": [{"a": 1}, {}, {}],
        "args a text": ["ab", {}, {}],
        "args a number": [1, {}, {}],
        "args of 10,000 digits": f"[[{_DIGITS}],{{}},{{}}]",
        "args of a broken type": [[{"__type__": "datetime", "__value__": 5}], {}, {}],
        "kwargs a list": [[], [1], {}],
        "embed a list": [[1], {}, [1]],
        "callbacks a number": [[1], {}, {"callbacks": 5}],
        "errbacks numbers": [[1], {}, {"errbacks": [5]}],
        "chord a number": [[1], {}, {"chord": 7}],
        "20 MB": [["x" * 20_000_000], {}, {}],
    }.items():
        yield Hostile(name, raw(message(name, body)))
    bomb = base64.b64encode(zlib.compress(b'[["' + b"x" * 100_000_000 + b'"],{},{}]')).decode()
    yield Hostile("a bomb", raw(message("a bomb", headers={"compression": "gzip"}, body=bomb)))
    for name, kind, body in (
        ("pickle", "application/x-python-serialize", pickled),
        ("pickle that says it is JSON", "application/json", pickled),
        ("yaml", "application/x-yaml", b"!!python/object/apply:os.getpid []"),
        ("content-type unknown", "application/x-nothing", b"[[],{},{}]"),
        ("content-type raw", "application/data", b"[[],{},{}]"),
        ("content-type a list", [1], b"[[],{},{}]"),
        ("content-type missing", None, b"[[],{},{}]"),
    ):
        yield Hostile(name, raw(message(name, body, content_type=kind)))
    yield Hostile("content-encoding a number", raw(message("content-encoding a number", content_encoding=7)))


def _headers() -> Iterator[Hostile]:
    """Headers of wrong types, or out of range."""
    for name, headers in {
        "timelimit texts": {"timelimit": ["a", "b"]},
        "timelimit a number": {"timelimit": 5},
        "timelimit three": {"timelimit": [1, 2, 3]},
        "timelimit negative": {"timelimit": [-1, None]},
        "timelimit no number": {"timelimit": [float("nan"), 1]},
        "timelimit infinite": {"timelimit": [float("inf"), 1]},
        "eta garbage": {"eta": "soon"},
        "eta a number": {"eta": 5},
        "eta an object": {"eta": {"at": 1}},
        "eta beyond all clocks": {"eta": "9999-12-31T23:59:59-14:00"},
        "expires garbage": {"expires": "never"},
        "expires a list": {"expires": [1]},
        "retries a text": {"retries": "many"},
        "retries huge": {"retries": 10**30},
        "retries negative": {"retries": -1},
        "jp_attempt a text": {"jp_attempt": "1"},
        "jp_attempt zero": {"jp_attempt": 0},
        "jp_attempt huge": {"jp_attempt": 10**12},
        "jp_attempt a truth": {"jp_attempt": True},
        "jp_at a text": {"jp_attempt": 1, "jp_at": "now"},
        "jp_at no number": {"jp_attempt": 1, "jp_at": float("nan")},
        "stamped_headers a number": {"stamped_headers": 5},
        "stamped_headers of objects": {"stamped_headers": [{"a": 1}]},
        "stamps a list": {"stamped_headers": ["a"], "stamps": [1]},
        "compression unknown": {"compression": "application/x-nothing"},
        "compression a list": {"compression": [1]},
        "compression of what is not": {"compression": "application/x-gzip"},
    }.items():
        yield Hostile(name, raw(message(name, headers=headers)))
    for header in ("jp_attempt", "retries"):
        name = f"10,000 digits in {header}"
        yield Hostile(name, raw(message(name, headers={header: 31_337})).replace(b"31337", _DIGITS.encode()))


def _identities() -> Iterator[Hostile]:
    """Messages that do not say, or cannot say, which job they are and of which type."""
    for name, headers in {
        "id missing": {"id": None},
        "id a number": {"id": 7},
        "id empty": {"id": ""},
        "id of 1 MB": {"id": "x" * 1_000_000},
        "id with NUL": {"id": "a\0b"},
        "id with half a pair": {"id": "a\ud800b"},
        "task missing": {"task": None},
        "task a number": {"task": 7},
        "task a list": {"task": [KNOWN]},
        "task empty": {"task": ""},
        "task with NUL": {"task": "a\0b"},
        "task of 1 MB": {"task": "x" * 1_000_000},
    }.items():
        yield Hostile(name, raw(message(name, headers=headers)))
    made_up = "an attempt of no row"
    yield Hostile(made_up, raw(message(made_up, headers={"jp_attempt": 1})), ROWLESS)


def _harmless() -> Iterator[Hostile]:
    """Strange messages that a job can be made of."""
    for name, changes in {
        "priority out of range": {"properties": {"priority": 10**9}},
        "priority a text": {"properties": {"priority": "high"}},
        "delivery_info missing": {"properties": {"delivery_info": None}},
        "reply_to a list": {"properties": {"reply_to": [1]}},
        "correlation_id a list": {"properties": {"correlation_id": [1]}},
        "root_id no UUID": {"headers": {"root_id": "the root", "parent_id": "the parent"}},
        "root_id a number": {"headers": {"root_id": 5, "parent_id": {"a": 1}}},
        "another language": {"headers": {"lang": "cobol", "origin": 5, "argsrepr": [1]}},
        "group a number": {"headers": {"group": 5, "group_index": "x"}},
        "headers of newer code": {"headers": {"jp_future": {"v": 2}, "jp_tenant": "x"}},
        "a header with NUL": {"headers": {"color": "a\0b"}},
        "a body that is packed": {
            "headers": {"compression": "application/x-gzip"},
            "body": base64.b64encode(zlib.compress(b"[[1],{},{}]")).decode(),
        },
    }.items():
        yield Hostile(name, raw(message(name, **changes)), COMPLETED)
    for name, argument in {
        "args no number": float("nan"),
        "args infinite": float("inf"),
        "args half a pair": "a\ud800b",
        "args with NUL": "a\0b",
        "args an emoji": "\N{GRINNING FACE}",
        "args deep": json.loads("[" * 500 + "]" * 500),
    }.items():
        yield Hostile(name, raw(message(name, [[argument], {}, {}])), COMPLETED)
    twice = raw(message("keys twice"))
    yield Hostile("keys twice", twice[:-1] + b"," + twice[1:], COMPLETED)
    yield Hostile("UTF-16", json.dumps(message("UTF-16")).encode("utf-16"), COMPLETED)
    old = Hostile("protocol 1", b"", COMPLETED)
    body = {"task": KNOWN, "id": old.job_id, "args": [1], "kwargs": {}, "retries": 0}
    yield Hostile(old.name, raw(message(old.name, body, headers=dict.fromkeys(_V2))), COMPLETED)
    yield Hostile("too many arguments", raw(message("too many arguments", [[1, 2, 3], {}, {}])), FAILED)
    yield Hostile("a link to nothing", raw(message("a link to nothing", [[1], {}, {"callbacks": [{}]}])), FAILED)


_V2 = ("lang", "task", "id", "root_id", "retries")


def _unroutable() -> Iterator[Hostile]:
    """Messages for job types that nobody knows, good ones and bad ones."""
    unknown = {"task": UNKNOWN}
    yield Hostile("type unknown", raw(message("type unknown", headers=unknown)), PARKED)
    emoji = message("type unknown, args strange", [["a\0b"], {}, {}], headers=unknown)
    yield Hostile("type unknown, args strange", raw(emoji), PARKED)
    old = Hostile("type unknown, protocol 1", b"", PARKED)
    body = {"task": UNKNOWN, "id": old.job_id, "args": [1], "kwargs": {}}
    yield Hostile(old.name, raw(message(old.name, body, headers=dict.fromkeys(_V2))), PARKED)
    yield Hostile("type unknown, body broken", raw(message("type unknown, body broken", "[", headers=unknown)))
    wrong = {**unknown, "timelimit": ["a", "b"]}
    yield Hostile("type unknown, timelimit texts", raw(message("type unknown, timelimit texts", headers=wrong)))
    pickled = message("type unknown, pickle", b"x", headers=unknown, content_type="application/x-python-serialize")
    yield Hostile("type unknown, pickle", raw(pickled))
    long = message("type unknown, too long", headers={"task": "x" * 101})
    yield Hostile("type unknown, too long", raw(long))
