"""The dashboard in a real browser: read by all, steered by keyboard, harmless whatever jobs are given."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import browser_place as place
import dashboard_jobs
import pytest
from fleet import ROOT, Fleet
from processes import eventually

from jobplatform import Workflow
from jobplatform.actions import schedule_edits
from jobplatform.devstack.stack import DevStack

#: Texts that would do something if a page took them for anything but text (OWASP, XSS filter evasion).
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' onmouseover='alert(3)",
    "javascript:alert(4)",
    "</textarea><svg/onload=alert(5)>",
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "<iframe srcdoc='<script>alert(6)</script>'>",
    "\u202e<b onclick=alert(7)>",
)
#: What no page has in its content, unless something of a payload was taken for HTML.
_INJECTED = """() => [...document.querySelectorAll("main *")].filter((each) =>
    ["script", "img", "iframe", "object", "embed", "style", "base"].includes(each.localName)
    || each.getAttributeNames().some((name) => name.startsWith("on") || name === "srcdoc")
    || /^\\s*(javascript|data|vbscript):/i.test(each.getAttribute("href") ?? each.getAttribute("action") ?? "")
).map((each) => each.outerHTML.slice(0, 200))"""
_SHOTS = os.environ.get("JOBPLATFORM_TEST_SCREENSHOTS")


class Site(NamedTuple):
    """The dashboard of a fleet, and a browser that watches its pages.

    :param paths: of all pages.
    """

    fleet: Fleet
    here: str
    browser: Any
    watched: place.Watched
    paths: dict[str, str]


@pytest.fixture(scope="module")
def site(stack: DevStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        place.browser() as browser,
        Fleet(
            stack,
            tmp_path_factory.mktemp("dashboard"),
            [dashboard_jobs.__name__],
            JOBPLATFORM_HEARTBEAT_SECONDS="1",
            JOBPLATFORM_SAMPLE_SECONDS="1",
        ) as fleet,
    ):
        fleet.start_controller()
        fleet.start_worker("-c", "1", "-Q", "celery")
        here = place.serve(fleet)
        paths = _seed(fleet)
        yield Site(fleet, here, browser, place.Watched(here), paths)


def _seed(fleet: Fleet) -> dict[str, str]:
    tasks = fleet.client.tasks
    flow = Workflow(fleet.client)
    first = flow.add(tasks["dashboard_jobs.greet"].s("first"), name="first")
    seconds = [flow.add(tasks["dashboard_jobs.greet"].s(f"second {n}"), after=[first], name=f"s{n}") for n in range(3)]
    flow.add(tasks["dashboard_jobs.greet"].s("last"), after=seconds, name="last")
    flow.submit()
    for name in ("Ann", *HOSTILE):
        tasks["dashboard_jobs.charge"].submit(name, 42)
        tasks["dashboard_jobs.report"].submit(name)
    eventually(lambda: fleet.states()["COMPLETED"] == 5 and fleet.states()["FAILED"] == len(HOSTILE) + 1, 60)
    eventually(lambda: bool(fleet.rows("select 1 as one from @queue_samples limit 1")), 30)
    _hostile_rows(fleet)
    schedule_edits.add(*place.desk_of(fleet), "tidy <b>up</b>", "dashboard_jobs.greet", "0 4 * * mon-fri", {})
    root = fleet.rows("select job_id::text from @jobs where status = 'COMPLETED' order by created_at limit 1")
    failed = fleet.rows(
        "select job_id::text, fingerprint from @jobs where status = 'FAILED' and fingerprint is not null limit 1"
    )
    hostile = fleet.rows("select job_id::text from @jobs where tenant = 'hostile' limit 1")
    return {
        "overview": "/",
        "jobs": "/jobs",
        "jobs-failed": "/jobs?q=state%3Afailed",
        "jobs-none": "/jobs?q=type%3Anone",
        "jobs-refused": "/jobs?q=colour%3Ared",
        "job-failed": f"/jobs/{failed[0]['job_id']}",
        "job-hostile": f"/jobs/{hostile[0]['job_id']}",
        "workflow": f"/jobs/{root[0]['job_id']}/workflow",
        "submit-types": "/submit",
        "submit": "/submit?type=dashboard_jobs.greet",
        "bulk": "/bulk",
        "queues": "/queues",
        "workers": "/workers",
        "dead-letters": "/dead-letters",
        "dead-letter": f"/dead-letters/{failed[0]['fingerprint']}",
        "schedules": "/schedules",
        "schedule": f"/schedules/{quote('tidy <b>up</b>')}",
        "schedule-form": "/schedules/edit?cron=0+8+*+*+1-5&timezone=Europe/Berlin&name=x&job_type=y",
        "decisions": "/decisions",
        "metrics": "/history",
        "models": "/models",
        "audit": "/audit",
        "people": "/people",
        "settings": "/settings",
        "api": "/api/docs",
        "problem": "/jobs/none",
    }


def _hostile_rows(fleet: Fleet) -> None:
    """Write what no door would let in, as another program that has the database may."""
    for text in HOSTILE:
        payload = json.dumps({"args": [text], "kwargs": {text: {text: [text]}}})
        fleet.rows(
            """
            insert into @jobs (job_id, job_type, status, payload, queue, attempt, error_type, error_message, tags,
                tenant, worker_id, result, hold_reason)
            values (%(id)s, left(%(text)s, 100), 'PAUSED', %(payload)s, left(%(text)s, 100), 1, left(%(text)s, 100),
                %(text)s, array[%(text)s], 'hostile', %(text)s, %(payload)s, %(text)s)
            returning job_id
            """,
            id=str(uuid.uuid4()), text=text, payload=payload,
        )  # fmt: skip


@pytest.fixture
def admin(site: Site) -> Iterator[Any]:
    context = site.browser.new_context(viewport={"width": 1280, "height": 900})
    site.watched.follow(context)
    page = context.new_page()
    place.sign_in(page, site.here, "admin")
    yield page
    context.close()
    assert not site.watched.taken()


def test_every_page_can_be_read_by_everybody(site: Site) -> None:
    axe, found = place.axe_script(), list[str]()
    for scheme in ("light", "dark"):
        context = site.browser.new_context(
            color_scheme=scheme, viewport={"width": 1280, "height": 900}, reduced_motion="reduce", bypass_csp=False
        )
        site.watched.follow(context)
        page = context.new_page()
        place.sign_in(page, site.here, "admin")
        for name, path in site.paths.items():
            page.goto(site.here + path)
            for width in place.WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                wide = place.overflow(page)
                found += [f"{name} at {width}: {wide} px too wide"] if wide > 0 else []
                _shoot(page, f"{name}-{scheme}-{width}")
            found += [f"{name}: {each}" for each in page.evaluate(_INJECTED)]
            page.evaluate(axe)
            found += place.axe_findings(page, only_colours=scheme == "dark")
        context.close()
    found += site.watched.taken()
    assert not found, "\n".join(found)


def test_jobs_are_found_and_steered_by_keyboard_alone(site: Site, admin: Any) -> None:
    keys = admin.keyboard
    keys.press("g")
    keys.press("j")
    admin.wait_for_url("**/jobs")
    keys.press("/")
    keys.type('type:dashboard_jobs.charge kwargs.none:1 "nobody says this"')
    keys.press("Enter")
    admin.get_by_role("heading", name="No jobs here").wait_for()
    keys.press("/")
    keys.press("Control+a")
    keys.type("type:dashboard_jobs.charge state:failed")
    keys.press("Enter")
    admin.get_by_text("9 jobs of this page").wait_for()
    for key in ("j", "x", "j", "x", "r"):
        keys.press(key)
    dialog = admin.get_by_role("dialog", name="Retry 2 jobs?")
    dialog.wait_for()
    keys.press("Enter")
    admin.locator(".toast", has_text="2 jobs replayed.").wait_for()
    # They fail once more, and the page shows it by itself, without being asked.
    admin.get_by_text("9 jobs of this page").wait_for()
    keys.press("?")
    admin.get_by_role("dialog", name="Keys").wait_for()
    keys.press("Escape")
    keys.press("j")
    keys.press("Enter")
    admin.wait_for_url("**/jobs/*-*")
    admin.get_by_role("heading", name="Attempts").wait_for()
    admin.locator("#attempts").get_by_text("Gave it up").first.wait_for()


def test_a_job_is_submitted_and_its_page_follows_it(site: Site, admin: Any) -> None:
    admin.goto(f"{site.here}/submit?type=dashboard_jobs.greet")
    admin.get_by_label("times").fill("many")
    admin.get_by_label("name").fill(HOSTILE[1])
    admin.get_by_role("button", name="Submit").click()
    admin.locator(".problem", has_text="it is no integer").first.wait_for()
    admin.get_by_label("times").fill("2")
    admin.get_by_role("button", name="Submit").click()
    admin.locator(".toast", has_text="Submitted.").wait_for()
    admin.locator("#what", has_text="completed").wait_for()
    assert f"hello {HOSTILE[1]}" in admin.locator("#result").inner_text()


def test_more_than_a_hundred_jobs_are_cancelled_only_by_whoever_types_how_many(site: Site) -> None:
    for _ in range(101):
        site.fleet.client.tasks["dashboard_jobs.report"].apply_async(("many",), tags=["unwanted"])
    context = site.browser.new_context(java_script_enabled=False)
    site.watched.follow(context)
    page = context.new_page()
    place.sign_in(page, site.here, "operator")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_label("Filter jobs").fill("tag:unwanted")
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("All that match").check()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_label("Reason").fill("not wanted any more")
    page.get_by_label("to go on").fill("7")
    page.get_by_role("button", name="Cancel 101 jobs").click()
    page.get_by_text("it is not the one that was asked for").wait_for()
    page.get_by_label("to go on").fill("101")
    page.get_by_role("button", name="Cancel 101 jobs").click()
    page.locator(".toast", has_text="101 jobs cancelled.").wait_for()
    for path in site.paths.values():
        if path not in ("/people", "/audit", "/jobs/none"):
            page.goto(site.here + path)
            assert page.get_by_role("heading", level=1).count() == 1
    found = site.fleet.rows("select actor, reason from @audit_log where action = 'jobs.cancel'")
    assert {(row["actor"], row["reason"]) for row in found} == {("operator", "not wanted any more")}
    context.close()
    assert not site.watched.taken()


def test_what_is_done_to_many_jobs_is_done_by_a_job_whose_progress_shows(site: Site, admin: Any) -> None:
    report = site.fleet.client.tasks["dashboard_jobs.report"]
    for _ in range(501):
        report.apply_async(("many",), tags=["moved"])
    admin.goto(f"{site.here}/jobs?q=tag%3Amoved")
    admin.get_by_label("All that match").check()
    admin.get_by_role("button", name="Move").click()
    admin.get_by_label("Queue").fill("slower")
    admin.get_by_label("to go on").fill("501")
    admin.get_by_role("button", name="Move 501 jobs").click()
    admin.wait_for_url("**/bulk/*")
    admin.locator("#bulk").get_by_text("501 moved").wait_for()


def test_what_pages_offer_is_done_and_written_down(site: Site, admin: Any) -> None:
    def press(path: str, button: str, **fields: str) -> Any:
        """Press a button of a page, and answer what is asked."""
        admin.goto(site.here + path)
        admin.get_by_role("button", name=button, exact=True).first.click()
        dialog = admin.get_by_role("dialog")
        dialog.wait_for()
        for label, value in fields.items():
            dialog.get_by_label(label).fill(value)
        dialog.locator("form button").first.click()
        return admin.locator(".toast")

    press("/queues", "Pause celery", Reason="a pause <b>").wait_for()
    admin.locator("#queues").get_by_text("a pause <b>").wait_for()
    admin.get_by_role("button", name="Resume celery", exact=True).click()
    admin.locator(".toast", has_text="celery goes on.").wait_for()
    press("/schedules", "Run tidy <b>up</b>").filter(has_text="It was fired.").wait_for()
    press("/schedules", "Pause tidy <b>up</b>").filter(has_text="done").wait_for()
    press("/workers", "Cordon " + site.fleet.rows("select name from @workers limit 1")[0]["name"]).wait_for()
    press("/workers", "Uncordon " + site.fleet.rows("select name from @workers limit 1")[0]["name"]).wait_for()
    letter = site.paths["dead-letter"]
    press(letter, "Replay", **{"Jobs that go first": "1"}).filter(has_text="has begun").wait_for()
    admin.goto(site.here + letter)
    admin.get_by_label("A note").fill(HOSTILE[0])
    admin.get_by_role("button", name="Note it").click()
    # The sample of the error and its frames may say the same: of whom it was charged last.
    admin.locator("#notes").get_by_text(HOSTILE[0], exact=True).wait_for()
    admin.goto(f"{site.here}/settings")
    admin.locator("summary", has_text="Make a token").click()
    admin.get_by_label("What it is for").fill("ci")
    admin.get_by_label("jobs.read", exact=True).check()
    admin.get_by_role("button", name="Make the token").click()
    secret = admin.locator("#token").inner_text()
    asked = admin.request.get(f"{site.here}/api/v1/jobs", headers={"authorization": f"Bearer {secret}"})
    assert asked.status == 200
    press("/people", "Keep viewer out").filter(has_text="was changed").wait_for()
    press("/people", "Let viewer in").filter(has_text="was changed").wait_for()
    admin.goto(f"{site.here}/audit")
    for action in ("queues.pause", "schedules.run", "workers.cordon", "replays.start", "tokens.add", "users.change"):
        assert admin.get_by_role("cell", name=action).count(), action


def test_two_pages_of_a_browser_share_one_stream_and_one_that_is_paused_stays(site: Site, admin: Any) -> None:
    streams: set[Any] = set()
    admin.context.on("request", lambda each: streams.add(each) if "/live-updates" in each.url else None)
    for end in ("requestfailed", "requestfinished"):
        admin.context.on(end, lambda each: streams.discard(each))
    # Its own stream began before anybody looked.
    admin.goto(f"{site.here}/settings")
    pages = [admin, admin.context.new_page()]
    for page in pages:
        page.goto(f"{site.here}/jobs?q=tag%3Ashared")
        page.locator("#live[data-state=live]").wait_for()
    # Whatever is asked of a page lets the browser tell what happened meanwhile.
    eventually(lambda: bool(admin.title()) and len(streams) == 1, 10, lambda: f"{len(streams)} streams")
    pages[0].keyboard.press(".")
    pages[0].locator("#live[data-state=paused]").wait_for()
    pages[1].wait_for_function("document.querySelector('#live').dataset.state === 'live'")
    site.fleet.client.tasks["dashboard_jobs.greet"].apply_async(("shared",), tags=["shared"])
    pages[1].get_by_text("1 job of this page").wait_for()
    assert pages[0].get_by_role("heading", name="No jobs here").count()
    pages[0].keyboard.press(".")
    pages[0].get_by_text("1 job of this page").wait_for()


def test_a_theme_is_kept_and_known_before_the_page_is_drawn(site: Site, admin: Any) -> None:
    admin.goto(f"{site.here}/settings")
    admin.get_by_label("dark").check()
    admin.get_by_role("button", name="Keep it").click()
    admin.locator(".toast", has_text="Kept in this browser.").wait_for()
    reply = admin.request.get(f"{site.here}/jobs")
    assert '<html lang="en" data-theme="dark"' in reply.text()
    ground = admin.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(16, 19, 23)"


def test_a_viewer_sees_no_payload_and_nothing_to_press(site: Site) -> None:
    context = site.browser.new_context()
    site.watched.follow(context)
    page = context.new_page()
    place.sign_in(page, site.here, "viewer")
    page.goto(site.here + site.paths["job-failed"])
    page.get_by_text("Withheld: to see it takes the permission jobs.payload.").first.wait_for()
    assert not page.locator("main form").count()
    assert page.get_by_role("link", name="People").count() == 0
    assert page.request.post(f"{site.here}/jobs/steer/retry", headers={"sec-fetch-site": "same-origin"}).status == 403
    context.close()
    assert not site.watched.taken()


def _shoot(page: Any, name: str) -> None:
    if _SHOTS:
        directory = ROOT / "docs" / "screenshots" if _SHOTS == "docs" else Path(_SHOTS)
        directory.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(directory / f"{name}.png"), full_page=True)
