"""Workers stay small: whatever they run, what models need is loaded by none of their processes."""

from __future__ import annotations

from pathlib import Path

import module_jobs
import pytest
from fleet import Fleet

from jobplatform.devstack.stack import DevStack

HEAVY = {"xgboost", "pandas", "numpy", "scipy", "jobplatform.learning"}


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_no_process_of_a_worker_loads_what_models_need(stack: DevStack, tmp_path: Path, pool: str) -> None:
    main = tmp_path / "modules"
    with Fleet(stack, tmp_path, [module_jobs.__name__], grown=False) as fleet:
        fleet.start_controller()
        worker = fleet.start_worker("-c", "1", "-P", pool, **{module_jobs.FILE: str(main)})
        for name in ("modules", "fails_once"):
            fleet.client.tasks[f"module_jobs.{name}"].submit(1)
        assert fleet.wait_final(2, 60) == {"COMPLETED": 2}
        results = [set(row["result"]) for row in fleet.rows("select result from @jobs")]
        worker.stop()
    for loaded in (*results, set(main.read_text().splitlines())):
        assert "jobplatform.jobs.task" in loaded
        assert not loaded & HEAVY
