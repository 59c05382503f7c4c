"""Whatever bytes lie on a queue list become a message that a worker can take, or an entry for quarantine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from hypothesis import HealthCheck, example, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from jobplatform.jobs.attach import attach
from jobplatform.journal import entry
from jobplatform.journal.entry import Kind
from jobplatform.journal.recorder import JobRequest
from jobplatform.journal.recording import Recording
from jobplatform.journal.refusals import RefusingConsumer
from jobplatform.secrecy.keyring import KeyRing, parse_keys
from jobplatform.settings import Settings
from jobplatform.transport.message import Message, envelope, sign_envelope

RING = parse_keys("k:" + base64.b64encode(b"k" * 32).decode())
KNOWN = "fuzzed.known"
ID = "01900000-0000-7000-8000-000000000000"
GOOD = json.loads(envelope(Message(ID, KNOWN, '{"args":[1],"kwargs":{}}', "celery", 1, 1.0)))
LONG = "x" * 1_048_576
#: In the first version of Celery's protocol, whose body says all; it is read in another way.
OLD = {"task": KNOWN, "id": ID, "args": [], "kwargs": 5}
OLDER = {**GOOD, "headers": {}, "body": json.dumps(OLD)}

_NASTY = [LONG, "\ud800", "\0", "base64", "utf-8", "application/x-python-serialize", "zlib", "-1e999", "[" * 5_000]
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(_NASTY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_HEADERS = (
    *GOOD["headers"], "compression", "eta", "expires", "group", "stamps", "stamped_headers", "jp_deadline", "jp_tenant",
    "jp_units", "chord", "kwargs", "args", "reply_to", "shadow",
)  # fmt: skip
_PLACES = [
    *((name,) for name in GOOD),
    *(("headers", name) for name in _HEADERS),
    *(("properties", name) for name in (*GOOD["properties"], "body_encoding")),
]


@st.composite
def _mutants(draw: st.DrawFn) -> bytes:
    """A good message with some of its parts exchanged, and then some of its bytes."""
    value = json.loads(json.dumps(GOOD))
    for place in draw(st.lists(st.sampled_from(_PLACES), min_size=1, max_size=4)):
        *path, name = place
        inner = value
        for step in path:
            inner = inner[step] if isinstance(inner.get(step), dict) else {}
        inner[name] = draw(_VALUES)
    raw = bytearray(json.dumps(value).encode("utf-8", "replace"))
    for _ in range(draw(st.integers(0, 2))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw)


_BODIES = st.builds(lambda body: json.dumps({**GOOD, "body": json.dumps(body)}).encode("utf-8", "replace"), _VALUES)
_RAW = st.binary(max_size=200) | _mutants() | _BODIES


def known(*args: Any, **kwargs: Any) -> None: ...


class Consumer(RefusingConsumer):
    """What says no, without a worker around it."""

    connection_errors = (OSError,)
    event_dispatcher = None


class Fuzzed:
    """The real path of a message from the acquire script's reply to a request, without sockets."""

    def __init__(self, settings: Settings) -> None:
        self.app = attach(Celery("fuzzed", set_as_current=False), settings)
        self.task = self.app.task(name=KNOWN)(known)
        self.app.finalize()
        self.connection = self.app.connection_for_read()
        self.channel = self.connection.channel()
        self.entries: list[str] = []
        self.requests: list[JobRequest] = []
        self.channel.connection._callbacks["celery"] = self._receive
        self.consumer = Consumer()

    def deliver(self, raw: bytes, parks: bool) -> list[str]:
        """Deliver one message as the channel does after an acquire; give the entries that it led to."""
        self.entries, ledger = [], self.channel.ledger
        tag = f"{ledger.node}:1:001{'p' if parks else ''}"
        ledger.hold(tag, "celery", raw)
        ledger.outcome = lambda tag, text, *_: self.entries.append(text)
        self.requests = []
        self.channel._deliver_leased([tag, "celery", raw])
        self.channel.qos._delivered.clear()
        ledger.held.clear()
        return self.entries

    def _receive(self, raw_message: Any) -> None:
        """Do what Celery's consumer does with a message."""
        channel, consumer = self.channel, self.consumer
        message = channel.Message(raw_message, channel=channel)
        channel.qos.append(message, message.delivery_tag)
        try:
            name = message.headers["task"]
        except (TypeError, KeyError):
            return consumer.on_unknown_message(None, message)
        if name != KNOWN:
            return consumer.on_unknown_task(None, message, KeyError(name))
        try:
            self.requests.append(JobRequest(message, app=self.app, task=self.task, hostname="h", decoded=False))
        except Exception as error:  # noqa: BLE001 - Celery gives every InvalidTaskError to the consumer, and ends over others
            assert type(error).__name__ in ("InvalidTaskError", "DecodeError", "ContentDisallowed"), repr(error)
            consumer.on_invalid_task(None, message, error)
        return None


@pytest.fixture
def fuzzed(settings: Settings, client: Any) -> Iterator[Fuzzed]:
    made = Fuzzed(settings)
    yield made
    Recording.ring = KeyRing()
    made.connection.release()
    made.app.jobplatform.close()


@pytest.mark.parametrize("ring", [KeyRing(), RING], ids=["unsigned", "signed"])
def test_every_message_is_taken_or_kept(fuzzed: Fuzzed, ring: KeyRing) -> None:
    @bounded(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(_RAW, st.booleans())
    @example(json.dumps(GOOD).encode(), False)
    @example(b'{"body":' + b"[" * 100_000, False)
    @example(json.dumps({**GOOD, "headers": {**GOOD["headers"], "id": LONG}}).encode(), False)
    @example(b"\xff\xfe\x00", True)
    @example(json.dumps(OLDER).encode(), True)
    @example(json.dumps({**GOOD, "headers": {"task": KNOWN}, "body": json.dumps(OLD)}).encode(), True)
    @example(json.dumps(OLDER).encode(), False)
    def judge(raw: bytes, parks: bool) -> None:
        Recording.ring = ring
        entries = [entry.parse(text.encode()) for text in fuzzed.deliver(raw, parks)]
        if fuzzed.requests:
            assert not entries and not ring
            return
        assert len(entries) == 1
        kind = entries[0].kind
        assert kind is Kind.UNREADABLE if ring else kind in (Kind.UNREADABLE, Kind.PARKED)
        if kind is Kind.UNREADABLE:
            assert len(base64.b64decode(entries[0].result["raw"])) == min(len(raw), entry.RAW_LIMIT)

    judge()


def test_a_good_message_gets_through_when_it_is_signed(fuzzed: Fuzzed) -> None:
    Recording.ring = RING
    value = json.loads(json.dumps(GOOD))
    sign_envelope(value, "celery", RING)
    assert fuzzed.deliver(json.dumps(value).encode(), False) == []
    assert [request.id for request in fuzzed.requests] == [GOOD["headers"]["id"]]
