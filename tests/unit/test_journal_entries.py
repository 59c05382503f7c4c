"""Journal entries survive their text, and what failures say is bounded and clean."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobplatform.journal import entry
from jobplatform.journal.entry import Kind, UnreadableEntry, parse
from jobplatform.journal.failure import describe, seconds_from

ID = "00000000-0000-7000-8000-000000000000"
times = st.floats(1e9, 4e9)
workers = st.text(max_size=30)


@given(times, times, workers, st.integers(1, 9))
def test_a_completed_attempt_is_read_as_it_was_written(start: float, end: float, worker: str, attempt: int) -> None:
    head = entry.attempt_head(ID, attempt, worker, 77, start, "")
    read = parse(entry.completed(head, start, end, '{"x":[1]}').encode())
    assert (read.kind, read.job_id, read.attempt, read.worker) == (Kind.COMPLETED, ID, attempt, worker)
    assert read.result == {"x": [1]}
    assert read.started == pytest.approx(start)
    assert read.at == pytest.approx(end)


@given(st.text())
def test_a_failure_of_any_text_can_be_journalled(message: str) -> None:
    head = entry.attempt_head(ID, 1, "w", None, None, "")
    error = describe(ValueError(message), message, 0.0)
    read = parse(entry.ended(Kind.FAILED, head, None, 1.0, error).encode())
    assert read.error is not None
    assert "\x00" not in read.error["message"]
    read.error["message"].encode()


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"[]", b'{"v":2,"k":"started"}', b'{"v":1,"k":"sung","j":"x"}', b'{"v":1,"k":"started"}']
)
def test_what_is_no_entry_is_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(UnreadableEntry):
        parse(raw)


def test_an_unreadable_message_is_bounded_and_names_its_job_only_if_it_says_one() -> None:
    read = parse(entry.unreadable("mail\0", b"x" * 100_000, "no JSON\0", 5.0, (ID, 3)).encode())
    assert (read.kind, read.job_id, read.attempt, read.at) == (Kind.UNREADABLE, ID, 3, 5.0)
    assert (read.result["size"], len(base64.b64decode(read.result["raw"]))) == (100_000, entry.RAW_LIMIT)
    assert "\0" not in read.result["queue"] + read.error["message"]  # type: ignore[index]
    assert parse(entry.unreadable("mail", b"x", "no JSON").encode()).job_id == ""


def test_unknown_keys_of_newer_code_are_ignored() -> None:
    assert parse(json.dumps({"v": 1, "k": "started", "j": ID, "t": 1, "zz": 9}).encode()).job_id == ID


def test_a_long_message_is_bounded_and_says_so() -> None:
    message = describe(ValueError("x" * 50_000), None, 0.0)["message"]
    assert len(message) < 10_100
    assert "50000 characters" in message


def test_an_error_whose_text_cannot_be_made_is_still_described() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "BrokenError" in describe(BrokenError(), None, 0.0)["message"]


def test_status_and_retry_after_are_found_where_clients_put_them() -> None:
    error = ValueError("busy")
    error.response = SimpleNamespace(status_code=503, headers={"Retry-After": "120"})  # type: ignore[attr-defined]
    told = describe(error, None, 0.0)
    assert (told["status"], told["after"]) == (503, 120.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0), (7, 7.0), ("Fri, 01 Jan 2027 00:00:10 GMT", 10.0), (datetime(2027, 1, 1, 0, 1, tzinfo=UTC), 60.0),
        ("soon", None), (None, None), (True, None), (-5, None), (float("nan"), None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: object, seconds: float | None) -> None:
    assert seconds_from(value, datetime(2027, 1, 1, tzinfo=UTC).timestamp()) == seconds


@given(times, times, workers, st.integers(1, 9))
def test_an_attempt_whose_worker_left_is_interrupted(start: float, end: float, worker: str, attempt: int) -> None:
    head = entry.attempt_head(ID, attempt, worker, 77, start, "")
    read = parse(entry.left(entry.started(head, start), end).encode())
    assert (read.kind, read.job_id, read.attempt, read.worker) == (Kind.FAILED, ID, attempt, worker)
    assert (read.started, read.at) == (pytest.approx(start), end)
    assert read.error is not None
    assert read.error["interrupted"]
    assert not read.error.get("died")
