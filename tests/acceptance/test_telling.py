"""What real workers and a real controller tell Prometheus and probes is what the tables say."""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
import telling_jobs
import traced_jobs
from fleet import Fleet, Process
from processes import eventually
from prometheus_client.parser import text_string_to_metric_families

from jobplatform.devstack.stack import DevStack
from jobplatform.metrics.names import METRICS
from jobplatform.metrics.tracing import TRACING
from jobplatform.store import jobs

_AT = re.compile(r"metrics and health are at (http://\S+)")
Samples = dict[tuple[str, ...], float]


def place_of(process: Process) -> str:
    """Tell where a process tells how it is."""
    eventually(lambda: process.says("metrics and health are at"), 20, process.tail)
    return _AT.findall(process.log.read_text())[-1]


def scrape(url: str) -> dict[str, Samples]:
    """Read all samples, by name and labels; each is of a metric that is in the list."""
    text = urllib.request.urlopen(f"{url}/metrics", timeout=10).read().decode()
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(text):
        listed = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
        for sample in family.samples:
            assert {*sample.labels} - {"le"} == {*listed.labels}
            labels = tuple(sample.labels[name] for name in (*listed.labels, "le") if name in sample.labels)
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def probe(url: str, path: str) -> tuple[int, list[str]]:
    """Give the status and the problems that a probe is told."""
    try:
        answer = urllib.request.urlopen(f"{url}/{path}", timeout=10)
    except HTTPError as error:
        answer = error
    return answer.status, json.loads(answer.read())["problems"]


def check_logs(fleet: Fleet) -> None:
    """What attempts log is kept where their type or their end asks for it, also of one that was killed."""
    found = fleet.rows("select job_type, l.* from @attempt_logs l join @jobs using (job_id) order by text")
    texts: dict[str, list[tuple[int, str]]] = {}
    for row in found:
        texts.setdefault(row["job_type"].removeprefix("telling_jobs."), []).append((row["attempt"], row["text"]))
    assert {name: len(each) for name, each in texts.items()} == {"succeed": 20, "fail": 3, "die_once": 1}
    assert all(re.search(r"Z INFO telling_jobs: number \d+ is fine$", text) for _, text in texts["succeed"])
    assert all(re.search(r"is looked at\n.*: and printed$", text) for _, text in texts["fail"])
    ((attempt, text),) = texts["die_once"]
    assert (attempt, text.endswith("WARNING telling_jobs: number 0 kills at attempt 1")) == (1, True), text
    assert {row["cut"] for row in found} == {0}


def test_the_counts_are_those_of_the_tables_and_a_worker_that_hangs_is_not_live(
    stack: DevStack, tmp_path: Path
) -> None:
    environment = {"JOBPLATFORM_METRICS_BIND": "0", "JOBPLATFORM_HEARTBEAT_SECONDS": "1"}
    with Fleet(stack, tmp_path, [telling_jobs.__name__], **environment) as fleet:
        controller = place_of(fleet.start_controller())
        worker = place_of(fleet.start_worker("-c", "2"))
        for name, number in (("succeed", 20), ("fail", 3), ("fail_once", 4), ("die_once", 1)):
            fleet.client.tasks[f"telling_jobs.{name}"].submit_many(range(number))
        fail = fleet.client.tasks["telling_jobs.fail"]
        cancelled = fail.using(countdown=3600).submit(1)
        fail.using(after=[cancelled.id]).submit(2)
        with fleet.database.transaction() as transaction:
            jobs.cancel(transaction, [cancelled.id], "no")
        fleet.wait_final(30, 60)
        eventually(lambda: not fleet.rows("select * from @cancellations"), 20, fleet.describe)
        told = scrape(controller)
        assert told["jobplatform_jobs_total"] == {
            (row["job_type"], row["queue"], row["status"].lower()): row["jobs"]
            for row in fleet.rows("select job_type, queue, status, count(*) as jobs from @jobs group by 1, 2, 3")
        }
        assert told["jobplatform_retries_total"] == {
            ("telling_jobs.fail_once", "celery"): 4, ("telling_jobs.die_once", "celery"): 1,
        }  # fmt: skip
        assert told["jobplatform_jobs_total"]["telling_jobs.fail", "celery", "cancelled"] == 2
        attempts = Counter({
            row["job_type"]: row["attempts"]
            for row in fleet.rows("select job_type, count(*) as attempts from @jobs join @job_executions "
                                  "using (job_id) group by 1")
        })  # fmt: skip
        for metric in ("run", "wait"):
            counted = told[f"jobplatform_job_{metric}_seconds_count"]
            assert {labels[0]: value for labels, value in counted.items()} == attempts
        (ran,) = fleet.rows("select sum((metrics->>'run')::float8) as seconds from @job_executions")
        assert abs(sum(told["jobplatform_job_run_seconds_sum"].values()) - ran["seconds"]) < 0.01
        assert told["jobplatform_dead_letters"] == {(): 3}
        assert told["jobplatform_controller_leads"] == told["jobplatform_controllers_alive"] == {(): 1}
        eventually(lambda: scrape(controller)["jobplatform_workers"][("working",)] == 1, 20, fleet.describe)
        assert scrape(controller)["jobplatform_queue_depth"] == {("celery",): 0}
        ended = scrape(worker)["jobplatform_worker_attempts_ended_total"]
        assert {labels[0]: value for labels, value in ended.items()} == attempts
        check_logs(fleet)
        for url in (controller, worker):
            assert probe(url, "live") == probe(url, "ready") == (200, [])
        fleet.client.tasks["telling_jobs.trap"].submit()
        status, problems = eventually(lambda: (found := probe(worker, "live"))[0] != 200 and found, 40)
        assert (status, len(problems)) == (503, 1)
        assert "a callback in it does not return" in problems[0]


@pytest.fixture
def spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file to which all processes write their spans; this one makes none after the test."""
    made = tmp_path / "spans"
    monkeypatch.setenv(traced_jobs.FILE, str(made))
    traced_jobs.trace_to_file()
    yield made
    TRACING.on = False


def test_a_trace_goes_from_the_submission_through_retries_and_deaths_and_logs_name_it(
    stack: DevStack, tmp_path: Path, spans: Path
) -> None:
    secret = "sesame-7351"
    environment = {"JOBPLATFORM_TRACES": "on", "JOBPLATFORM_LOG_FORMAT": "json", traced_jobs.FILE: str(spans)}
    with Fleet(stack, tmp_path, [traced_jobs.__name__], **environment) as fleet:
        fleet.client.tasks["traced_jobs.outer"].submit(secret)
        controller = fleet.python("-m", "celery", "-A", "jobplatform", "controller", name="controller")
        worker = fleet.start_worker("-c", "1")
        assert fleet.wait_final(2, 60) == {"COMPLETED": 2}
        found = [json.loads(line) for line in spans.read_text().splitlines()]
        told = Counter(
            (span["name"], span["jobplatform.job.type"].rpartition(".")[2], span.get("jobplatform.attempt"),
             span.get("error.type")) for span in found
        )  # fmt: skip
        assert told == Counter([
            ("send celery", "outer", None, None), ("process celery", "outer", 1, "ConnectionError"),
            ("process celery", "outer", 2, None), ("send celery", "inner", None, None),
            ("process celery", "inner", 1, "killed"), ("process celery", "inner", 2, None),
        ])  # fmt: skip
        assert len({span["trace"] for span in found}) == 1
        by_id = {span["id"]: span for span in found}
        for span in found:
            if span["name"] == "process celery":
                assert by_id[span["parent"]]["jobplatform.job.type"] == span["jobplatform.job.type"]
        (inner_send,) = (span for span in found if span["name"].startswith("send") and span["parent"])
        assert by_id[inner_send["parent"]]["jobplatform.attempt"] == 2
        lines = [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]
        looks = {line["message"]: line for line in lines if line["logger"] == "traced_jobs"}
        assert looks.keys() == {"attempt 1 looks", "attempt 2 looks"}
        ids = {name: looks["attempt 2 looks"][name] for name in ("type", "queue", "attempt", "trace_id")}
        assert ids == {"type": "traced_jobs.outer", "queue": "celery", "attempt": 2, "trace_id": found[0]["trace"]}
        assert any("succeeded" in line["message"] and line["job_id"] for line in lines)
        assert secret not in worker.log.read_text() + controller.log.read_text() + spans.read_text()
        assert json.loads(controller.log.read_text().splitlines()[-1])["level"]
