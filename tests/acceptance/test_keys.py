"""Idempotency keys on real workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import idempotency_jobs
import pytest
import rescue_jobs
from fleet import Fleet

from jobplatform.devstack.stack import DevStack


@pytest.fixture
def fleet(stack: DevStack, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(stack, tmp_path, [rescue_jobs.__name__, idempotency_jobs.__name__]) as made:
        yield made


def test_a_job_that_begins_again_submits_its_child_once_and_knows_its_id(fleet: Fleet, tmp_path: Path) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "2")
    once = fleet.client.tasks["idempotency_jobs.parent"].using(idempotency_key="parent")
    result = once.submit(str(tmp_path), "parent")
    assert fleet.wait_final(2, 60) == {"COMPLETED": 2}
    assert once.submit(str(tmp_path), "parent").id == result.id
    child = fleet.rows("select job_id::text as id, parent_id::text from @jobs where job_type = 'rescue_jobs.brief'")
    assert child == [{"id": result.get(timeout=10), "parent_id": result.id}]
    assert (tmp_path / "child").read_text() == "1\n"
    keys = fleet.rows("select key, job_id::text as id from @idempotency_keys order by key")
    assert keys == [{"key": "child of parent", "id": child[0]["id"]}, {"key": "parent", "id": result.id}]
