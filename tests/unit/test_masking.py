"""Secrets are taken out by name, by path and by value, and nothing else is."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform import masking
from jobplatform.masking import MASK, is_secret, mask, mask_text, secrets_in

SECRET = "canary-4f9a"


@pytest.mark.parametrize(
    "key",
    [
        "password", "userPassword", "db_passwd", "pwd", "pass", "clientSecret", "secrets", "token", "accessToken",
        "refresh_token", "X-Api-Key", "apikey", "authorization", "Set-Cookie", "credentials", "private_key", "card",
        "cardNumber", "card_no", "CVV", "cvc2", "ssn", "IBAN", "AWS_SECRET_ACCESS_KEY", "session-id", "auth", "pin",
    ],
)  # fmt: skip
def test_names_of_secrets_are_known_however_they_are_written(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key", ["author", "cardinality", "discard", "passenger", "passed", "tokenizer", "key", "monkey", "spin", "id", ""]
)
def test_other_names_are_not(key: str) -> None:
    assert not is_secret(key)


def test_a_value_is_masked_by_names_and_paths_and_stays_as_it_is() -> None:
    value = {
        "args": [SECRET, {"iban": 12, "rows": [1, 2]}],
        "kwargs": {"customer": {"phone": SECRET, "name": "Ann"}, "phone": "12", "n": None, "token": ["a"]},
    }
    before = json.dumps(value)
    assert mask(value, ["args.0", "customer.phone"]) == {
        "args": [MASK, {"iban": MASK, "rows": [1, 2]}],
        "kwargs": {"customer": {"phone": MASK, "name": "Ann"}, "phone": "12", "n": None, "token": MASK},
    }
    assert json.dumps(value) == before
    assert secrets_in(value, ["args.0", "customer.phone", "rows"]) == [SECRET, "1", "2", SECRET]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2, user=ann", "password=***, user=ann"),
        ("login failed: {'password': 'hun\\'ter2', 'user': 'ann'}", "login failed: {'password': '***', 'user': 'ann'}"),
        ('{"kwargs": {"card": [4111, 22], "n": 1}}', '{"kwargs": {"card": ***, "n": 1}}'),
        ('body "{\\"card\\": \\"4111 1111\\", \\"n\\": 1}"', 'body "{\\"card\\": \\"***\\", \\"n\\": 1}"'),
        ("{'token': 'cut of", "{'token': '***'"),
        ("Authorization: Bearer abc.def\nHost: x", "Authorization: ***\nHost: x"),
        ("Cookie: a=b; c=d\nHost: x", "Cookie: ***\nHost: x"),
        ("sent Bearer abcdef123456 on", "sent Bearer *** on"),
        ("postgresql://jp:p@ss@db:5432/x", "postgresql://jp:***@db:5432/x"),
        ("redis://:hunter2@r:6379/0 refused", "redis://:***@r:6379/0 refused"),
        ("GET https://x.org/a?api_key=abc&n=1", "GET https://x.org/a?api_key=***&n=1"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
         "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig-x", "jwt eyJ***"),
        ("KeyError: 'customer'", "KeyError: 'customer'"),
        ("tokenizer=fast card=gold", "tokenizer=fast card=***"),
    ],
)  # fmt: skip
def test_a_text_keeps_all_but_its_secrets(text: str, masked: str) -> None:
    assert mask_text(text) == masked


def test_values_that_are_known_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking._Known, "values", ())
    monkeypatch.setattr(masking._Known, "names", frozenset())
    masking.hide(keys=["Phone Number"], values=["deadbeef", "abc", ""])
    assert mask_text("x deadbeef y abc 4711", ["4711"]) == "x *** y abc ***"
    assert mask({"phoneNumber": 1, "rows": "deadbeef"}) == {"phoneNumber": MASK, "rows": MASK}
    masking.is_secret.cache_clear()


def test_logs_are_masked_with_their_tracebacks() -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger = logging.Logger("masked")
    logger.addHandler(Kept())
    masking.mask_logs(logger)
    masking.mask_logs(logger)
    try:
        raise ValueError(f"password={SECRET}")
    except ValueError:
        logger.exception("it failed with %s", {"secret": SECRET})
    assert "ValueError: password=***" in lines[0]
    assert "it failed with {'secret': '***'}" in lines[0]
    assert SECRET not in lines[0]


_TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(_TREES, st.sampled_from(["password", "apiKey", "card"]), st.text("abc123 {}[]\"'\\:=,", min_size=0, max_size=8))
def test_no_secret_is_left_in_any_tree_or_its_text(tree: Any, key: str, noise: str) -> None:
    whole = {"before": tree, key: [f"{noise}{SECRET}{noise}"], "after": {key: f"{noise}{SECRET}"}}
    assert SECRET not in json.dumps(mask(whole))
    assert SECRET not in mask_text(json.dumps({key: f"{noise}{SECRET}{noise}"}))
    assert SECRET not in mask_text(repr({key: f"{noise}{SECRET}"}))


@given(st.text(max_size=300))
def test_any_text_can_be_masked(text: str) -> None:
    mask_text(text)
    mask_text(f"password={text}")
