"""Retries that learn, and breakers, with real workers and a server that really fails."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flaky_jobs
import pytest
from flaky_server import FlakyServer, flaky_server
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack
from jobplatform.transport import keys

TYPE = "flaky_jobs.fetch"
PATIENT = "flaky_jobs.fetch_patiently"
#: Jobs of a wave, half of them shaky and half broken.
WAVE = 60
_UNAVAILABLE = "HTTP Error 503: Service Unavailable"
REASON = re.compile(r"HTTP 503 from localhost; \d+ % of these succeed within [\d.]+ (s|min); waiting [\d.]+ s")


@pytest.fixture
def server() -> Iterator[FlakyServer]:
    with flaky_server() as made:
        yield made


class Waves:
    """Jobs of one type, submitted in waves until something has come about."""

    def __init__(self, fleet: Fleet, server: FlakyServer) -> None:
        self.fleet = fleet
        self.server = server
        self.numbers = itertools.count(1)
        self.jobs = 0

    def send(self) -> None:
        """Submit a wave, and wait for its end."""
        wave = next(self.numbers)
        kinds = ("shaky", "broken")
        urls = [(f"{self.server.url}/{kinds[number % 2]}/{wave}-{number}",) for number in range(WAVE)]
        self.fleet.client.tasks[TYPE].submit_many(urls)
        self.jobs += WAVE
        self.fleet.wait_final(self.jobs, 120)

    def until(self, state: str, most: int) -> dict[str, Any]:
        """Submit waves until the trial of the job type is in a state."""
        for _ in range(most):
            self.send()
            found = self.trial()
            if found.get("state") == state:
                return found
        raise AssertionError(f"after {self.jobs} jobs it is {self.trial()}")

    def trial(self) -> dict[str, Any]:
        found = self.fleet.rows("select state, reason, score from @model_trials where job_type = %(type)s", type=TYPE)
        return found[0] if found else {}

    def failed(self, kind: str, since: int) -> int:
        """Count the jobs of a kind that failed, of those submitted after so many."""
        sql = """
            select count(*) as jobs
            from (select status, payload from @jobs order by created_at, job_id offset %(since)s) as later
            where status = 'FAILED' and payload->'args'->>0 like %(kind)s
        """
        return int(self.fleet.rows(sql, since=since, kind=f"%/{kind}/%")[0]["jobs"])


@pytest.mark.long
def test_a_model_lets_itself_in_gives_its_reasons_and_goes_when_what_it_learnt_is_wrong(
    stack: DevStack, tmp_path: Path, server: FlakyServer
) -> None:
    settings = {"TRAIN_EVERY": "50", "TRAIN_SECONDS": "1", "BREAKERS": "off", "RETRY_EXPLORE": "0.02"}
    environment = {f"JOBPLATFORM_{name}": value for name, value in settings.items()}
    with Fleet(stack, tmp_path, [flaky_jobs.__name__], **environment) as fleet:
        fleet.start_controller()
        fleet.start_worker("-c", "4")
        waves = Waves(fleet, server)
        won = waves.until("active", 30)
        assert "Brier skill" in won["reason"], won
        before = waves.jobs
        waves.send()
        waves.send()
        assert waves.failed("shaky", before) == 0
        found = fleet.rows(
            "select reason, features, candidates, propensity, chance from @retry_decisions "
            "where decided_by like 'model:%%' and action = 'retry'"
        )
        assert any(REASON.match(row["reason"]) for row in found), [row["reason"] for row in found[-5:]]
        assert all(row["features"] and row["candidates"] and row["propensity"] for row in found)
        shown = fleet.rows("select count(*) as jobs from @retry_decisions where reason like '%%less than 50 %%%%'")
        assert shown[0]["jobs"] > 0
        server.flipped = True
        lost = waves.until("shadow", 30)
        assert lost["reason"] != won["reason"]


def test_an_outage_burns_no_attempts_fails_no_job_and_harms_no_other(
    stack: DevStack, tmp_path: Path, server: FlakyServer
) -> None:
    with Fleet(stack, tmp_path, [flaky_jobs.__name__], JOBPLATFORM_RETRY_MODEL="off") as fleet:
        fleet.start_controller()
        worker = fleet.start_worker("-c", "4")
        server.is_down = True
        task, other = fleet.client.tasks[PATIENT], fleet.client.tasks["flaky_jobs.stroll"]
        task.submit_many([(f"{server.url}/steady/a{number}",) for number in range(20)])
        sql = "select state from @breakers where cause = 'host:localhost' and state = 'open'"
        eventually(lambda: bool(fleet.rows(sql)), 60, fleet.describe)
        eventually(lambda: bool(fleet.redis.hexists(keys.PAUSED, f"type:{PATIENT}")), 30, fleet.describe)
        calls = server.calls.total()
        task.submit_many([(f"{server.url}/steady/b{number}",) for number in range(200)])
        other.submit_many([()] * 50)
        eventually(lambda: fleet.states()["COMPLETED"] == 50, 60, fleet.describe)
        probes = "select probes from @breakers where probes >= 3"
        eventually(lambda: bool(fleet.rows(probes)), 90, fleet.describe)
        # The 200 jobs did not begin: what was called are canaries, and what ran when their type was held.
        assert server.calls.total() - calls < 20, server.calls.total() - calls
        assert fleet.states()["FAILED"] == 0
        server.is_down = False
        assert fleet.wait_final(270, 240) == {"COMPLETED": 270}
        assert fleet.rows("select count(*) as jobs from @dead_letter_jobs")[0]["jobs"] == 0
        eventually(lambda: not fleet.rows("select cause from @breakers where state <> 'closed'"), 90)
        errors = fleet.rows("select distinct error_type, error_message from @job_executions where status = 'FAILED'")
        assert errors == [{"error_type": "urllib.error.HTTPError", "error_message": _UNAVAILABLE}]
        reasons = fleet.rows("select reason from @retry_decisions where decided_by = 'breaker' limit 1")
        assert "held, as others fail of host:localhost as well" in reasons[0]["reason"]
        assert worker.stop(signal.SIGTERM) == 0
