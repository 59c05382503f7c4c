"""The pictures of the documentation: the dashboard of a shop on a calm day, taken when they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import browser_place as place
import pytest
import shop_jobs
from fleet import ROOT, Fleet
from processes import eventually

from jobplatform import Workflow
from jobplatform.actions import queues, schedule_edits
from jobplatform.devstack.stack import DevStack
from jobplatform.store.pauses import Hold

_ORDERS = 26
_WINDOW = {"width": 1180, "height": 760}


@pytest.mark.skipif(
    "JOBPLATFORM_TEST_SCREENSHOTS" not in os.environ, reason="JOBPLATFORM_TEST_SCREENSHOTS names no place"
)
def test_the_dashboard_of_a_shop_is_pictured(stack: DevStack, tmp_path: Path) -> None:
    asked = os.environ["JOBPLATFORM_TEST_SCREENSHOTS"]
    directory = ROOT / "docs" / "dashboard" if asked == "docs" else Path(asked)
    directory.mkdir(parents=True, exist_ok=True)
    often = {"JOBPLATFORM_HEARTBEAT_SECONDS": "1", "JOBPLATFORM_SAMPLE_SECONDS": "1"}
    with place.browser() as browser, Fleet(stack, tmp_path, [shop_jobs.__name__], **often) as fleet:
        fleet.start_controller()
        fleet.start_worker("-c", "4", "-Q", "payments,warehouse,mail", name="shop1")
        here = place.serve(fleet)
        paths = _seed(fleet)
        page = browser.new_page(viewport=_WINDOW, reduced_motion="reduce")
        place.sign_in(page, here, "admin")
        for name, path in paths.items():
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.goto(here + path)
                page.locator("#live[data-state=live]").wait_for()
                page.screenshot(path=str(directory / f"{name}-{scheme}.png"))


def _seed(fleet: Fleet) -> dict[str, str]:
    """Let a shop have some orders; gives what is to be pictured."""
    tasks: Any = fleet.client.tasks
    for order in range(1, _ORDERS):
        items = ["lamp", "rug", "chair"][: 1 + order % 3]
        flow = Workflow(fleet.client)
        paid = flow.add(tasks["shop.charge"].s(order, 1_900 + 40 * order), name="charge")
        packed = flow.add(tasks["shop.pack"].s(order, items), after=[paid], name="pack")
        flow.add(tasks["shop.send_receipt"].s(order, f"customer{order}@shop.example"), after=[paid], name="receipt")
        flow.add(tasks["shop.send_receipt"].s(order, f"warehouse{order}@shop.example"), after=[packed], name="notice")
        flow.submit()
    for month in ("2026-08", "2026-09", "2026-10"):
        tasks["shop.report"].submit(month)
    eventually(lambda: fleet.rows("select 1 from @dead_letter_jobs having count(*) >= 3"), 60, fleet.describe)
    eventually(lambda: not {"PENDING", "PROCESSING", "RETRYING"} & set(_busy(fleet)), 60, fleet.describe)
    desk, actor = place.desk_of(fleet)
    schedule_edits.add(desk, actor, "monthly-report", "shop.report", "0 6 1 * *", {"timezone": "Europe/Berlin"})
    queues.pause_queues(desk, actor, ["reports"], Hold("the printer is away until Monday", "ann"))
    (failed,) = fleet.rows(
        "select job_id::text, fingerprint from @jobs where status = 'FAILED' and fingerprint is not null limit 1"
    )
    (done,) = fleet.rows(
        "select job_id::text from @jobs where status = 'COMPLETED' and job_type = 'shop.charge' limit 1"
    )
    eventually(lambda: bool(fleet.rows("select 1 as one from @queue_samples limit 1")), 30)
    return {
        "overview": "/",
        "jobs": "/jobs?q=type%3Ashop.charge",
        "job": f"/jobs/{failed['job_id']}",
        "workflow": f"/jobs/{done['job_id']}/workflow",
        "dead-letter": f"/dead-letters/{failed['fingerprint']}",
        "queues": "/queues",
    }


def _busy(fleet: Fleet) -> list[str]:
    found = fleet.rows("select distinct status from @jobs where queue <> 'reports'")
    return [row["status"] for row in found]
