"""``jobplatform submit``: one job from the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import click

from jobplatform.actions import jobs
from jobplatform.actions import submission as actions
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.submission import Submission
from jobplatform.cli.connect import require_settings
from jobplatform.cli.desk import open_desk
from jobplatform.cli.exits import CommandError, Exit, mapped
from jobplatform.cli.output import Output, json_option
from jobplatform.cli.parameters import DURATION, MOMENT
from jobplatform.errors import InvalidPayload, JobNotFound
from jobplatform.settings import Settings
from jobplatform.states import FINAL, State

Row = Mapping[str, Any]

_LONGEST_PAUSE = 0.5
_SHOWN = ("job_id", "job_type", "status", "result", "error_type", "error_message")


@click.command(short_help="Submit a job.")
@click.argument("name")
@click.argument("payload", default="{}")
@click.option("--queue", help="The queue; that of the job type if left out.")
@click.option("--priority", type=click.IntRange(1, 5), help="1 to 5; 5 is the most urgent.")
@click.option("--in", "delay", type=DURATION, help="Not before this long from now, such as 10s.")
@click.option("--at", "eta", type=MOMENT, help="Not before this time, in ISO 8601.")
@click.option("--expires", type=DURATION, help="It does not begin later than this long from now.")
@click.option("--deadline", type=DURATION, help="It is done within this long from now, or not at all.")
@click.option("--tenant", help="Whose job it is.")
@click.option("--tag", "tags", multiple=True, help="May be given several times.")
@click.option("--idempotency-key", help="Submit once: later submissions with the same key get the same job.")
@click.option("--idempotency-retention", type=DURATION, help="For how long the key counts, such as 24h.")
@click.option("--wait", is_flag=True, help="Wait until the job is finished; exit with 1 if it failed.")
@click.option("--timeout", type=DURATION, help="Wait no longer than this.")
@json_option
@mapped()
def submit(
    name: str,
    payload: str,
    queue: str | None,
    priority: int | None,
    delay: timedelta | None,
    eta: datetime | None,
    expires: timedelta | None,
    deadline: timedelta | None,
    tenant: str | None,
    tags: tuple[str, ...],
    idempotency_key: str | None,
    idempotency_retention: timedelta | None,
    wait: bool,
    timeout: timedelta | None,
    output: Output,
) -> None:
    """Submit a job of the type NAME and print its id.

    PAYLOAD is JSON: an object gives the arguments by name, a list by position.
    """
    if delay is not None and eta is not None:
        raise click.UsageError("--in and --at say both when; give one of them")
    if timeout is not None and not wait:
        raise click.UsageError("--timeout limits --wait; give --wait too")
    args, kwargs = read_payload(payload)
    asked = Submission(
        name, args or kwargs, queue, priority, _seconds(delay), eta, _seconds(expires), _seconds(deadline),
        tenant, tags, idempotency_key=idempotency_key, idempotency_retention=_seconds(idempotency_retention),
    )  # fmt: skip
    settings = require_settings()
    job_id = _submit(settings, asked)
    if wait:
        output.note(f"submitted {job_id}")
        _wait(settings, job_id, timeout, output)
    elif output.as_json:
        output.json({"job_id": job_id})
    else:
        output.line(job_id)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def read_payload(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Read the arguments of a job.

    :param text: a JSON object for arguments by name, a JSON list for arguments by position.
    :raises InvalidPayload: when it is neither.
    """
    fix = """give an object or a list, such as '{"x": 1}' or '[1, 2]'"""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("PAYLOAD", f"it is no JSON ({error})", fix) from error
    if isinstance(value, dict):
        return [], value
    if isinstance(value, list):
        return value, {}
    raise InvalidPayload("PAYLOAD", f"it is a {type(value).__name__}", fix)


def _submit(settings: Settings, asked: Submission) -> str:
    with open_desk(settings) as (desk, actor):
        return actions.submit(desk, actor, asked, check_known=False)


def _wait(settings: Settings, job_id: str, timeout: timedelta | None, output: Output) -> None:
    """Wait for the final state of a job, print it, and fail unless it is COMPLETED."""
    limit = None if timeout is None else timeout.total_seconds()
    with open_desk(settings) as (desk, actor), output.progress() as tell:
        row: Row | None = None
        for _ in pauses(limit):
            row = _seen(desk, actor, job_id)
            tell(f"{job_id} {row['status'] if row else 'is on its way'}")
            if row is not None and row["status"] in FINAL:
                break
    _print(job_id, row, output)
    status = row["status"] if row else "not recorded yet"
    if status != State.COMPLETED:
        rest = "see" if status in FINAL else "it goes on, see"
        raise CommandError(f"job {job_id} is {status}; {rest}: jobplatform jobs show {job_id}", Exit.FAILED)


def _seen(desk: Desk, actor: Actor, job_id: str) -> Row | None:
    """Read a job; None while it is in the journal alone."""
    try:
        return jobs.show_job(desk, actor, job_id).job
    except JobNotFound:
        return None


def pauses(limit: float | None) -> Iterator[None]:
    """Yield at growing intervals until the time is over, at least twice.

    :param limit: seconds; None never ends.
    """
    end = None if limit is None else time.monotonic() + limit
    pause = 0.02
    yield
    while end is None or time.monotonic() < end:
        time.sleep(pause if end is None else max(0.0, min(pause, end - time.monotonic())))
        pause = min(_LONGEST_PAUSE, pause * 1.5)
        yield


def _print(job_id: str, row: Row | None, output: Output) -> None:
    shown = {name: row[name] for name in _SHOWN} if row else {"job_id": job_id, "status": None}
    if output.as_json:
        output.json(shown)
    else:
        output.record(shown)
