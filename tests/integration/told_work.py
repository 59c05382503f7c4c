"""What is asked of the API about jobs together, and what is learned of them; filled rows, and rows that are not."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta

from command_line import CliEnvironment
from retries import add_model, add_retries, scribble
from told import API, Told
from web_place import token_of

from jobplatform.actions.actor import Scope
from jobplatform.actions.desk import Desk
from jobplatform.maintenance.tallier import Tallier
from jobplatform.records import NewJob, new_job_id, row_of
from jobplatform.store import batches, clusters, durations, models, quarantine

KIND = "told.charge"


def of_batches(told: Told, desk: Desk, cli: CliEnvironment) -> None:
    called = json.loads(row_of(NewJob(new_job_id(), KIND, '{"args": [], "kwargs": {}}', "celery")))
    batch_id = new_job_id()
    with desk.database.transaction() as transaction:
        batches.insert(transaction, batch_id, "all", {"failure": called})
    cli.fail(batch_id=batch_id)
    cli.add(batch_id=batch_id)
    tallier = Tallier(desk.database)
    while tallier.run_once(desk.now()):
        pass
    assert told.ask("GET", "/batches")["rows"]
    assert told.ask("GET", "/batches/{batch_id}", batch_id=batch_id)["events"]
    assert "words" in told.ask("GET", "/batches/{batch_id}/eta", batch_id=batch_id)
    assert told.ask("POST", "/batches/{batch_id}/retry", batch_id=batch_id)["jobs"] == 1
    told.say("POST", "/batches/{batch_id}/close", batch_id=batch_id)
    assert told.ask("POST", "/batches/{batch_id}/cancel", json={}, batch_id=batch_id)["cancelled"]
    told.ask("GET", "/batches/{batch_id}", batch_id=batch_id)
    told.ask("GET", "/batches")


def of_workflows(told: Told, desk: Desk, ids: dict[str, str]) -> None:
    failed, after = ids["failed"], ids["after"]
    scribble(
        desk.database,
        "update @jobs set root_id = %(root)s::uuid where job_id in (%(root)s::uuid, %(after)s::uuid)",
        root=failed,
        after=after,
    )
    assert told.ask("GET", "/workflows")["rows"]
    assert len(told.ask("GET", "/workflows/{root_id}", root_id=failed)["jobs"]) == 2
    assert told.ask("GET", f"/jobs/states?job_id={failed}")["states"]
    for workflow in ("true", "false"):
        assert "words" in told.ask("GET", "/jobs/{job_id}/eta?workflow=" + workflow, job_id=after)


def of_clusters(told: Told, desk: Desk, job_id: str) -> None:
    seen = {"errors": 1, "first_seen": 1.0, "last_seen": 2.0, "job_types": {KIND: 1}, "releases": ["r1"]}
    error = {"error_type": "TimeoutError", "text": "the payment of a customer timed out", **seen}
    with desk.database.transaction() as transaction:
        whole = {"sample": "no", "traceback": "Traceback", "sample_job": job_id, "dependency": "host:api"}
        clusters.count(transaction, [{**error, **whole, "fingerprint": "ab" * 8}])
        clusters.count(transaction, [{**error, "fingerprint": name * 8} for name in ("cd", "ef")])
    scribble(
        desk.database, "update @dead_letter_jobs set fingerprint = %(name)s where resolved_at is null", name="ab" * 8
    )
    one = {"cluster": "ab" * 8}
    assert told.ask("GET", "/clusters/similar")["rows"]
    for verb, more in (("assign", {"who": "ann"}), ("note", {"text": "looked"}), ("mute", {"muted": True})):
        assert told.ask("POST", "/clusters/{cluster}/" + verb, json=more, **one) == one
    assert told.ask("POST", "/clusters/{cluster}/resolve", json={}, **one) == one
    told.ask("GET", "/clusters")
    assert told.ask("POST", "/clusters/{cluster}/reopen", **one) == one
    told.ask("POST", "/clusters/{cluster}/merge", json={"into": "ab" * 8}, cluster="cd" * 8)
    assert len(told.ask("GET", "/clusters/{cluster}/family", **one)["fingerprints"]) == 2
    found = told.ask("GET", "/clusters/{cluster}", **one)
    assert found["merged"] and found["letters"] and found["notes"]
    everywhere = told.web.headers["authorization"]
    told.web.headers.update(token_of(desk, "ann", "viewer", Scope(frozenset({"mail"}))))
    assert not any(each["sample_job"] for each in told.ask("GET", "/clusters")["rows"])
    assert told.ask("GET", "/clusters/{cluster}", **one)["cluster"]["traceback"] is None
    told.web.headers["authorization"] = everywhere


def of_letters(told: Told, desk: Desk, cli: CliEnvironment) -> None:
    for payload in ('{"args": [1], "kwargs": {}}', '{"args": [], "kwargs": {}}'):
        cli.fail(job_type=KIND, payload=payload)
    line = json.loads(told.web.get(f"{API}/letters/export").text.splitlines()[0])
    assert told.ask("POST", "/letters/import", json=[line])["lines"] == 1
    told.ask("POST", "/queues/pause", json={"names": ["celery"]})
    told.say("PUT", f"/limits/type:{KIND}", {"rate": 2.5})
    plan = told.ask("POST", "/replays/plan", json={"job_type": KIND, "rate": 2.5})
    assert plan["by"] and plan["invalid"] and plan["limits"] and plan["paused"]
    assert told.ask("POST", "/replays", json={"job_type": "none"})["replay"] is None
    replay = told.ask("POST", "/replays", json={"job_type": KIND, "rate": 2.5, "canaries": 1})["replay"]["replay_id"]
    scribble(
        desk.database, "update @replay_jobs set state = 'failed', attempt = 2, error_type = 'E' where position = 1"
    )
    for verb in ("pause", "resume", "cancel"):
        told.ask("POST", "/replays/{replay_id}/" + verb, json={}, replay_id=replay)
    assert told.ask("GET", "/replays/{replay_id}", replay_id=replay)["trouble"]
    assert told.ask("GET", "/replays")["rows"]


def of_quarantine(told: Told, desk: Desk) -> None:
    kept = {"kind": "message", "queue": "celery", "size": 5, "raw": base64.b64encode(b"no js").decode(), "field": "f"}
    kept |= {"job_id": new_job_id(), "reason": "no JSON"}
    with desk.database.transaction() as transaction:
        rows = [{**kept, "stream_id": "1-1"}, {**kept, "stream_id": "1-2", "size": 9}]
        quarantine.add(
            transaction, [*rows, {**kept, "stream_id": "1-3", "kind": "entry", "queue": None, "job_id": None}]
        )
    assert told.ask("GET", "/quarantine/{quarantine_id}", quarantine_id=1)["entry"] == b"no js".hex()
    for dry_run in (True, False):
        asked = {"ids": [1, 2, 99], "dry_run": dry_run}
        assert len(told.ask("POST", "/quarantine/replay", json=asked)["rows"]) == 2
    found = told.ask("POST", "/quarantine/discard", json={"ids": [1, 3]})
    assert found["rows"] and found["missing"] and found["resolved"]
    assert len(told.ask("GET", "/quarantine?resolved=true")["rows"]) == 3


def of_models(told: Told, desk: Desk) -> None:
    add_retries(desk.database, 600, job_types=(KIND, "told.mail"))
    assert told.ask("POST", "/models/train", 201, {})["version"] == 1
    with desk.database.transaction() as transaction:
        add_model(transaction, kind=models.DURATION, metrics={}, window_from=None, window_to=None)
    told.ask("GET", "/models/{version}", version=1)
    add_retries(desk.database, 250, seed=2, start=time.time(), chance=lambda truth: truth)
    assert told.ask("GET", "/models/{version}", version=1)["drift"]["gap"]
    assert told.ask("GET", "/models/{version}", version=2)["drift"] is None
    assert told.ask("GET", "/models/{version}/evaluation", version=1)["by_type"]
    assert told.ask("POST", "/models/trial", json={"job_type": "told.mail"})["reason"]
    for named in ({"version": 1}, {"job_type": KIND}):
        assert told.ask("POST", "/models/promote", json=named)["reason"]
    assert len(told.ask("GET", "/models/types")["types"]) == 2
    assert told.ask("POST", "/models/retire", json={"version": 1})["reason"]
    assert len(told.ask("GET", "/models")["rows"]) == 2


def of_durations(told: Told, desk: Desk, cli: CliEnvironment) -> None:
    row = {"p10": 1.0, "p50": 2.0, "p90": 3.0, "chance": None, "runs": 1, "decided_by": "rule", "longest": 4.0}
    row |= {"history": [1.0], "widening": {}, "key": "", "job_type": KIND}
    day = {"job_type": KIND, "runs": 9, "judged": 8, "below": 1, "above": 1, "within": 5, "error": 1.0, "seconds": 9.0}
    with desk.database.transaction() as transaction:
        durations.write(transaction, [row, {**row, "key": "k", "chance": 0.5, "runs": 900}, {**row, "job_type": "x"}])
        durations.write(transaction, [{**row, "job_type": "y", "runs": 900}])
        durations.count_coverage(transaction, [day], desk.now())
        durations.count_coverage(transaction, [{**day, "judged": 0, "runs": 0}], desk.now() - timedelta(days=1))
    cli.add("COMPLETED", job_type=KIND, timeout=9.5)
    assert len(told.ask("GET", "/durations?limit=2")["rows"]) == 2
    assert len(told.ask("GET", "/durations/suggestions")["rows"]) == 3
    found = told.ask("GET", "/durations/{job_type}", job_type=KIND)
    assert len(found["estimates"]) == len(found["days"]) == 2
