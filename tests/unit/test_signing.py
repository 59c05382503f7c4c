"""A signature holds for one message: whatever is changed in it, it is refused."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from jobplatform.errors import SettingsError
from jobplatform.journal import inbound
from jobplatform.journal.recording import Recording
from jobplatform.secrecy.keyring import KeyRing, parse_keys
from jobplatform.secrecy.signing import SIGNATURE_HEADER, SIGNED_HEADERS, Refused, verify
from jobplatform.settings import Settings, load_settings
from jobplatform.transport.message import Message, Mould, envelope, sign_envelope, signed_again

OLD, NEW = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 40).decode()
RING = parse_keys(f"old:{OLD}")
MESSAGE = Message(
    "01900000-0000-7000-8000-000000000000", "shop.pay", '{"args":[1],"kwargs":{"a":"ü"}}', "mail", 3, 17.25
)
FULL = replace(
    MESSAGE, attempt=3, retry_count=2, root_id="r", parent_id="p", expires_at=99.5, timeout=9.0, soft_timeout=8.0,
    tenant="t", limit_key="k", units=2, deadline_at=98.25, trial=True,
    extra={"embed": {"callbacks": [{"task": "next"}]}, "headers": {"group": "g", "jp_batch": "b", "x": [1.5]}},
)  # fmt: skip
PICKLED = replace(
    MESSAGE, extra={"task_id": "foreign", "body": ["application/x-y", "binary", base64.b64encode(b"\x80a").decode()]}
)


def parts(text: str | bytes) -> tuple[dict[str, Any], str, bytes | str]:
    value = json.loads(text)
    encoded = value["properties"].get("body_encoding") == "base64"
    return value["headers"], value["content-type"], base64.b64decode(value["body"]) if encoded else value["body"]


@pytest.mark.parametrize("message", [MESSAGE, FULL, PICKLED])
def test_what_is_signed_is_verified(message: Message) -> None:
    verify(RING, *_(envelope(message, RING)))
    assert SIGNATURE_HEADER not in json.loads(envelope(message))["headers"]


def _(text: str | bytes, queue: str = "mail") -> tuple[dict[str, Any], str, str, bytes | str]:
    headers, kind, body = parts(text)
    return headers, queue, kind, body


def test_messages_that_share_a_mould_are_signed_each() -> None:
    mould = Mould(MESSAGE, RING)
    first, second = (
        mould.fill(job_id, payload) for job_id, payload in (("a", '{"args":[1],"kwargs":{}}'), ("b", "{}"))
    )
    verify(RING, *_(first))
    verify(RING, *_(second))
    assert parts(first)[0][SIGNATURE_HEADER] != parts(second)[0][SIGNATURE_HEADER]


_VALUES = (
    st.none() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False) | st.lists(st.integers(), max_size=2)
)


@bounded(max_examples=200)
@given(st.sampled_from(SIGNED_HEADERS), _VALUES, st.sampled_from([MESSAGE, FULL]))
def test_any_change_of_a_signed_header_is_refused(name: str, value: Any, message: Message) -> None:
    headers, queue, kind, body = _(envelope(message, RING))
    changed = {**headers, name: value}
    if (headers.get(name) or None) == (value or None):
        verify(RING, changed, queue, kind, body)
        return
    with pytest.raises(Refused, match="not that of this message"):
        verify(RING, changed, queue, kind, body)


@given(st.integers(0, 60), st.integers(1, 255))
def test_any_change_of_the_body_is_refused(place: int, flip: int) -> None:
    headers, queue, kind, body = _(envelope(MESSAGE, RING))
    raw = bytearray(body.encode() if isinstance(body, str) else body)
    raw[place % len(raw)] ^= flip
    with pytest.raises(Refused):
        verify(RING, headers, queue, kind, bytes(raw))


def test_another_queue_type_or_signature_is_refused() -> None:
    headers, queue, kind, body = _(envelope(FULL, RING))
    for changed in (
        (headers, "other", kind, body),
        (headers, queue, "application/x-python-serialize", body),
        ({**headers, SIGNATURE_HEADER: headers[SIGNATURE_HEADER][:-1]}, queue, kind, body),
        ({**headers, SIGNATURE_HEADER: 7}, queue, kind, body),
        ({**headers, SIGNATURE_HEADER: "older:" + "0" * 64}, queue, kind, body),
        ({**headers, SIGNATURE_HEADER: "old:\ud800"}, queue, kind, body),
        ({name: value for name, value in headers.items() if name != SIGNATURE_HEADER}, queue, kind, body),
    ):
        with pytest.raises(Refused, match="unsigned"):
            verify(RING, *changed)


def test_keys_are_rotated_by_putting_the_new_one_first() -> None:
    before = _(envelope(MESSAGE, RING))
    both, new = parse_keys(f"new:{NEW},old:{OLD}"), parse_keys(f"new:{NEW}")
    verify(both, *before)
    after = _(envelope(MESSAGE, both))
    assert after[0][SIGNATURE_HEADER].startswith("new:")
    verify(new, *after)
    with pytest.raises(Refused, match="'old'"):
        verify(new, *before)


def test_a_message_of_kombu_is_signed_as_the_worker_reads_it() -> None:
    value = json.loads(envelope(FULL))
    sign_envelope(value, "mail", RING)
    verify(RING, *_(json.dumps(value)))
    value["properties"]["body_encoding"] = "base64"
    value["body"] = base64.b64encode(value["body"].encode()).decode()
    sign_envelope(value, "mail", RING)
    verify(RING, *_(json.dumps(value)))
    reply: dict[str, Any] = {"headers": {}, "body": "x", "properties": {}}
    sign_envelope(reply, "reply", RING)
    assert reply["headers"] == {}


def test_who_replays_a_message_vouches_for_it() -> None:
    verify(RING, *_(signed_again(envelope(MESSAGE).encode(), "mail", RING)))
    for raw in (b"", b"hello", b"[]", b'{"headers":{}}', b"\xff"):
        assert signed_again(raw, "mail", RING) == raw


def test_without_keys_every_message_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    message = SimpleNamespace(
        headers={"id": "a"}, channel=None, delivery_info={"routing_key": "mail"}, content_type="x", body=""
    )
    assert inbound.is_signed(message)
    monkeypatch.setattr(Recording, "ring", RING)
    assert not inbound.is_signed(message)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("abc", "not written as name:base64"),
        ("a b:AAAA", "not written as name:base64"),
        ("a:AAAA", "has 3 bytes, not 32 or more"),
        ("a:%%%%", "is no base64"),
        (f"a:{OLD},a:{NEW}", "has the name of another"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_and_not_shown(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as told:
        load_settings({"JOBPLATFORM_SIGNING_KEYS": text})
    assert text not in str(told.value)


def test_settings_show_no_secrets() -> None:
    settings = load_settings(
        {
            "JOBPLATFORM_SIGNING_KEYS": f"a:{OLD}",
            "JOBPLATFORM_ENCRYPTION_KEYS": f"b:{OLD}",
            "DATABASE_URL": "postgresql://jp:canary%21x@db/x",
            "REDIS_URL": "redis://:canaryr@r/0",
        }
    )
    assert settings.signing_keys.first == "a"
    assert settings.encryption_keys.get("b") == b"o" * 32
    assert not any(text in repr(settings) for text in ("canary", OLD, "ooo"))
    assert set(settings.secrets) == {"canary%21x", "canary!x", "canaryr", OLD}
    assert not Settings().signing_keys
    assert KeyRing() == KeyRing()
    with pytest.raises(SettingsError, match="40 bytes, not 32"):
        load_settings({"JOBPLATFORM_ENCRYPTION_KEYS": f"a:{NEW}"})
