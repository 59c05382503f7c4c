"""What is sealed is read by who has the key, for the job that it is of, and by nobody else."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

import jobplatform
from jobplatform.errors import InvalidPayload, JobOptionError, SealError
from jobplatform.jobs.editing import changed
from jobplatform.jobs.idempotency import fingerprint_of
from jobplatform.jobs.secrets import sealed_template
from jobplatform.masking import MASK, mask
from jobplatform.records import NewJob
from jobplatform.scheduling.fires import TypeFacts, job_of
from jobplatform.scheduling.overlap import Fire
from jobplatform.secrecy.keyring import KeyRing, parse_keys
from jobplatform.secrecy.sealing import (
    LINK,
    is_sealed,
    is_sealed_payload,
    key_of,
    seal,
    seal_payload,
    sealed_anew,
    unseal,
    unseal_payload,
    unsealed,
)
from jobplatform.transport.message import Message, envelope

KEYS = {name: base64.b64encode(name.encode() * 32).decode() for name in "ab"}
RING = parse_keys(f"a:{KEYS['a']}")
BOTH = parse_keys(f"b:{KEYS['b']},a:{KEYS['a']}")
PAYLOAD = '{"args":[1,"canary"],"kwargs":{"card":"canary"}}'


def sealed(text: str = PAYLOAD, job: str = "j1", job_type: str = "shop.pay") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(seal_payload(RING, text, job, job_type))
    return value


def test_a_payload_comes_back_for_its_own_job_alone() -> None:
    value = sealed()
    assert is_sealed_payload(value)
    assert "canary" not in json.dumps(value)
    assert unseal_payload(RING, [], value["kwargs"], "j1", "shop.pay") == ([1, "canary"], {"card": "canary"})
    assert unseal_payload(RING, [2], value["kwargs"], "j1", "shop.pay") == ([2, "canary"], {"card": "canary"})
    for job, job_type in (("j2", "shop.pay"), ("j1", "shop.refund")):
        with pytest.raises(SealError, match="it is that of job j1"):
            unseal_payload(RING, [], value["kwargs"], job, job_type)


def test_a_link_takes_the_result_before_its_own_arguments() -> None:
    link = seal(RING, PAYLOAD, LINK, "shop.pay", "payload")
    assert unseal_payload(RING, [7], link, "j9", "shop.pay")[0] == [7, 1, "canary"]


@bounded(max_examples=60)
@given(st.sampled_from(["of", "type", "as", "nonce", "data", "key"]), st.data())
def test_any_change_of_what_is_sealed_is_found(part: str, data: Any) -> None:
    value = sealed()["kwargs"]
    text = value["jp_enc"][part]
    changed_text = data.draw(st.text("abcABC019+/=", max_size=len(text) + 2).filter(lambda each: each != text))
    if part in ("nonce", "data"):
        canonical = base64.b64encode(base64.b64decode(text)).decode()
        if changed_text == canonical:
            return
    with pytest.raises(SealError):
        unseal(RING, {"jp_enc": {**value["jp_enc"], part: changed_text}})


def test_keys_are_rotated() -> None:
    old = sealed()["kwargs"]
    with pytest.raises(SealError, match="encrypted with the key 'a'"):
        unseal(parse_keys(f"b:{KEYS['b']}"), old)
    new = sealed_anew(BOTH, old)
    assert (key_of(old), key_of(new)) == ("a", "b")
    assert unseal(parse_keys(f"b:{KEYS['b']}"), new) == json.loads(PAYLOAD)


def test_results_are_found_in_any_value() -> None:
    result = seal(RING, '{"iban":"canary"}', "j1", "shop.pay", "result")
    assert is_sealed(result)
    assert unsealed(RING, [1, {"x": [result]}]) == [1, {"x": [{"iban": "canary"}]}]
    for other in ({}, {"jp_enc": 1}, {"jp_enc": {"key": "a"}}, {**result, "more": 1}, [result], None):
        assert not is_sealed(other)


def test_without_a_key_nothing_is_submitted() -> None:
    with pytest.raises(SealError, match="set JOBPLATFORM_ENCRYPTION_KEYS"):
        seal_payload(KeyRing(), PAYLOAD, "j1", "shop.pay")


def test_the_message_of_a_sealed_payload_says_nothing() -> None:
    text = envelope(Message("j1", "shop.pay", seal_payload(RING, PAYLOAD, "j1", "shop.pay"), "celery", 1, 1.0))
    assert "canary" not in text
    args, kwargs, _ = json.loads(json.loads(text)["body"])
    assert unseal_payload(RING, args, kwargs, "j1", "shop.pay")[1] == {"card": "canary"}


def test_a_fingerprint_of_what_is_encrypted_cannot_be_guessed_at() -> None:
    job = NewJob("j1", "shop.pay", PAYLOAD, "celery")
    assert fingerprint_of(job, b"k" * 32) == fingerprint_of(job, b"k" * 32) != fingerprint_of(job)


def test_an_edit_without_the_key_is_refused() -> None:
    with pytest.raises(InvalidPayload, match="it is encrypted"):
        changed(sealed(), [])


@pytest.mark.parametrize("options", [{"encrypt": True}, {"secret": ("card",)}])
def test_no_plan_of_an_agent_keeps_what_is_hidden(options: dict[str, Any]) -> None:
    with pytest.raises(JobOptionError, match="'free'"):

        @jobplatform.job(name="sealed.tool", tool=True, **options)
        def pay(card: str) -> None: ...


@pytest.mark.parametrize(
    "options", [{"unique": jobplatform.Unique("{card}")}, {"duration_key": ["card"]}, {"limit_key": "card:{card}"}]
)
def test_options_that_keep_arguments_go_with_no_encryption(options: dict[str, Any]) -> None:
    with pytest.raises(JobOptionError, match="encrypt hides"):

        @jobplatform.job(name="sealed.refused", encrypt=True, **options)
        def pay(card: str) -> None: ...


def test_what_is_secret_of_a_job_is_named_by_paths() -> None:
    @jobplatform.job(name="sealed.secret", encrypt=True, limit_key="t:{tenant}", secret=("card", "customer.iban"))
    def pay(amount: int, card: str, *, customer: dict[str, Any]) -> None: ...

    paths = pay.job.secret_paths
    assert paths == ["kwargs.card", "args.1", "kwargs.customer.iban"]
    shown = mask({"args": [5, "canary"], "kwargs": {"customer": {"iban": "canary", "name": "Ann"}}}, paths)
    assert shown == {"args": [5, MASK], "kwargs": {"customer": {"iban": MASK, "name": "Ann"}}}
    with pytest.raises(JobOptionError, match="'phone' is no argument"):

        @jobplatform.job(name="sealed.none", secret=["phone"])
        def call(card: str) -> None: ...

    with pytest.raises(JobOptionError, match="secret: 'card' is no list"):

        @jobplatform.job(name="sealed.text", secret="card")
        def call_again(card: str) -> None: ...


def test_what_a_schedule_fires_is_encrypted_for_its_job() -> None:
    row = {
        "schedule_id": 1, "name": "nightly", "job_type": "shop.pay", "queue": "celery", "priority": 1, "spread": 0.0,
        "jitter": 0.0, "payload_template": {"args": ["{name}"], "kwargs": {"card": "canary"}},
    }  # fmt: skip
    fire = Fire(datetime(2026, 3, 1, tzinfo=UTC))
    facts = TypeFacts(seal=lambda payload, job_id: sealed_template(RING, payload, job_id, "shop.pay"))
    made = job_of(row, fire, fire.at, facts, timedelta())
    assert "canary" not in json.dumps(made) and is_sealed_payload(made["payload"])
    opened = unseal_payload(RING, made["payload"]["args"], made["payload"]["kwargs"], made["job_id"], "shop.pay")
    assert opened == (["nightly"], {"card": "canary"})
