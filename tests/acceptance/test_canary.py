"""A secret that came in by any door is in no log, page, answer, error, audit row, metric, span and event."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import canary_jobs
import httpx2 as httpx
import psutil
import pytest
import traced_jobs
from canary import KEPT, LOST, SEALED, dumped, found_in, held, rows_but_bodies, traces
from celery import chain
from click.testing import CliRunner
from fleet import Fleet
from processes import eventually

from jobplatform.actions import people
from jobplatform.actions.actor import at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.cli import main
from jobplatform.devstack.stack import DevStack
from jobplatform.journal.recording import Recording
from jobplatform.metrics.tracing import TRACING
from jobplatform.transport.channel import Channel
from jobplatform.web.app import make_app
from jobplatform.web.rule import served

#: What nobody is shown; what is not shown to who may not see payloads, or has not the key; and what no store has.
NEVER, HIDDEN, UNKEPT = traces(LOST, KEPT), traces(LOST, KEPT, SEALED), traces(LOST, SEALED)
PASSWORD = f"{LOST}-of-the-admin"
#: Written in base64, as keys are.
KEY = f"{LOST}{'A' * 35}="
#: Pages that are looked at by somebody.
MOST = 500
#: Who looks, and what they are answered: what is not there any more is not found.
EXPECTED = {"admin": (200, 303, 404), "viewer": (200, 303, 403, 404)}
#: What answers without an end.
ENDLESS = {"/live-updates"}
#: The queries that addresses need.
ASKED_FOR = {
    "/api/v1/jobs/states": "?job_id={job_id}",
    "/api/v1/schedules/preview": "?cron=ticks",
    "/schedules/edit": "?of=ticks",
    "/submit": "?type=canary_jobs.hide",
}


class Site(NamedTuple):
    """A fleet and its dashboard, to which an administrator is signed in."""

    fleet: Fleet
    web: httpx.Client
    spans: Path

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask as the administrator."""
        reply = self.web.request(method, f"/api/v1{path}", json=body, headers=headers)
        assert reply.is_success, (path, reply.text)
        return reply.json() if reply.content else None


@contextmanager
def redis_user(stack: DevStack) -> Iterator[str]:
    """Let somebody into Redis by a password, and give the URL."""
    import redis

    with redis.Redis.from_url(stack.redis_url) as client:
        client.execute_command("ACL", "SETUSER", "canary", "on", f">{LOST}-redis", "~*", "&*", "+@all")
        yield stack.redis_url.replace("://", f"://canary:{LOST}-redis@")
        client.execute_command("ACL", "DELUSER", "canary")


def secret_settings(stack: DevStack, redis_url: str) -> dict[str, str]:
    """Give settings with a secret in each that has one."""
    database = re.sub(r"://postgres:?@", f"://postgres:{LOST}-database@", stack.database_url)
    assert LOST in database
    return {
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "JOBPLATFORM_ALERT_SECRET": f"{LOST}-hooks",
        "JOBPLATFORM_ALERT_SMTP": f"smtp://mail:{LOST}-smtp@127.0.0.1:1",
        "JOBPLATFORM_ALERT_MAIL": "ops@example.com",
        "JOBPLATFORM_ALERT_WEBHOOKS": f"https://127.0.0.1:1/{LOST}-webhook",
        "JOBPLATFORM_ALERT_HOSTS": "127.0.0.1",
        "JOBPLATFORM_ALERT_NETWORKS": "127.0.0.0/8",
        "JOBPLATFORM_ALERT_LETTERS": "1",
        "JOBPLATFORM_ENCRYPTION_KEYS": f"now:{KEY}",
        "JOBPLATFORM_CAPTURE_LOGS": "on",
        "JOBPLATFORM_METRICS_BIND": "0",
        "JOBPLATFORM_TRACES": "on",
        "JOBPLATFORM_HEARTBEAT_SECONDS": "1",
    }


@pytest.fixture
def site(stack: DevStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    before = Channel.ring, Recording.ring, Recording.sealing
    spans = tmp_path / "spans"
    monkeypatch.setenv(traced_jobs.FILE, str(spans))
    traced_jobs.trace_to_file()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    with redis_user(stack) as redis_url:
        environment = {**secret_settings(stack, redis_url), "JOBPLATFORM_WEB_BIND": place}
        with Fleet(stack, tmp_path, [canary_jobs.__name__], **environment) as fleet:
            desk = Desk(fleet.settings, fleet.database, lambda: fleet.redis, lambda: fleet.client)
            people.add_user(desk, at_terminal("root"), "admin", PASSWORD, "admin")
            with httpx.Client(base_url=f"http://{place}", headers={"sec-fetch-site": "same-origin"}) as web:
                yield Site(fleet, web, spans)
    Channel.ring, Recording.ring, Recording.sealing = before
    TRACING.on = False


def start(fleet: Fleet) -> None:
    fleet.start_controller()
    fleet.start_worker("-c", "1", "-E", "-Q", "celery", "-l", "DEBUG", name="text")
    fleet.start_worker("-c", "1", "-E", "-Q", "celery", "-l", "DEBUG", name="json", JOBPLATFORM_LOG_FORMAT="json")
    fleet.python("-m", "celery", "-A", "jobplatform", "beat", "-l", "DEBUG", name="beat")
    web = fleet.python("-m", "jobplatform.cli", "web", name="web")
    eventually(lambda: web.says("Uvicorn running"), 30, web.tail)


def submit_by_code(fleet: Fleet) -> int:
    """Submit what programs do; returns how many jobs there are."""
    loud, pay, hide, extend, urls = (
        fleet.client.tasks[f"canary_jobs.{name}"] for name in ("loud", "pay", "hide", "extend", "urls")
    )
    where = f"https://shop:{KEPT}-url@bank.example/"
    loud.submit(password=f"{KEPT}-key", where=where)
    loud.submit(password=f"{KEPT}-fine", where=where, note="fine")
    loud.delay(password=f"{KEPT}-celery", where=where, note="fine")
    pay.submit(f"{KEPT}-card", {"iban": f"{KEPT}-iban"})
    pay.submit(card=f"{KEPT}-named", customer={"iban": f"{KEPT}-iban"}, fails=False)
    pay.apply_async((f"{KEPT}-async", {"iban": f"{KEPT}-iban"}))
    hide.submit(f"{SEALED}-note")
    hide.submit(note=f"{SEALED}-failing", fails=1)
    hide.using(idempotency_key="for-once").submit(f"{SEALED}-once")
    hide.submit_many([(f"{SEALED}-many",), {"note": f"{SEALED}-more"}])
    chain(hide.s(f"{SEALED}-first"), extend.s(f"{SEALED}-second")).apply_async()
    urls.submit()
    return 14


def sign_in(web: httpx.Client, name: str, password: str, status: int) -> None:
    reply = web.post("/sign-in", data={"name": name, "password": password})
    assert reply.status_code == status and not found_in(reply.text, HIDDEN), reply.text


def come_in(site: Site) -> None:
    """Sign in, at first with what is wrong."""
    sign_in(site.web, "admin", f"{LOST}-wrong", 401)
    sign_in(site.web, "nobody", f"{LOST}-unknown", 401)
    reply = site.web.get("/api/v1/jobs", headers={"authorization": f"Bearer jp_{LOST}-token"})
    assert reply.status_code == 401 and not found_in(reply.text, HIDDEN)
    sign_in(site.web, "admin", PASSWORD, 303)


def ask_for_too_much(site: Site) -> None:
    """Send secrets in what is refused: no answer says them again."""
    wrong: list[tuple[str, str, Any]] = [
        ("POST", "/jobs", {"job_type": "canary_jobs.hide", "payload": {"notes": f"{SEALED}-field"}}),
        ("POST", "/jobs", {"job_type": "canary_jobs.hide", "payload": {"note": 1, "fails": f"{SEALED}-type"}}),
        ("POST", "/jobs", {"job_type": "canary_jobs.pay", "payload": {"card": [f"{KEPT}-schema"]}}),
        ("POST", "/jobs", {"job_type": "canary_jobs.hide", "payload": f"{SEALED}-no-payload"}),
        ("POST", "/jobs", {"job_type": "canary_jobs.hide", "payload": [f"{SEALED}-priority"], "priority": 99}),
        ("POST", "/jobs/many", {"jobs": [{"job_type": "canary_jobs.hide", "payload": [f"{SEALED}-few", "x"]}]}),
        ("POST", "/users", {"name": "short", "password": f"{LOST}-shrt"[:14], "role": "viewer"}),
        ("POST", "/users", {"name": "king", "password": f"{LOST}-of-a-king", "role": "king"}),
        ("PATCH", "/users/nobody", {"password": f"{LOST}-of-nobody-here"}),
        ("POST", "/schedules", {"name": "s", "job_type": "x", "cron": "no", "payload_template": {"kwargs": {
            "password": f"{KEPT}-cron"}}}),
        ("POST", "/bulk", {"action": "jobs.cancel", "filter": f"args.password:{LOST}-asked"}),
        ("PUT", "/letters/0/payload", {"payload": {"args": [], "kwargs": {"password": f"{KEPT}-no-letter"}}}),
        ("POST", "/letters/import", [{"payload": {"password": f"{KEPT}-import"}}]),
    ]  # fmt: skip
    for method, path, body in wrong:
        reply = site.web.request(method, f"/api/v1{path}", json=body)
        assert 400 <= reply.status_code < 500, (path, body, reply.text)
        assert not found_in(reply.text, HIDDEN), reply.text
    reply = site.web.post("/api/v1/jobs", content=f'{{"password": "{SEALED}-cut'.encode(), headers={"x-token": LOST})
    assert reply.status_code == 422 and not found_in(reply.text, HIDDEN), reply.text


def come_by_api(site: Site) -> int:
    """Let secrets come in over HTTP; returns how many jobs there are."""
    eventually(lambda: len(site.api("GET", "/types/published")["rows"]) >= 6, 20)
    ask_for_too_much(site)
    site.api("POST", "/users", {"name": "bob", "password": f"{LOST}-of-bob-himself", "role": "operator"})
    site.api("POST", "/users", {"name": "eve", "password": f"{LOST}-of-eve-here", "role": "viewer"})
    site.api("PATCH", "/users/bob", {"password": f"{LOST}-of-bob-since"})
    for body in (
        {"job_type": "canary_jobs.hide", "payload": [f"{SEALED}-api", 0]},
        {"job_type": "canary_jobs.pay", "payload": [f"{KEPT}-api-card", {"iban": f"{KEPT}-iban"}]},
        {"job_type": "canary_jobs.loud", "payload": {
            "password": f"{KEPT}-api-key", "where": f"amqp://u:{KEPT}-api-url@host/", "note": "fine"}},
    ):  # fmt: skip
        site.api("POST", "/jobs", body, **{"idempotency-key": f"{body['job_type']}-once"})
    site.api("POST", "/jobs/many", {"jobs": [
        {"job_type": "canary_jobs.hide", "payload": {"note": f"{SEALED}-api-many"}},
        {"job_type": "canary_jobs.hide", "payload": {"note": f"{SEALED}-api-more"}},
    ]}, **{"idempotency-key": "many"})  # fmt: skip
    site.api("POST", "/schedules", {
        "name": "ticks", "job_type": "canary_jobs.tick", "cron": "@every 3600s",
        "payload_template": {"args": [], "kwargs": {"password": f"{KEPT}-schedule"}},
    })  # fmt: skip
    site.api("POST", "/schedules/run", {"names": ["ticks"]})
    reply = site.web.post("/submit", data={"type": "canary_jobs.hide", "argument.note": f"{SEALED}-form"})
    assert reply.status_code == 303, reply.text
    return 7


def mend_letters(site: Site) -> None:
    """Give dead letters other payloads and run them again, for reasons with secrets."""
    letters = {row["job_type"]: row for row in site.api("GET", "/letters?limit=50")["rows"]}
    changed = {
        "canary_jobs.hide": {"changes": [{"path": ["kwargs", "note"], "value": f"{SEALED}-edited"}]},
        "canary_jobs.pay": {"changes": [{"path": ["kwargs", "fails"], "value": False},
                                        {"path": ["args", 0], "value": f"{KEPT}-edited"}]},
        "canary_jobs.loud": {"changes": [{"path": ["kwargs", "password"], "value": f"{KEPT}-edited"}]},
    }  # fmt: skip
    for job_type, body in changed.items():
        said = site.api("PUT", f"/letters/{letters[job_type]['dlq_id']}/payload", body)
        assert not found_in(json.dumps(said), NEVER), said
    named = {"dlq_ids": [letters[job_type]["dlq_id"] for job_type in changed]}
    site.api("POST", "/replays/plan", named)
    site.api("POST", "/replays", named)
    reason = f"password={LOST}-reason and https://u:{LOST}-reason@host/"
    site.api("POST", "/letters/resolve", {"dlq_ids": [letters["canary_jobs.urls"]["dlq_id"]], "note": reason})
    (cluster, *_) = site.api("GET", "/clusters")["rows"]
    site.api("POST", f"/clusters/{cluster['fingerprint']}/note", {"text": reason})
    site.api("POST", "/queues/pause", {"names": ["nowhere"], "reason": reason})
    site.api("POST", "/types/pause", {"names": ["canary_jobs.none"], "reason": reason})
    wish = {"action": "jobs.cancel", "filter": "args.note:none", "reason": reason}
    site.api("POST", "/bulk/plan", wish)
    site.api("POST", "/bulk", wish)


def addresses(site: Site) -> Iterator[str]:
    """Give the address of everything that can be looked at, with what there is in each place of it."""
    fleet = site.fleet

    def all_of(sql: str) -> list[str]:
        return [str(row["id"]) for row in fleet.rows(f"select {sql}")]

    named = {
        "job_id": all_of("job_id as id from @jobs"), "batch_id": all_of("batch_id as id from @batches"),
        "root_id": all_of("distinct root_id as id from @jobs where root_id is not null"),
        "dlq_id": all_of("dlq_id as id from @dead_letter_jobs"),
        "replay_id": all_of("replay_id as id from @replays"), "bulk_id": all_of("bulk_id as id from @bulk_actions"),
        "cluster": all_of("fingerprint as id from @error_clusters"),
        "fingerprint": all_of("fingerprint as id from @error_clusters"),
        "quarantine_id": all_of("quarantine_id as id from @journal_quarantine"),
        "job_type": all_of("name as id from @job_types"),
        "version": [], "plan_id": [], "decision_id": [],
    }  # fmt: skip
    names = {"schedules": ["ticks"], "published": named["job_type"], "workers": all_of("name as id from @workers")}
    desk = Desk(fleet.settings, fleet.database, lambda: fleet.redis, lambda: fleet.client)
    for route in served(make_app(desk)):
        if "GET" not in route.methods or route.path in ENDLESS:
            continue
        place = re.search(r"\{(\w+)(?::path)?\}", route.path)
        if place is None:
            query = ASKED_FOR.get(route.path, "")
            yield route.path + query.format(job_id=named["job_id"][0])
            continue
        values = named.get(place[1]) if place[1] != "name" else names[route.path.split("/")[-2]]
        assert values is not None, route.path
        yield from (route.path.replace(place[0], quote(value, safe="")) for value in values)


def looked_at(web: httpx.Client, todo: list[str], who: str, follows: bool) -> dict[str, str]:
    """Look at what is asked for; give what each address answers.

    :param follows: whether what the pages lead to is looked at as well.
    """
    found: dict[str, str] = {}
    while todo:
        address = todo.pop()
        if (key := f"{who} {address}") in found or len(found) == MOST:
            continue
        reply = web.get(address)
        assert reply.status_code in EXPECTED[who], (address, reply.text)
        found[key] = reply.text
        if follows and "html" in reply.headers.get("content-type", ""):
            links = re.findall(r'href="(/[^"#]*)"', reply.text)
            todo += [each.replace("&amp;", "&") for each in links if not each.startswith(("/static", "/live-updates"))]
    return found


def lines(fleet: Fleet) -> Iterator[str]:
    """Give how the processes of a fleet were called, which everybody on the machine can see."""
    for each in fleet.processes:
        for process in (psutil.Process(each.pid), *psutil.Process(each.pid).children(recursive=True)):
            yield " ".join(process.cmdline())


def told_by_processes(fleet: Fleet) -> str:
    """Give what controller and workers tell Prometheus and probes."""
    texts = []
    for process in fleet.processes:
        for url in re.findall(r"metrics and health are at (http://[\w.:]+)", process.log.read_text()):
            texts += [httpx.get(f"{url}/{path}").text for path in ("metrics", "live", "ready")]
    assert len(texts) == 9, texts
    return "\n".join(texts)


COMMANDS = (
    ("env",), ("doctor",), ("jobs", "list"), ("dlq", "list"), ("schedules", "list"), ("queues", "list"),
    ("workers", "list"), ("users", "list"), ("audit", "list"),
)  # fmt: skip


def said_by_commands(fleet: Fleet) -> dict[str, str]:
    """Give what the command line says, also of servers that are not there."""
    away = {
        "DATABASE_URL": f"postgresql://shop:{LOST}-away@127.0.0.1:1/none",
        "REDIS_URL": f"redis://shop:{LOST}-away@127.0.0.1:1/0",
    }
    said = {}
    for name, more in (("here", {}), ("away", away)):
        for arguments in COMMANDS:
            result = CliRunner().invoke(main, arguments, env={**fleet.environment, **more})
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
            said[f"{' '.join(arguments)} {name}"] = result.output
    return said


def test_no_secret_is_shown_and_no_encrypted_one_kept(site: Site) -> None:
    fleet = site.fleet
    with fleet.redis.pubsub() as events:
        events.psubscribe("/*.celeryev/*")
        jobs = submit_by_code(fleet)
        assert not found_in(repr(held(fleet)), UNKEPT)
        start(fleet)
        told = {"processes": "\n".join(lines(fleet))}
        come_in(site)
        jobs += come_by_api(site)
        fleet.wait_final(jobs, 60)
        mend_letters(site)
        eventually(lambda: not site.api("GET", "/replays?running=true")["rows"], 60, fleet.describe)
        # That of the bulk action is one more.
        fleet.wait_final(jobs + 1, 60)
        everything = list(addresses(site))
        shown = looked_at(site.web, list(everything), "admin", follows=True)
        sign_in(site.web, "eve", f"{LOST}-of-eve-here", 303)
        told |= looked_at(site.web, everything, "viewer", follows=False) | said_by_commands(fleet)
        told["metrics"] = told_by_processes(fleet)
        for process in reversed(fleet.processes):
            process.stop(signal.SIGTERM)
        heard = []
        while (message := events.get_message(timeout=0.2)) is not None:
            heard.append(repr(message))
        told["events"] = "\n".join(heard)
    told |= {process.log.name: process.log.read_text() for process in fleet.processes}
    told |= {"spans": site.spans.read_text()} | rows_but_bodies(fleet)
    # Results of types that are not encrypted stay for a moment as they are, for who waits for them.
    kept = held(fleet)
    results = {name: value for name, value in kept.items() if name.startswith("celery-task-meta-")}
    told |= {f"redis {name}": repr(value) for name, value in kept.items() if name not in results}
    leaks = {name: sorted(found)[:4] for name, text in told.items() if (found := found_in(text, HIDDEN))}
    leaks |= {name: sorted(found)[:4] for name, text in shown.items() if (found := found_in(text, NEVER))}
    leaks["PostgreSQL"] = sorted(found_in(dumped(fleet), UNKEPT))[:20]
    leaks["results"] = sorted(found_in(repr(results), UNKEPT))
    leaks = {name: found for name, found in leaks.items() if found}
    assert not leaks, "\n".join(f"{name}: {each!r}" for name, found in leaks.items() for each in found)
