"""Jobs and dead letters with another payload, logs, and filters that people keep: by page, API and terminal."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from celery import Celery
from command_line import CliEnvironment
from starlette.testclient import TestClient
from web_place import add_user, browser, desk_at, sign_in, token_of

import jobplatform
from jobplatform import job
from jobplatform.actions import jobs, logs, resubmission, saved_filters
from jobplatform.actions.actor import Actor, Scope, Via, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import ROLES
from jobplatform.errors import Forbidden, InvalidPayload, JobNotFound, JobOptionError, SealError, TransitionRefused
from jobplatform.jobs.published import published
from jobplatform.maintenance.type_publisher import TypePublisher
from jobplatform.masking import MASK
from jobplatform.secrecy.keyring import KeyRing
from jobplatform.secrecy.sealing import is_sealed_payload
from jobplatform.settings import Settings
from jobplatform.store import attempt_logs, audit, listing
from jobplatform.store.database import Database

# What the controller tells of job types is written here as well.
pytestmark = pytest.mark.owner

API = "/api/v1"
ROOT = at_terminal("root")
SECRET = "4111111111111111"
PAID = {"args": [42], "kwargs": {"card": SECRET, "note": "</textarea><script>alert(1)</script>"}}
RING = KeyRing({"k": bytes(32)})


@job(name="again.pay", tags=("money",))
def pay(customer: int, card: str = "", note: str = "", *, tip: int = 0) -> None: ...


@job(name="again.hide", encrypt=True)
def hide(note: str, pin: str = "") -> None: ...


@pytest.fixture
def desk(settings: Settings, database: Database, client: Any) -> Iterator[Desk]:
    settings = replace(settings, encryption_keys=RING, submit_rate=0.001, submit_burst=3)
    app = Celery("again", set_as_current=False)
    jobplatform.attach(app, settings)
    app.loader.import_default_modules()
    TypePublisher(database, published(app)).run_once(datetime.now(UTC))
    made = desk_at(settings, database, app)
    add_user(made, "ann", "admin")
    yield made
    app.jobplatform.close()
    app.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[TestClient]:
    with browser(desk) as made:
        sign_in(made, "ann")
        yield made


def row_of(desk: Desk, job_id: str) -> Any:
    with desk.look() as session:
        return listing.show_job(session, job_id)


def area(text: str) -> dict[str, Any]:
    """Read the payload that a form offers."""
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
    assert found is not None
    read: dict[str, Any] = json.loads(html.unescape(found[1]))
    return read


def test_a_job_is_retried_with_other_arguments_by_its_page(
    web: TestClient, desk: Desk, cli_environment: CliEnvironment
) -> None:
    job_id = cli_environment.fail(
        job_type="again.pay", payload=json.dumps(PAID), priority=4, tenant="acme", tags=("money", "vip")
    )
    assert f"/jobs/{job_id}/edit" in web.get(f"/jobs/{job_id}").text
    page = web.get(f"/jobs/{job_id}/edit")
    assert page.status_code == 200 and SECRET not in page.text and "<script>alert" not in page.text
    shown = area(page.text)
    assert shown["kwargs"] == {**PAID["kwargs"], "card": MASK}  # type: ignore[dict-item]
    shown["kwargs"]["tip"] = "much"
    wrong = web.post(f"/jobs/{job_id}/edit", data={"payload": json.dumps(shown), "what": "preview"})
    assert wrong.status_code == 422 and "/tip: it must be integer" in wrong.text and "much" in wrong.text
    shown["kwargs"]["tip"] = 5
    seen = web.post(f"/jobs/{job_id}/edit", data={"payload": json.dumps(shown), "what": "preview"})
    assert seen.status_code == 200 and "kwargs.tip" in seen.text and "kwargs.card" not in seen.text
    said = {"payload": json.dumps(shown), "reason": "a tip"}
    done = web.post(f"/jobs/{job_id}/edit", data={**said, "what": "submit"})
    assert done.status_code == 303
    made = done.headers["location"].removeprefix("/jobs/")
    row, before = row_of(desk, made), row_of(desk, job_id)
    # What is hidden is stored as it was, and never as its mask.
    assert row["payload"] == {"args": [42], "kwargs": {**PAID["kwargs"], "tip": 5}}  # type: ignore[dict-item]
    assert (row["status"], row["priority"], row["tenant"], row["tags"]) == ("PENDING", 4, "acme", ["money", "vip"])
    assert (row["edited_from"], before["edited_as"], before["status"]) == (job_id, [made], "FAILED")
    page = web.get(f"/jobs/{made}")
    assert "Edited from" in page.text and "Submitted with another payload." in page.text
    with desk.look() as session:
        (noted,) = audit.listed(session, 10, action="jobs.resubmit")
    assert (noted["actor"], noted["reason"], noted["outcome"]) == ("ann", "a tip", {"job_id": made})
    assert noted["about"]["places"] == ["kwargs.tip"]
    assert SECRET not in json.dumps(noted, default=str)
    for what, status in (("submit", 303), ("submit", 303), ("submit", 429), ("eat", 422)):
        assert web.post(f"/jobs/{job_id}/edit", data={**said, "what": what}).status_code == status
    # The form of a type counts with it, and keeps what was written.
    fields = {"type": "again.pay", "argument.customer": "7", "argument.note": "kept", "argument.tip": "0"}
    refused = web.post("/submit", data=fields)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 100 and 'value="kept"' in refused.text


def test_a_program_and_a_terminal_do_the_same_over_one_action(
    web: TestClient, desk: Desk, cli_environment: CliEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobplatform.cli.desk.open_app", lambda settings: desk.application())
    job_id = cli_environment.add("COMPLETED", job_type="again.pay", payload=json.dumps(PAID))
    web.headers.update(token_of(desk, "ann", "admin"))
    path = f"{API}/jobs/{job_id}/resubmit"
    asked = {"changes": [{"path": ["kwargs", "card"], "value": "4222222222222222"}], "dry_run": True}
    tried = web.post(path, json=asked)
    assert (tried.status_code, tried.json()["job_id"]) == (200, None)
    assert tried.json()["changes"] == [{"path": "kwargs.card", "kind": "changed", "before": MASK, "after": MASK}]
    made = web.post(path, json={**asked, "dry_run": False})
    assert made.status_code == 201 and row_of(desk, made.json()["job_id"])["payload"]["kwargs"]["card"][:2] == "42"
    masked = web.post(path, json={"payload": {"args": [MASK], "kwargs": {}}})
    assert (masked.status_code, masked.json()["field"]) == (422, "args[0]")
    assert "leave the mask where it was" in masked.json()["detail"]
    changes = cli_environment.json("jobs", "resubmit", job_id, "--set", "args[0]=43", "--dry-run")["changes"]
    assert changes == [{"path": "args[0]", "kind": "changed", "before": 42, "after": 43}]
    done = cli_environment.run("jobs", "resubmit", job_id, "--unset", "kwargs.card", "--reason", "no card")
    assert done.exit_code == 0, done.output
    assert "card" not in row_of(desk, done.stdout.strip())["payload"]["kwargs"]
    refused = cli_environment.run("jobs", "resubmit", job_id, "--unset", "args[0]")
    assert refused.exit_code == 2 and "/customer" in refused.stderr


def test_who_may_not_see_payloads_may_not_write_over_them_and_only_what_has_ended_is_submitted_anew(
    desk: Desk, cli_environment: CliEnvironment
) -> None:
    job_id = cli_environment.add("FAILED", job_type="again.pay", payload=json.dumps(PAID), queue="celery")
    operator = Actor("olaf", Via.PAGE, ROLES["operator"], Scope())
    with pytest.raises(Forbidden, match=r"jobs\.payload"):
        resubmission.resubmit(desk, operator, job_id)
    elsewhere = replace(ROOT, scope=Scope(frozenset({"mail"})))
    for who, named in ((elsewhere, job_id), (ROOT, "none")):
        with pytest.raises(JobNotFound):
            resubmission.resubmit(desk, who, named)
    for state in ("PENDING", "PROCESSING", "BLOCKED"):
        with pytest.raises(TransitionRefused, match="only one that has ended"):
            resubmission.resubmit(desk, ROOT, cli_environment.add(state, job_type="again.pay"))
    fed = cli_environment.add("FAILED", job_type="again.pay", message={"inputs": {"of": [], "each": False}})
    with pytest.raises(TransitionRefused, match="results of other jobs"):
        resubmission.resubmit(desk, ROOT, fed)


def test_what_is_encrypted_is_read_and_encrypted_anew_for_the_new_job(
    web: TestClient, desk: Desk, cli_environment: CliEnvironment
) -> None:
    first = desk.application().tasks["again.hide"].submit(note="an illness", pin=SECRET)
    with desk.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(
            f"update \"{desk.settings.schema}\".jobs set status = 'FAILED' where job_id = %s", (first.id,)
        )
    shown = area(web.get(f"/jobs/{first.id}/edit").text)
    assert shown["kwargs"] == {"note": "an illness", "pin": MASK}
    shown["kwargs"]["note"] = "another"
    done = resubmission.resubmit(desk, ROOT, first.id, shown)
    assert done.job_id is not None and is_sealed_payload(row_of(desk, done.job_id)["payload"])
    found = jobs.show_job(desk, ROOT, done.job_id).job["payload"]
    assert found["kwargs"] == {"note": "another", "pin": MASK}
    keyless = replace(desk, settings=replace(desk.settings, encryption_keys=KeyRing({})))
    with pytest.raises(SealError):
        resubmission.resubmit(keyless, ROOT, first.id)
    stolen = cli_environment.add("FAILED", job_type="again.hide", payload=json.dumps(row_of(desk, first.id)["payload"]))
    with pytest.raises(SealError, match="is that of job"):
        resubmission.resubmit(desk, ROOT, stolen)
    with pytest.MonkeyPatch.context() as patch:
        task = desk.application().tasks["again.hide"]
        patch.setattr(task, "job", replace(task.job, encrypt=False))
        with pytest.raises(InvalidPayload, match=r"new jobs of again\.hide are not"):
            resubmission.resubmit(desk, ROOT, first.id, shown)


def test_a_dead_letter_is_edited_looked_at_first_and_replayed(
    web: TestClient, desk: Desk, cli_environment: CliEnvironment
) -> None:
    job_id = cli_environment.fail(job_type="again.pay", payload=json.dumps(PAID))
    here = "/dead-letters/letters/1"
    shown = area(web.get(here).text)
    assert shown["kwargs"]["card"] == MASK
    asked = {**shown, "args": [43]}
    seen = web.post(here, data={"payload": json.dumps(asked), "what": "preview"})
    assert seen.status_code == 200 and "args[0]" in seen.text
    assert cli_environment.json("dlq", "show", "1")["edited_payload"] is None
    wrong = web.post(here, data={"payload": "{", "what": "keep"})
    assert wrong.status_code == 422 and "it is no JSON" in wrong.text
    wrong = web.post(here, data={"payload": json.dumps({"args": [], "kwargs": {"card": MASK}}), "what": "keep"})
    assert wrong.status_code == 422 and "customer" in wrong.text
    kept = web.post(here, data={"payload": json.dumps(asked), "what": "keep"})
    assert kept.status_code == 303 and kept.headers["location"] == "/dead-letters/f"
    done = web.post(here, data={"payload": json.dumps({**asked, "args": [44]}), "what": "replay"})
    assert done.status_code == 303 and "runs%20once%20more" in done.headers["set-cookie"]
    row = row_of(desk, job_id)
    assert (row["status"], row["payload"]["args"], row["payload"]["kwargs"]["card"]) == ("PENDING", [44], SECRET)
    assert web.get("/dead-letters/letters/9").status_code == 404
    assert web.get(f"/dead-letters/letters/{2**70}").status_code == 422
    late = web.post(here, data={"payload": json.dumps(asked), "what": "keep"})
    assert late.status_code == 409 and "resolved already" in late.text
    # A type whose code is not here is held against what was told of it.
    cli_environment.fail(job_type="again.pay", payload=json.dumps(PAID))
    bare = Celery("bare", set_as_current=False)
    bare.finalize()
    bare.tasks.pop("again.pay")
    with browser(replace(desk, application=lambda: bare)) as program:
        program.headers.update(token_of(desk, "ann", "admin"))
        path = f"{API}/letters/2/payload"
        refused = program.put(path, json={"payload": {"args": ["x"], "kwargs": {}}, "dry_run": True})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/0")
        tried = program.put(path, json={"payload": {"args": [7]}, "dry_run": True}).json()
    assert (tried["checked"], tried["kept"], len(tried["changes"])) == (True, False, 3)
    told = cli_environment.json("dlq", "edit", "2", "--set", "args[0]=5", "--dry-run")
    assert (told["kept"], told["changes"][0]["path"]) == (False, "args[0]")
    assert cli_environment.json("dlq", "show", "2")["edited_payload"] is None


def test_a_job_shows_what_each_attempt_has_logged_bounded_masked_and_as_text(
    web: TestClient, desk: Desk, cli_environment: CliEnvironment, database: Database
) -> None:
    job_id = cli_environment.fail(job_type="again.pay")
    lines = [f"line {number} {'x' * 50}" for number in range(1_000)]
    text = "\n".join([*lines, "<script>alert(1)</script> password=hunter2hunter2"])
    with database.transaction() as transaction:
        rows = [{"job_id": job_id, "attempt": 1, "at": 1.0, "text": text, "cut": 7}]
        attempt_logs.record(transaction, rows)
    (log,) = logs.ends(desk, ROOT, job_id)
    assert len(log.text) <= 16_000 and log.text.startswith("line ") and log.cut == 7 + 1_001 - len(log.text.split("\n"))
    page = web.get(f"/jobs/{job_id}").text
    assert f"{log.cut:,} lines before were cut." in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; password=***" in page
    assert "hunter2" not in page and "line 1 " not in page
    told = cli_environment.json("jobs", "logs", job_id, "--all")["logs"]
    assert [(each["attempt"], each["cut"]) for each in told] == [(1, log.cut)]
    assert web.get(f"{API}/jobs/{job_id}/logs/ends").json()["logs"][0]["cut"] == log.cut
    viewer = Actor("vera", Via.PAGE, ROLES["viewer"], Scope())
    with pytest.raises(Forbidden):
        logs.ends(desk, viewer, job_id)
    add_user(desk, "vera", "viewer")
    sign_in(web, "vera")
    page = web.get(f"/jobs/{job_id}").text
    assert "line 999" not in page and "/edit" not in page
    assert web.get(f"/jobs/{job_id}/edit").status_code == 403


def test_filters_are_kept_per_person_with_their_columns(
    web: TestClient, desk: Desk, cli_environment: CliEnvironment
) -> None:
    cli_environment.add("COMPLETED", job_type="again.pay", queue="mail", tenant="acme")
    page = web.get("/jobs", params={"q": "queue:mail", "cols": ["tenant", "took"]}).text
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page)
    assert heads[-3:] == ["Job type", "Took", "Tenant"] and "acme" in page
    assert '<option value="type:again.pay">' in page and '<option value="state:failed">' in page
    assert "/jobs?q=state%3Acompleted+queue%3Amail&amp;cols=took%2Ctenant" in page.replace("%20", "+")
    assert 'value="tenant" checked' in web.get("/jobs/columns?cols=tenant,took").text
    name = '<b>"mine"</b>'
    saved = web.post("/jobs/filters", data={"name": name, "q": "queue:mail", "cols": "took,tenant"})
    assert saved.status_code == 303 and saved.headers["location"] == "/jobs?q=queue%3Amail&cols=took%2Ctenant"
    page = web.get("/jobs").text
    assert f"Saved as {html.escape(name)}.".replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    assert 'href="/jobs?q=queue%3Amail&amp;cols=took%2Ctenant"' in page and "<b>&" not in page
    wrong = web.post("/jobs/filters", data={"name": "x", "q": "colour:red"})
    assert wrong.status_code == 422 and "no field" in wrong.text
    add_user(desk, "bob", "viewer")
    bob = Actor("bob", Via.PAGE, ROLES["viewer"], Scope())
    assert saved_filters.list_filters(desk, bob) == []
    with pytest.raises(JobOptionError):
        saved_filters.remove(desk, bob, name)
    # A token keeps those of its user.
    headers = token_of(desk, "ann", "admin")
    found = web.get(f"{API}/filters", headers=headers).json()["rows"]
    assert [(row["name"], row["filter"], row["columns"]) for row in found] == [(name, "queue:mail", ["took", "tenant"])]
    asked = {"name": "late", "filter": "state:failed", "columns": []}
    assert web.put(f"{API}/filters", json=asked, headers=headers).status_code == 204
    assert web.delete(f"{API}/filters?name={quote(name)}", headers=headers).status_code == 204
    assert web.delete(f"{API}/filters?name=none", headers=headers).status_code == 422
    assert web.post("/jobs/filters/remove", data={"name": "late"}).headers["location"] == "/jobs"
    for number in range(saved_filters.MOST):
        saved_filters.save(desk, bob, f"f{number}", "")
    with pytest.raises(JobOptionError, match="50 filters already"):
        saved_filters.save(desk, bob, "one more", "")
    saved_filters.save(desk, bob, "f1", "state:failed")
    assert cli_environment.run("jobs", "filters", "save", "here", "state:failed").exit_code == 0
    assert [row["name"] for row in cli_environment.json("jobs", "filters", "list")["filters"]] == ["here"]
    assert cli_environment.run("jobs", "filters", "remove", "here").exit_code == 0
