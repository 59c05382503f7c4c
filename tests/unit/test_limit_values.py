"""What limits may be called, what they may say, and how keys are made."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform import job
from jobplatform.errors import LimitError
from jobplatform.limits import Limit, check_key, parse_rate, render_key

KEYS = st.text(string.ascii_letters + string.digits + "_.:@/+-", min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("text", "rate"), [("100/s", 100.0), ("30/m", 0.5), ("1.5 / s", 1.5), ("30/10s", 3.0), ("36/h", 0.01)]
)
def test_rates_are_read(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "100", "0/s", "-1/s", "5/0s", "5/y", "x/s", "1e3/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(LimitError, match="rate"):
        parse_rate(text)


def test_limits_are_written_as_the_scripts_read_them() -> None:
    assert Limit("queue:a", slots=7).text() == "7 - -"
    assert Limit("key:a:*", rate=0.5).text() == "- 0.5 1"
    assert Limit("type:t", slots=2, rate=100.0).text() == "2 100 100"
    assert Limit("type:t", rate=100.0, burst=5.0).text() == "- 100 5"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name": "mail", "slots": 1}, "not named after"),
        ({"name": "queue:a b", "slots": 1}, "not named after"),
        ({"name": "queue:a"}, "bounds nothing"),
        ({"name": "queue:a", "slots": 0}, "pause it"),
        ({"name": "queue:a", "rate": 0.0}, "pause it"),
        ({"name": "queue:a", "slots": 1, "burst": 5.0}, "needs a rate"),
    ],
)
def test_limits_that_cannot_be_are_refused(values: dict[str, object], problem: str) -> None:
    with pytest.raises(LimitError, match=problem):
        Limit(**values)  # type: ignore[arg-type]


@given(KEYS)
def test_keys_are_carried_as_they_are(key: str) -> None:
    assert check_key(key) == key
    assert render_key("{tenant}", {"tenant": key}) == key


@given(st.text())
def test_a_key_that_messages_cannot_carry_is_refused(key: str) -> None:
    if not set(key) <= set(string.ascii_letters + string.digits + "_.:@/+-") or not key:
        with pytest.raises(LimitError):
            check_key(key)


@pytest.mark.parametrize("template", ["{nobody}", "{0}", "{tenant.x}", "{", "a b"])
def test_a_template_that_cannot_be_filled_in_is_refused(template: str) -> None:
    with pytest.raises(LimitError, match="limit_key"):
        render_key(template, {"tenant": "acme"})


@pytest.mark.parametrize("options", [{"units": 0}, {"units": True}, {"slots": 0}, {"rate": "fast"}])
def test_a_job_type_cannot_declare_what_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises((LimitError, TypeError)):
        job(name="never", **options)(lambda: None)  # type: ignore[call-overload]
