"""One verb for all jobs of a filter, whose worker is killed halfway."""

from __future__ import annotations

from pathlib import Path

import suite_jobs
from fleet import Fleet
from processes import eventually

from jobplatform.actions import bulk
from jobplatform.actions.actor import Actor, Via
from jobplatform.actions.bulk import Wish
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.actions.steering import PAGE
from jobplatform.devstack.stack import DevStack

#: Two pages and a half, of which the last job of the second is locked for a while.
JOBS = PAGE * 5 // 2
_MAKE = f"""
insert into @jobs (job_id, job_type, status, queue, created_at)
select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'shop.mail', 'PAUSED', 'celery',
    now() - interval '1 minute' - n * interval '1 millisecond'
from generate_series(1, {JOBS}) n returning 1
"""
_LAST = f"('00000000-0000-7000-8000-' || lpad('{PAGE * 2}', 12, '0'))::uuid"


def test_a_bulk_action_goes_on_where_its_killed_worker_was(stack: DevStack, tmp_path: Path) -> None:
    heart = {"JOBPLATFORM_HEARTBEAT_SECONDS": "0.5", "JOBPLATFORM_LEASE_SECONDS": "60"}
    with Fleet(stack, tmp_path, [suite_jobs.__name__], **heart) as fleet:
        desk = Desk(fleet.settings, fleet.database, lambda: fleet.redis, lambda: fleet.client)
        assert len(fleet.rows(_MAKE)) == JOBS
        who = Actor("ann", Via.PAGE, ROLES["operator"])
        wish = Wish("jobs.cancel", "type:shop.mail", "no longer wanted")
        assert bulk.plan(desk, who, wish)[1:3] == (JOBS, True)

        def shown() -> dict[str, object]:
            return dict(bulk.show_bulk(desk, who, bulk_id))

        fleet.start_controller()
        with fleet.database.engine.begin() as other:
            other.exec_driver_sql(f"select 1 from {fleet.settings.schema}.jobs where job_id = {_LAST} for update")
            bulk_id = bulk.start(desk, who, wish)
            worker = fleet.start_worker("-c", "1", name="first")
            eventually(lambda: shown()["jobs"] == PAGE, 60, fleet.describe)
            worker.kill_tree()
        fleet.start_worker("-c", "1", name="second")
        eventually(lambda: shown()["job_status"] == "COMPLETED", 60, fleet.describe)
        done = shown()
        assert (done["status"], done["jobs"], done["counts"]) == ("done", JOBS, {"cancelled": JOBS})
        assert fleet.states() == {"CANCELLED": JOBS, "COMPLETED": 1}
        (found,) = fleet.rows("select attempt, progress, result from @jobs where status = 'COMPLETED'")
        assert found["attempt"] > 1 and found["result"] == {"cancelled": JOBS}
        assert found["progress"]["done"] == JOBS
        deeds = fleet.rows("select actor, action, outcome from @audit_log order by audit_id")
        assert [(row["actor"], row["action"]) for row in deeds] == [("ann", "bulk.start"), ("ann", "jobs.cancel")]
        assert deeds[1]["outcome"] == {"cancelled": JOBS}
