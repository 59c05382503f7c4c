"""What is asked of the API about the platform, part by part; with rows that are filled, and rows that are not."""

from __future__ import annotations

import json
import time
from datetime import timedelta

from command_line import CliEnvironment
from retries import scribble
from told import Told
from web_place import sign_in

from jobplatform.actions import plans
from jobplatform.actions.actor import Actor, Via
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.actions.plans import Blast
from jobplatform.store import alerts, breakers, samples, verdicts
from jobplatform.store import scaling as scales
from jobplatform.store import workers as worker_rows
from jobplatform.transport import keys

AGENT = Actor("ann/agent", Via.AGENT, ROLES["operator"])
KIND = "told.charge"


def of_overview(told: Told, desk: Desk) -> None:
    said = {
        "worker_id": "w2",
        "name": "w2@here",
        "pid": 2,
        "status": "stale",
        "started_at": None,
        "last_seen_at": time.time() - 60,
        "report": None,
    }
    sample = {"queue": "celery", "seconds": 60, "depth": 2, "arrived": 3, "started": 2, "finished": 1, "running": 1}
    with desk.database.transaction() as transaction:
        worker_rows.record(
            transaction, [{"worker_id": "w2", "name": "w2@here", **said}], desk.now() - timedelta(days=9)
        )
        samples.add_queues(transaction, [{**sample, "oldest_seconds": 1.5}], desk.now() - timedelta(minutes=5))
    scribble(desk.database, "update @job_schedules set next_run = now() - interval '5 minutes' returning name")
    found = told.ask("GET", "/overview")
    assert found["tables"]["dead"] and found["tables"]["missed"] and found["waiting"]
    assert any(each["arrived"] for each in told.ask("GET", "/history?back=1h")["steps"])
    assert told.ask("GET", "/history/depths?back=1h")["queues"]
    assert told.ask("GET", "/health")["findings"]


def of_schedules(told: Told, desk: Desk) -> None:
    names = {"names": ["nightly"]}
    told.say("POST", "/schedules/pause", names)
    assert told.ask("POST", "/schedules/resume", json={**names, "dry_run": True})["rows"][0]["missed_since"]
    told.ask("POST", "/schedules/resume", json=names)
    assert told.ask("POST", "/schedules/run", json=names)["rows"][0]["job_id"]
    told.say(
        "POST", "/schedules", {"name": "skips", "job_type": KIND, "cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    )
    span = {"since": (desk.now() - timedelta(days=3)).isoformat(), "until": desk.now().isoformat()}
    assert told.ask("POST", "/schedules/{name}/backfill", json=span, name="nightly")["made"]
    assert told.ask("GET", "/schedules/check")["remarks"]
    assert told.ask("GET", "/schedules/{name}", name="nightly")["last_fires"]


def of_queues(told: Told, desk: Desk) -> None:
    told.ask("POST", "/types/pause", json={"names": [KIND]})
    assert told.ask("GET", "/types")["rows"][0]["paused"] and told.ask("GET", "/queues")["rows"][0]["paused"]
    assert told.ask("POST", "/types/resume", json={"names": [KIND]})["resumed"]
    assert told.ask("POST", "/queues/resume", json={"names": ["celery"]})["resumed"]
    told.say("PUT", "/limits/queue:celery", {"rate": 2.5, "burst": 3})
    told.say("PUT", f"/limits/type:{KIND}", {"slots": 5})
    told.say("PUT", "/queues/celery/order", {"fair": True, "age_seconds": 60})
    told.say("PUT", "/queues/other/order", {"fair": True})
    told.say("PUT", "/queues/celery/weights/acme", {"weight": 2.5})
    found = told.ask("GET", "/limits")
    assert len(found["limits"]) == len(found["queues"]) == 2
    assert told.ask("DELETE", "/limits/{name}", name="queue:celery")["removed"]
    now = time.time()
    row = {"cause": "host:api", "state": "open", "reason": "19 of 20 failed", "opened_at": now, "probe_at": now + 9}
    row |= {"probes": 2, "canary_at": now, "job_types": [KIND]}
    with desk.database.transaction() as transaction:
        breakers.save(transaction, [row, {**row, "cause": "b", "state": "closed", "probe_at": None, "canary_at": None}])
    told.say("POST", "/breakers/force", {"causes": ["host:api"], "forced": "closed"})
    assert len(told.ask("GET", "/breakers?every=true")["rows"]) == 2


def of_workers(told: Told, desk: Desk, cli: CliEnvironment) -> None:
    verdict = {"worker_id": "w1", "verdict": "failing", "confidence": 0.5, "reason": "it leaks", "decided_by": "rules"}
    sample = dict.fromkeys(("cpu", "rss", "tree_rss", "slots", "active", "waiting", "started", "finished", "failed"), 1)
    sample |= {"worker_id": "w1", "seconds": 30, "processes": [{"pid": 1, "rss": 1, "cpu": 0.5}], "jitter": 0.5}
    whole = {"rss_slope": 1.5, "memory_left": 1, "memory_limit": 9, "open_files": 3, "disk_free": 1, "loop_wait": 0.5}
    with desk.database.transaction() as transaction:
        verdicts.add(transaction, [{**verdict, "features": {"rule": "leak"}}], desk.now())
        verdicts.stamp(transaction, [{**verdict, "features": {}}], desk.now())
        samples.add_workers(transaction, [{**sample, "sampled_at": time.time() - 1_900}])
        for minute in range(30):
            grown = {"tree_rss": 10_000_000 * minute, "sampled_at": time.time() - 1_800 + 60 * minute}
            samples.add_workers(transaction, [{**sample, **whole, **grown}])
    told.ask("GET", "/workers/health")
    found = told.ask("GET", "/workers/health?name=w1@here")
    assert found["verdicts"] and found["samples"]
    for pid in range(24):
        _ran(desk, cli, "h.render" if pid < 4 else "h.mail", pid, 700 if pid < 4 else 60)
    assert told.ask("GET", "/workers/hungry")["rows"]
    for verb in ("cordon", "uncordon", "drain", "replace"):
        assert told.ask("POST", f"/workers/{verb}", json={"names": ["w1@here"], "reason": "old"})["asked"]


def _ran(desk: Desk, cli: CliEnvironment, job_type: str, pid: int, peak: int) -> None:
    scribble(
        desk.database,
        """insert into @job_executions (job_id, worker_id, attempt_number, started_at, completed_at, status, metrics)
        values (%(job_id)s::uuid, 'w', 1, now(), now(), 'COMPLETED', %(metrics)s::jsonb)""",
        job_id=cli.add(job_type=job_type),
        metrics=json.dumps({"pid": pid, "peak_rss_kib": peak * 1024, "run": 1.5}),
    )


def of_fleet(told: Told, desk: Desk) -> None:
    assert told.ask("GET", "/fleet")["wish"] is None
    assert told.ask("PUT", "/fleet/size", json={"wanted": 3})["wish"]
    told.ask("GET", "/fleet")
    assert told.ask("GET", "/fleet/wish")["body"]["workers"] == 3
    said = json.dumps({"name": "worker1@here", "pid": 1, "started_at": time.time(), "active": 1, "duty": "work"})
    now = time.time()
    desk.redis().hset(keys.WORKERS, "node-1", f"{now} {now} {said}")
    assert told.ask("GET", "/fleet/members")["rows"] and told.ask("GET", "/fleet/wish")["costs"]
    assert told.ask("GET", "/fleet/replacements")["rows"]
    scale = {**scales.ADD_SCALE_DECISION.example, "forecast": {"queues": {}}, "wanted": 2}
    with desk.database.transaction() as transaction:
        number = scales.add(transaction, {**scale, "decided_at": desk.now()})
        scales.add(transaction, {**scale, "decided_at": desk.now(), "wanted": 3})
        scales.mark_acted(transaction, number)
    assert len(told.ask("GET", "/scaling")["rows"]) == 2
    assert told.ask("GET", "/scaling/{decision_id}", decision_id=number)["acted_at"]
    span = {"since": (desk.now() - timedelta(hours=1)).isoformat(), "until": desk.now().isoformat()}
    assert told.ask("POST", "/capacity", json={**span, "workers": [1], "scaler": True})["rows"]


def of_people(told: Told, desk: Desk) -> None:
    vera = {"name": "vera", "password": "correct horse battery", "role": "viewer", "queues": ["mail"]}
    told.say("POST", "/users", vera)
    token = {"user": "vera", "name": "ci", "permissions": ["jobs.read"], "tenants": ["acme"]}
    number = told.ask("POST", "/tokens", 201, token)["token_id"]
    assert told.ask("DELETE", "/tokens/{token_id}", token_id=number) == {"name": "ci"}
    assert len(told.ask("GET", "/users")["rows"]) == len(told.ask("GET", "/tokens?limit=2")["rows"]) == 2
    assert told.ask("GET", "/audit?limit=1000")["rows"]
    assert told.ask("GET", "/audit/verify") == {"broken": None}


def of_alerts(told: Told, desk: Desk) -> None:
    found = [{"condition": "long wait", "subject": name, "message": "Jobs wait."} for name in ("celery", "mail")]
    with desk.database.transaction() as transaction:
        alerts.note_found(transaction, found[:1], desk.now() - timedelta(hours=1))
        alerts.close_calm(transaction, desk.now())
        alerts.note_found(transaction, found, desk.now())
        alerts.tell_open(transaction, desk.now(), timedelta(hours=1))
    until = (desk.now() + timedelta(days=1)).isoformat()
    meant = {"condition": "long wait", "subject": "celery"}
    told.ask("POST", "/alerts/mute", json={**meant, "until": until, "reason": "known"})
    told.ask("POST", "/alerts/mute", json={"condition": "long wait"})
    shown = told.ask("GET", "/alerts?every=true")
    assert len(shown["alerts"]) == 3 and len(shown["mutes"]) == 2 and shown["targets"]
    told.ask("POST", "/alerts/unmute", json=meant)
    assert [*told.ask("POST", "/alerts/test").values()] != [None]


def of_retention(told: Told, desk: Desk, cli: CliEnvironment) -> None:
    old = "update @jobs set created_at = now() - interval '9 days', completed_at = now() - interval '8 days'"
    scribble(desk.database, f"{old} where job_id = %(job_id)s::uuid", job_id=cli.add("COMPLETED", job_type="told.old"))
    assert told.ask("GET", "/retention")["jobs"] == {"told.old": 1}


def of_plans(told: Told, desk: Desk) -> None:
    """Ask for plans, which people alone decide on, and no program."""
    wishes = [("jobs.cancel", {"reason": "late"}), (f"jobs.submit:{KIND}", {"payload": {}}), ("gone.by", {})]
    names = [plans.ask(desk, AGENT, name, said, Blast(2, ["a"], "jobs"))["plan"] for name, said in wishes]
    assert len(told.ask("GET", "/plans")["rows"]) == 3
    told.web.headers.pop("authorization")
    sign_in(told.web, "ann")
    assert told.ask("POST", "/plans/{plan_id}/approve", json={"count": 2}, plan_id=names[0])["words"]
    assert told.ask("POST", "/plans/{plan_id}/refuse", plan_id=names[1]) == {"refused": names[1]}
    plan = plans.take(desk, AGENT, names[0], 2)
    plans.end(desk, AGENT, plan, {"cancelled": 2})
    assert told.ask("GET", "/plans/{plan_id}", plan_id=names[0])["outcome"]


def of_decisions(told: Told) -> None:
    assert {each["kind"] for each in told.ask("GET", "/decisions?limit=1000")["rows"]} == {
        "retry", "scale", "replacement", "breaker",
    }  # fmt: skip
