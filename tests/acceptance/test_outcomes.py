"""A thousand jobs that end in every way there is: each in the one right state, after the right executions."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import outcome_jobs
import pytest
from fleet import Fleet
from processes import eventually

from jobplatform.devstack.stack import DevStack

#: Jobs of this queue wait until all of them are submitted; then a worker is told to take them.
LATER = "later"
#: Seconds after which those that are to expire have.
EXPIRES = 0.05
#: Repeats a run: the seed that it printed.
SEED = "OUTCOME_SEED"

Submit = Callable[[Any, str, int], str]


def by_name(app: Any, name: str, number: int, **options: Any) -> str:
    """Submit a job as its caller would."""
    return str(app.tasks[f"outcome_jobs.{name}"].apply_async((number,), **options).id)


def unchecked(app: Any, name: str, number: int, args: Sequence[Any] = ()) -> str:
    """Send a message as a client does that has no code and checks nothing."""
    return str(app.send_task(f"outcome_jobs.{name}", args).id)


@dataclass(frozen=True)
class Outcome:
    """One way to end, and what must be found afterwards.

    ``runs`` are the states of the executions, first to last; ``slow`` ones cost a second or a process each, so that
    there are exactly that many; ``everywhere`` ones also work in pools of one process.
    """

    name: str
    state: str
    runs: tuple[str, ...] = ()
    error: str | None = None
    slow: int = 0
    everywhere: bool = True
    revoked: bool = False
    refused: bool = False
    submit: Submit = by_name

    @property
    def starts(self) -> int:
        """How often the job's own code begins; not where its arguments are refused before."""
        return 0 if self.refused else len(self.runs)


F, C = "FAILED", "COMPLETED"
SOFT = "billiard.exceptions.SoftTimeLimitExceeded"
HARD = "billiard.exceptions.TimeLimitExceeded"
LOST = "billiard.exceptions.WorkerLostError"
REFUSED = "jobplatform.errors.InvalidPayload"

OUTCOMES = (
    Outcome("succeed", C, (C,)),
    Outcome("succeed_strangely", C, (C,)),
    Outcome("ignore", C, (C,)),
    Outcome("fail_once", C, (F, C)),
    Outcome("retry_itself", C, (F, C)),
    Outcome("autoretry_once", C, (F, C)),
    Outcome("obey_soft_limit", C, (C,), slow=4, everywhere=False),
    Outcome("kill_child", C, (C,)),
    Outcome("kill_itself_once", C, (F, C), slow=4, everywhere=False),
    Outcome("fail_hopelessly", F, (F,), "outcome_jobs.Special"),
    Outcome("fail_always", F, (F, F, F), "ConnectionError"),
    Outcome("fail_plainly", F, (F,), "KeyError"),
    Outcome("fail_stubbornly", F, (F,), "outcome_jobs.Stubborn"),
    Outcome("fail_mutely", F, (F,), "outcome_jobs.Mute"),
    Outcome("retry_too_often", F, (F, F), "ConnectionError"),
    Outcome("reject", F, (F,), "Reject"),
    Outcome("return_too_much", F, (F,), "jobplatform.errors.ResultTooLarge"),
    Outcome("outstay_soft_limit", F, (F,), SOFT, slow=8, everywhere=False),
    Outcome("outstay_hard_limit", F, (F,), HARD, slow=8, everywhere=False),
    Outcome("exit_politely", F, (F,), LOST, slow=8, everywhere=False),
    Outcome("exit_at_once", F, (F,), LOST, slow=8, everywhere=False),
    Outcome("kill_itself", F, (F,), LOST, slow=8, everywhere=False),
    Outcome("succeed, of a wrong type", F, (F,), REFUSED, refused=True, submit=partial(unchecked, args=["seven"])),
    Outcome("succeed, with too few arguments", F, (F,), REFUSED, refused=True, submit=unchecked),
    Outcome("succeed, revoked before its start", "CANCELLED", (), "Revoked", revoked=True,
            submit=partial(by_name, queue=LATER)),
    Outcome("succeed, expired before its start", "CANCELLED", (), "Expired",
            submit=partial(by_name, queue=LATER, expires=EXPIRES)),
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The file to which each start of a job appends a line."""
    made = tmp_path / "ledger"
    made.touch()
    return made


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path, ledger: Path) -> Iterator[Fleet]:
    """A controller without workers."""
    variables = {outcome_jobs.LEDGER: str(ledger), "JOBPLATFORM_RESULT_LIMIT": "10000", "JOBPLATFORM_BREAKERS": "off"}
    with Fleet(stack, tmp_path, ["outcome_jobs"], JOBPLATFORM_QUEUES=f"celery,{LATER}", **variables) as made:
        made.start_controller()
        yield made


def draw(outcomes: Sequence[Outcome], jobs: int) -> list[Outcome]:
    """Draw outcomes at random: the slow ones as often as they say, the others to fill up, each at least twice."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"to repeat this run: {SEED}={seed}")
    luck = random.Random(seed)
    quick = [outcome for outcome in outcomes if not outcome.slow]
    drawn = [outcome for outcome in outcomes for _ in range(outcome.slow or 2)]
    drawn += luck.choices(quick, k=jobs - len(drawn))
    luck.shuffle(drawn)
    return drawn


def submit_all(fleet: Fleet, drawn: Sequence[Outcome]) -> dict[str, Outcome]:
    """Submit a job for each outcome; let the worker have those that waited once their fate is sealed."""
    submitted = {
        outcome.submit(fleet.client, outcome.name.split(",")[0], number): outcome
        for number, outcome in enumerate(drawn)
    }
    expired = time.time() + EXPIRES
    fleet.client.control.revoke([job_id for job_id, outcome in submitted.items() if outcome.revoked])
    eventually(lambda: time.time() > expired, 10, lambda: "the clock stands still")
    fleet.client.control.add_consumer(LATER)
    return submitted


def found(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """Read what the tables say of each job, with its executions, decisions and dead letters."""
    rows = fleet.rows(
        """
        select j.*,
            array(select status::text from @job_executions e where e.job_id = j.job_id and worker_id <> ''
                and completed_at >= started_at order by attempt_number) as runs,
            (select count(*) from @job_executions e where e.job_id = j.job_id and started_at is null) as unstarted,
            array(select action from @retry_decisions d where d.job_id = j.job_id and reason <> '' order by attempt)
                as decisions,
            array(select error_type from @dead_letter_jobs d where d.job_id = j.job_id and reason <> '') as buried
        from @jobs j
        """
    )
    return {str(row["job_id"]): row for row in rows}


def expected(outcome: Outcome) -> dict[str, Any]:
    """Give what the tables must say of a job with this outcome."""
    retries = max(0, len(outcome.runs) - 1)
    ends_badly = outcome.state == F
    return {
        "status": outcome.state,
        "runs": list(outcome.runs),
        "unstarted": 0,
        "retry_count": retries,
        "error_type": outcome.error,
        "decisions": ["retry"] * retries + ["dead_letter"] * ends_badly,
        "buried": [outcome.error] * ends_badly,
    }


def check(fleet: Fleet, submitted: dict[str, Outcome], ledger: Path) -> None:
    """Compare every job with its outcome, in the tables and in what its code has noted itself."""
    rows, starts = found(fleet), Counter(line.split(":")[0] for line in ledger.read_text().split())
    assert rows.keys() == submitted.keys()
    wrong = [
        f"{outcome.name} ({job_id}): {name} is {rows[job_id][name]!r}, not {value!r}"
        for job_id, outcome in submitted.items()
        for name, value in expected(outcome).items()
        if rows[job_id][name] != value
    ]
    wrong += [
        f"{outcome.name} ({job_id}): its code started {starts[job_id]} times"
        for job_id, outcome in submitted.items()
        if starts[job_id] != outcome.starts
    ]
    assert not wrong, "\n".join(wrong)
    assert fleet.rows("select * from @journal_quarantine") == []


@pytest.mark.long
def test_thousand_outcomes(fleet: Fleet, ledger: Path) -> None:
    """Every way to end, in a prefork pool."""
    worker = fleet.start_worker("-c", "4", "-Q", "celery")
    submitted = submit_all(fleet, draw(OUTCOMES, 1_000))
    fleet.wait_final(1_000, 90)
    check(fleet, submitted, ledger)
    assert worker.running


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_outcomes_in_one_process(fleet: Fleet, ledger: Path, pool: str) -> None:
    """Every way to end that leaves the process alive, in the pools that have only one."""
    worker = fleet.start_worker("-P", pool, "-c", "4", "-Q", "celery")
    submitted = submit_all(fleet, draw([outcome for outcome in OUTCOMES if outcome.everywhere], 100))
    fleet.wait_final(100, 60)
    check(fleet, submitted, ledger)
    assert worker.running


def test_terminated(fleet: Fleet, ledger: Path) -> None:
    """A running job that is revoked with ``terminate`` is cancelled after its one execution."""
    fleet.start_worker("-c", "1")
    job_id = by_name(fleet.client, "wait_for_ever", 1)
    eventually(lambda: fleet.states()["PROCESSING"], 15, fleet.describe)
    fleet.client.control.revoke(job_id, terminate=True, signal="SIGKILL")
    fleet.wait_final(1, 15)
    check(fleet, {job_id: Outcome("wait_for_ever", "CANCELLED", ("CANCELLED",), "Revoked")}, ledger)
