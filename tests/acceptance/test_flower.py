"""Flower as it is, under its least role, beside a worker and a controller: what it shows and what it revokes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2 as httpx
import outcome_jobs
from fleet import Fleet
from least_roles import allow, grant, urls
from processes import eventually

from jobplatform.devstack.stack import DevStack

LATER = "later"


def test_flower_shows_the_platform_and_revokes_its_jobs(stack: DevStack, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    environment = {
        outcome_jobs.LEDGER: str(ledger),
        "JOBPLATFORM_QUEUES": f"celery,{LATER}",
        "FLOWER_UNAUTHENTICATED_API": "true",
    }
    allow(stack, f"~{LATER}*")
    with Fleet(stack, tmp_path, ["outcome_jobs"], **environment) as fleet:
        grant(stack, fleet.settings.schema)
        fleet.start_controller()
        fleet.start_worker("-c", "2", "-E")
        socket = tmp_path / "flower.sock"
        argv = ("-m", "celery", "-A", "jobplatform", "flower", f"--unix_socket={socket}")
        process = fleet.python(*argv, name="flower", **urls(stack, "jp_flower"))
        eventually(socket.exists, 30, process.tail)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://flower") as flower:
            check(fleet, flower)
        assert not re.search("permission denied|NOPERM|NoPermission", process.log.read_text()), process.tail()


def check(fleet: Fleet, flower: httpx.Client) -> None:
    worker = eventually(lambda: next(iter(flower.get("/api/workers").json()), None), 20)
    assert flower.get(f"/worker/{worker}").status_code == 200
    let_wait(fleet, flower, LATER)
    done, running = submit(fleet, "succeed", 1), submit(fleet, "wait_for_ever", 2)
    waiting, scheduled = submit(fleet, "succeed", 3, queue=LATER), submit(fleet, "succeed", 4, countdown=600)

    def shown() -> dict[str, str]:
        return {task_id: task["state"] for task_id, task in flower.get("/api/tasks").json().items()}

    eventually(lambda: shown().get(done) == "SUCCESS" and shown().get(running) == "STARTED", 20, lambda: str(shown()))
    lengths = {each["name"]: each["messages"] for each in flower.get("/api/queues/length").json()["active_queues"]}
    assert lengths == {"celery": 0, LATER: 1}
    assert f">{LATER}<" in "".join(flower.get("/broker").text.split())

    for job_id, options in ((waiting, ""), (scheduled, ""), (running, "?terminate=true&signal=SIGKILL")):
        assert flower.post(f"/api/task/revoke/{job_id}{options}").status_code == 200
    # Rows say so at once: no worker takes the queue of one of them, and another waits for minutes yet.
    rows = {row["job_id"]: row for row in fleet.rows("select job_id::text, status, error_type from @jobs")}
    ends = {(rows[each]["status"], rows[each]["error_type"]) for each in (waiting, scheduled, running)}
    assert ends == {("CANCELLED", "Revoked")}
    fleet.client.control.add_consumer(LATER)
    assert fleet.wait_final(4, 20) == {"COMPLETED": 1, "CANCELLED": 3}
    runs = fleet.rows("select job_id::text, status from @job_executions")
    assert {row["job_id"]: row["status"] for row in runs} == {done: "COMPLETED", running: "CANCELLED"}


def submit(fleet: Fleet, name: str, number: int, **options: Any) -> str:
    return str(fleet.client.send_task(f"outcome_jobs.{name}", (number,), **options).id)


def let_wait(fleet: Fleet, flower: httpx.Client, queue: str) -> None:
    """Let Flower know of a queue that the worker takes no more."""
    fleet.client.control.add_consumer(queue, reply=True)

    def known() -> bool:
        taken = flower.get("/api/workers?refresh=true").json().values()
        return queue in {each["name"] for row in taken for each in row.get("active_queues") or ()}

    eventually(known, 20)
    fleet.client.control.cancel_consumer(queue, reply=True)
