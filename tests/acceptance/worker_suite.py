"""What every worker must do, however it is started; the test classes that inherit the suite say how."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.result import AsyncResult
from fleet import Fleet

from jobplatform import attach, submit

#: Seconds that a result may take.
PATIENCE = 20


def signature(fleet: Fleet, name: str, *args: Any, **options: Any) -> Any:
    """Give the signature of a job of the suite, bound to the client's application."""
    return fleet.client.tasks[f"suite_jobs.{name}"].s(*args).set(**options)


def tree(fleet: Fleet, result: Any) -> list[dict[str, Any]]:
    """List the rows of everything that one result came from, once all of it has ended, oldest first."""
    fleet.wait_final(1, PATIENCE)
    ids = [node.id for node in nodes(result)]
    return fleet.rows(
        """
        select job_id::text as id, replace(job_type, 'suite_jobs.', '') as name, status, result, retry_count,
            root_id::text as root, parent_id::text as parent
        from @jobs where job_id::text = any(%(ids)s) or root_id::text = any(%(ids)s) order by created_at, job_id
        """,
        ids=ids,
    )


def nodes(result: Any) -> list[Any]:
    """List a result and all that it waits for."""
    found, open_ends = [], [result]
    while open_ends:
        node = open_ends.pop()
        found.append(node)
        open_ends += [*([node.parent] if node.parent else []), *(getattr(node, "results", None) or [])]
    return found


def summary(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Count the rows by job type and state."""
    return Counter((row["name"], row["status"]) for row in rows)


def links(rows: list[dict[str, Any]]) -> set[tuple[str | None, str]]:
    """Give the pairs of parent and child, by the results that tell the jobs apart."""
    by_id = {row["id"]: row["result"] for row in rows}
    return {(by_id.get(row["parent"]), row["result"]) for row in rows}


class WorkerSuite:
    """Submit, complete, fail, retry, and all of canvas; each class that inherits it has a ``fleet`` fixture."""

    def test_job_completes(self, fleet: Fleet) -> None:
        """A job's result is there at once, and from its row when Redis has forgotten it."""
        result = fleet.client.tasks["suite_jobs.double"].submit(21)
        assert result.get(timeout=PATIENCE) == 42
        (row,) = tree(fleet, result)
        assert (row["status"], row["result"], row["root"], row["parent"]) == ("COMPLETED", 42, None, None)
        fleet.redis.delete(f"celery-task-meta-{result.id}")
        again = AsyncResult(result.id, app=fleet.client)
        assert (again.status, again.get(timeout=PATIENCE), again.name) == ("SUCCESS", 42, "suite_jobs.double")

    def test_task_completes(self, fleet: Fleet) -> None:
        """A plain Celery task is recorded like any job."""
        result = fleet.client.tasks["suite_jobs.add"].delay(1, 2)
        assert result.get(timeout=PATIENCE) == 3
        assert summary(tree(fleet, result)) == {("add", "COMPLETED"): 1}

    def test_task_fails(self, fleet: Fleet) -> None:
        """A plain Celery task that fails ends as a dead letter, and its caller gets the error."""
        result = fleet.client.tasks["suite_jobs.fail"].delay()
        with pytest.raises(ValueError, match="on purpose"):
            result.get(timeout=PATIENCE)
        assert result.status == "FAILURE"
        assert summary(tree(fleet, result)) == {("fail", "FAILED"): 1}

    @pytest.mark.parametrize("name", ["flaky_job", "flaky_task"])
    def test_retry(self, fleet: Fleet, name: str) -> None:
        """A job that fails once is run again, and its caller sees only the success."""
        result = signature(fleet, name, 7).apply_async()
        assert result.get(timeout=PATIENCE) == 7
        (row,) = tree(fleet, result)
        assert (row["status"], row["retry_count"]) == ("COMPLETED", 1)

    def test_retry_keeps_headers(self, fleet: Fleet) -> None:
        """The caller's own headers reach every attempt."""
        result = signature(fleet, "tell_header", headers={"color": "green"}).apply_async()
        assert result.get(timeout=PATIENCE) == "green"

    def test_retry_of_a_stranger_s_job(self, fleet: Fleet) -> None:
        """A job that a client without its code has submitted by name is retried as its type says."""
        stranger = Celery("stranger", set_as_current=False)
        attach(stranger, fleet.settings)
        stranger.tasks.unregister("suite_jobs.flaky_job")
        job_id = submit("suite_jobs.flaky_job", [7], app=stranger).id
        stranger.jobplatform.close()
        (row,) = tree(fleet, AsyncResult(job_id, app=fleet.client))
        assert (row["status"], row["result"], row["retry_count"]) == ("COMPLETED", 7, 1)

    def test_chain(self, fleet: Fleet) -> None:
        """Each part of a chain has the first as its root and the one before as its parent."""
        result = chain(signature(fleet, "add", 1, 1), signature(fleet, "add", 2), signature(fleet, "add", 4))()
        assert result.get(timeout=PATIENCE) == 8
        rows = tree(fleet, result)
        assert links(rows) == {(None, 2), (2, 4), (4, 8)}
        first = next(row["id"] for row in rows if row["result"] == 2)
        assert {row["root"] or row["id"] for row in rows} == {first}

    def test_chain_breaks(self, fleet: Fleet) -> None:
        """What follows a failed part of a chain never runs."""
        result = chain(signature(fleet, "add", 1, 1), signature(fleet, "fail"), signature(fleet, "add", 4))()
        assert summary(tree(fleet, result)) == {("add", "COMPLETED"): 1, ("fail", "FAILED"): 1}

    def test_chain_with_retry(self, fleet: Fleet) -> None:
        """What follows a job that failed once runs once."""
        result = chain(signature(fleet, "add", 1), signature(fleet, "flaky_job"), signature(fleet, "add", 2))()
        assert result.get(timeout=PATIENCE) == 3
        assert summary(tree(fleet, result)) == {("add", "COMPLETED"): 2, ("flaky_job", "COMPLETED"): 1}

    def test_group(self, fleet: Fleet) -> None:
        """All members of a group are recorded."""
        result = group([signature(fleet, "add", item, 1) for item in range(5)]).apply_async()
        assert result.get(timeout=PATIENCE) == [1, 2, 3, 4, 5]
        assert summary(tree(fleet, result)) == {("add", "COMPLETED"): 5}

    def test_chord(self, fleet: Fleet) -> None:
        """A chord's callback gets all results, once, and has a member of the header as its parent."""
        result = chord([signature(fleet, "add", item, 1) for item in range(5)])(signature(fleet, "total"))
        assert result.get(timeout=PATIENCE) == 15
        rows = tree(fleet, result)
        assert summary(rows) == {("add", "COMPLETED"): 5, ("total", "COMPLETED"): 1}
        (callback,) = (row for row in rows if row["name"] == "total")
        assert callback["parent"] in {row["id"] for row in rows if row["name"] == "add"}

    @pytest.mark.parametrize("name", ["flaky_job", "flaky_task"])
    def test_chord_with_retry(self, fleet: Fleet, name: str) -> None:
        """A chord's callback runs once, also when members of its header failed once and were retried."""
        header = [signature(fleet, "add", 1, 1), signature(fleet, name, 10), signature(fleet, name, 20)]
        result = chord(header)(signature(fleet, "total"))
        assert result.get(timeout=PATIENCE) == 32
        expected = {("add", "COMPLETED"): 1, (name, "COMPLETED"): 2, ("total", "COMPLETED"): 1}
        assert summary(tree(fleet, result)) == expected

    def test_chord_breaks(self, fleet: Fleet) -> None:
        """A chord whose header fails for good never calls back."""
        header = [signature(fleet, "add", 1, 1), signature(fleet, "hopeless_job", 1)]
        result = chord(header)(signature(fleet, "total"))
        assert summary(tree(fleet, result)) == {("add", "COMPLETED"): 1, ("hopeless_job", "FAILED"): 1}

    def test_chain_of_group_and_sum(self, fleet: Fleet) -> None:
        """A chain through a group shares one root."""
        parts = group(signature(fleet, "add", 10), signature(fleet, "add", 20))
        result = chain(signature(fleet, "add", 1, 1), parts, signature(fleet, "total", 100))()
        assert result.get(timeout=PATIENCE) == 134
        rows = tree(fleet, result)
        assert links(rows) >= {(None, 2), (2, 12), (2, 22)}
        first = next(row["id"] for row in rows if row["result"] == 2)
        assert {row["root"] or row["id"] for row in rows} == {first}

    def test_link(self, fleet: Fleet) -> None:
        """A link is called with the result, as a child of the job; also when the job needed a retry."""
        result = signature(fleet, "flaky_job", 5).apply_async(link=signature(fleet, "remember"))
        assert result.get(timeout=PATIENCE) == 5
        rows = tree(fleet, result)
        assert summary(rows) == {("flaky_job", "COMPLETED"): 1, ("remember", "COMPLETED"): 1}
        (linked,) = (row for row in rows if row["name"] == "remember")
        assert (linked["parent"], linked["root"], linked["result"]) == (result.id, result.id, 5)

    @pytest.mark.parametrize("name", ["fail", "hopeless_job"])
    def test_link_error(self, fleet: Fleet, name: str) -> None:
        """An errback is called with the id of the job that failed, once: after its last attempt."""
        result = signature(fleet, name, 1).apply_async(link_error=signature(fleet, "remember"))
        with pytest.raises((ValueError, ConnectionError)):
            result.get(timeout=PATIENCE)
        rows = tree(fleet, result)
        assert summary(rows) == {(name, "FAILED"): 1, ("remember", "COMPLETED"): 1}
        (linked,) = (row for row in rows if row["name"] == "remember")
        assert (linked["parent"], linked["root"], linked["result"]) == (result.id, result.id, result.id)

    def test_no_errback_after_success(self, fleet: Fleet) -> None:
        """An attempt that is followed by a successful one calls no errback."""
        result = signature(fleet, "flaky_job", 5).apply_async(link_error=signature(fleet, "remember"))
        assert result.get(timeout=PATIENCE) == 5
        assert summary(tree(fleet, result)) == {("flaky_job", "COMPLETED"): 1}

    @pytest.mark.parametrize(
        ("name", "number", "value"),
        [("replace_itself", 1, 12), ("replace_itself_later", 4, 8), ("fan_out", 3, 6)],
    )
    def test_replace(self, fleet: Fleet, name: str, number: int, value: int) -> None:
        """A job that lets others stand in for it completes with their result."""
        result = signature(fleet, name, number).apply_async()
        assert result.get(timeout=PATIENCE) == value
        rows = tree(fleet, result)
        assert {row["status"] for row in rows} == {"COMPLETED"}
        (own,) = (row for row in rows if row["id"] == result.id)
        assert own["result"] == value

    def test_submit_inside_a_job(self, fleet: Fleet) -> None:
        """Jobs that a job submits are its children."""
        result = fleet.client.tasks["suite_jobs.submit_others"].submit([1, 2, 3])
        ids = result.get(timeout=PATIENCE)
        rows = {row["id"]: row for row in tree(fleet, result)}
        assert rows.keys() == {result.id, *ids}
        assert [rows[job_id]["result"] for job_id in ids] == [2, 4, 6]
        assert {(rows[job_id]["root"], rows[job_id]["parent"]) for job_id in ids} == {(result.id, result.id)}
