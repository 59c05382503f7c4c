"""Counting, writing for Prometheus, listening, and judging a worker by what it says."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobplatform.controller.telling import Telling
from jobplatform.decision import BOUNDS, Moved
from jobplatform.errors import SettingsError
from jobplatform.jobs.log_lines import JsonLines
from jobplatform.jobs.pulse import Pulse, Waiting
from jobplatform.journal.capture import Capture
from jobplatform.journal.recording import Recording
from jobplatform.journal.shared_log import Shared, SharedFiles, read_shared
from jobplatform.masking import mask_logs
from jobplatform.metrics import names
from jobplatform.metrics.counts import Counts
from jobplatform.metrics.door import Bind, open_door
from jobplatform.metrics.health import Probes
from jobplatform.metrics.reading import Reading, bounded, text_of
from jobplatform.service import Loop
from jobplatform.settings import Settings


def samples(body: bytes) -> dict[tuple[str, ...], float]:
    """Read what was written, by name and labels in the order of their names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_what_became_of_jobs_is_counted_by_outcome_and_time() -> None:
    counts = Counts()
    counts.add_moved([
        Moved("a", "q", "COMPLETED", 3, run=0, wait=len(BOUNDS), run_seconds=0.003, wait_seconds=9_000.0),
        Moved("a", "q", "RETRYING", 2, run=2, run_seconds=0.04),
        Moved("a", "q", "PROCESSING", 7),
    ])  # fmt: skip
    counts.add_moved([Moved("a", "q", "COMPLETED", 1, run=1, run_seconds=0.006)])
    told = samples(text_of(counts.readings()))
    assert told["jobplatform_jobs_total", "completed", "q", "a"] == 4
    assert told["jobplatform_retries_total", "q", "a"] == 2
    assert [told["jobplatform_job_run_seconds_bucket", bound, "q", "a"] for bound in ("0.005", "0.01", "0.025")] == [
        3, 4, 6,
    ]  # fmt: skip
    assert told["jobplatform_job_run_seconds_count", "q", "a"] == 6
    assert told["jobplatform_job_run_seconds_sum", "q", "a"] == pytest.approx(0.049)
    assert told["jobplatform_job_wait_seconds_bucket", "3600", "q", "a"] == 0
    assert told["jobplatform_job_wait_seconds_bucket", "+Inf", "q", "a"] == 3


def test_labels_are_bounded_and_nothing_is_left_out() -> None:
    counts = Counts(most=2)
    for number in range(5):
        counts.add_moved([Moved(f"t{number}", "q", "FAILED", 1)] * 2)
    told = samples(text_of(counts.readings()))
    found = {key[3]: value for key, value in told.items() if key[0] == "jobplatform_jobs_total"}
    assert found == {"t0": 2, "t1": 2, "other": 6}
    assert bounded([("a", 1), ("b", 3), ("c", 2)], 2) == {"b", "c"}


def test_hostile_names_are_escaped() -> None:
    name = 'a"} 1\njobplatform_jobs_total{type="b\\'
    told = samples(text_of([Reading(names.QUEUE_DEPTH, 5, (name,))]))
    assert told == {("jobplatform_queue_depth", name): 5}


@pytest.mark.parametrize(
    ("text", "host", "ports"),
    [("9100", "127.0.0.1", [9100]), (":9100", "127.0.0.1", [9100]), ("0.0.0.0:1-3", "0.0.0.0", [1, 2, 3]),
     ("[::1]:7", "::1", [7])],
)  # fmt: skip
def test_an_address_is_of_this_machine_alone_unless_it_says_more(text: str, host: str, ports: list[int]) -> None:
    bind = Bind(text)
    assert (bind.host, list(bind.ports)) == (host, ports)


@pytest.mark.parametrize("text", ["x", "host:", "1:2:x", "9-1", "70000", "-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="JOBPLATFORM_METRICS_BIND"):
        Bind(text)


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def url(troubles: list[str]) -> Iterator[str]:
    door = open_door("0", lambda: [Reading(names.LEASES, 3)], Probes(list, lambda: troubles))
    assert door is not None
    yield door.url
    door.close()


def ask(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_door_answers_prometheus_and_probes_and_nobody_else(url: str, troubles: list[str]) -> None:
    status, body = ask(f"{url}/metrics")
    assert (status, samples(body)) == (HTTPStatus.OK, {("jobplatform_leases",): 3})
    assert [ask(f"{url}/{path}")[0] for path in ("live", "ready", "", "metrics/x")] == [200, 200, 404, 404]
    troubles.append("Redis does not answer")
    assert [ask(f"{url}/{path}")[0] for path in ("live", "ready")] == [200, 503]
    assert json.loads(ask(f"{url}/ready")[1]) == {"ok": False, "problems": ["Redis does not answer"]}


def test_a_port_that_is_taken_is_passed_over_and_work_goes_on_without_any(url: str) -> None:
    taken = int(url.rpartition(":")[2])
    assert open_door(str(taken), list, Probes(list, list)) is None
    assert open_door("", list, Probes(list, list)) is None


#: A worker that does well: it waits for jobs, and none is there.
WELL = Pulse(silent=1.0, stale=15.0, loop_wait=0.1, idle=100.0, takes=True, waiting=[Waiting("q", 0, 0.0)])
FULL = [Waiting("q", 0, 0.0), Waiting("r", 7, 45.0)]


@dataclass(frozen=True)
class Case:
    """How a worker is, and what is said of it."""

    pulse: Pulse
    says: str = ""


@pytest.mark.parametrize(
    "case",
    [
        Case(WELL),
        Case(WELL._replace(waiting=FULL), "nothing was taken for 100 s, with a process free, while 7 messages wait"),
        Case(WELL._replace(waiting=FULL, idle=None)),
        Case(WELL._replace(waiting=FULL, idle=5.0)),
        Case(WELL._replace(waiting=FULL, takes=False)),
        Case(WELL._replace(waiting=[Waiting("r", 7, 2.0)])),
        Case(WELL._replace(loop_wait=16.0), "a callback in it does not return"),
        Case(WELL._replace(silent=16.0), "has not heard this worker for 16 s"),
        Case(WELL._replace(silent=900.0, waiting=None)),
    ],
)
def test_a_worker_is_live_unless_a_new_one_would_do_better(case: Case) -> None:
    problems = case.pulse.problems()
    assert len(problems) == bool(case.says)
    assert not case.says or case.says in problems[0]


class Slow:
    """A service whose round looks at its own loop."""

    name, interval = "slow", 1.0

    def __init__(self, look: Callable[[], None]) -> None:
        self.look = look

    def run_once(self, now: datetime) -> Counter[str]:
        self.look()
        return Counter(done=2)


def test_a_controller_is_stuck_while_a_round_does_not_end_or_when_a_thread_has() -> None:
    clock = [time.monotonic()]
    telling = Telling(Settings(), None, None, Counts(), {"orphans.orphans": 4}, lambda: clock[0])  # type: ignore[arg-type]
    seen: list[list[str]] = []

    def look() -> None:
        seen.append(telling.stuck([loop], []))
        clock[0] += 3_600
        seen.append(telling.stuck([loop], ["mirror"]))

    loop = Loop(Slow(look), threading.Event())
    loop.round()
    assert seen[0] == []
    assert seen[1][0] == "the thread of mirror has ended"
    assert seen[1][1].startswith("a round of slow has not ended for 36")
    assert telling.stuck([loop], []) == []
    told = samples(text_of(telling.readings([loop], leads=False)))
    assert told["jobplatform_service_rounds_total", "slow"] == 1
    assert told["jobplatform_redispatched_total", "missing_in_broker"] == 4
    assert told["jobplatform_service_counts_total", "orphans", "orphans"] == 4
    assert told["jobplatform_controller_leads",] == 0


def masked(text: str) -> str:
    return text.replace("sesame", "***")


def test_no_line_that_is_captured_is_kept_with_a_secret() -> None:
    capture = Capture(100, mask=masked)
    capture.add("sesame " + "x" * 3)
    assert list(capture._lines) == ["*** xxx"]


def test_lines_of_json_are_masked_inside_and_not_again() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logger = logging.Logger("alone")
    logger.addHandler(handler)
    mask_logs(logger)
    assert type(handler.formatter) is JsonLines


def test_the_last_lines_are_kept_and_the_cut_is_counted() -> None:
    capture = Capture(30)
    assert capture.taken(masked) is None
    for number in range(10):
        capture.add(f"line {number} sesame")
    assert capture.taken(masked) == {"text": "line 8 ***\nline 9 ***", "cut": 8}
    many = Capture(10**6)
    for _ in range(600):
        many.add("x")
    found = many.taken(masked)
    assert found is not None
    assert (found["text"].count("x"), found["cut"]) == (500, 100)
    long = Capture(10**6)
    long.add("y" * 20_000)
    assert "(20000 characters)" in (long.taken(masked) or {})["text"]


def test_what_a_process_wrote_is_read_of_its_attempt_alone() -> None:
    fd = os.memfd_create("test")
    try:
        assert read_shared(fd, "a/1", 100, masked) is None
        first = Capture(100, Shared(fd, "a/1", 200))
        for number in range(50):
            first.add(f"sesame {number}")
        found, own = read_shared(fd, "a/1", 100, masked), first.taken(masked)
        assert own is not None
        assert found is not None
        assert found == own
        assert found["text"].endswith("*** 49")
        Capture(100, Shared(fd, "a/2", 200)).add("another")
        assert read_shared(fd, "a/1", 100, masked) is None
        assert read_shared(fd, "a/2", 100, masked) == {"text": "another", "cut": 0}
        os.ftruncate(fd, 0)
        assert read_shared(fd, "a/2", 100, masked) is None
    finally:
        os.close(fd)


def record(name: str, message: str, args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.INFO, "file", 1, message, args, None)
    made.__dict__.update(extra)
    return made


def test_celerys_lines_lose_what_is_private_and_keep_the_id() -> None:
    context = {"id": "j1", "name": "shop.charge", "return_value": "sesame", "runtime": 0.5, "args": "(sesame)"}
    text = "Task %(name)s[%(id)s] succeeded in %(runtime)ss: %(return_value)s"
    line = JsonLines().format(record("celery.app.trace", text, (context,), data=context))
    told = json.loads(line)
    assert (told["job_id"], told["type"], told["level"]) == ("j1", "shop.charge", "info")
    assert told["message"] == "Task shop.charge[j1] succeeded in 0.5s: ..."
    assert "sesame" not in line
    plain = json.loads(JsonLines().format(record("shop", "%d of %s", (3, "x"))))
    assert (plain["message"], "job_id" in plain) == ("3 of x", False)


def test_the_file_of_a_process_is_kept_until_all_is_known_of_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "log_limit", 100)
    files, gone = SharedFiles(), 2**22 + 1
    with files.lending() as lent:
        fd = files.own
        assert fd is not None
        Capture(100, Shared(fd, "a/1", 200)).add("sesame")
        lent(gone)
    assert files.own is None
    monkeypatch.setattr(Recording, "mask", staticmethod(masked))
    assert files.read(gone, "a/1") == {"text": "***", "cut": 0}
    assert files.read(gone, "a/2") is files.read(None, "a/1") is None
    with files.lending() as lent:
        lent(gone)
    assert files.read(gone, "a/1") is None, "another process has the number now"
    monkeypatch.setattr(Recording, "log_limit", 0)
    with files.lending() as lent:
        lent(1)
    assert files.read(1, "a/1") is None
