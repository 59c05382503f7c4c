"""The dashboard in a real browser: read by all, steered by keyboard, harmless whatever jobs are given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser_place as place
import dashboard_jobs
import pytest
from dashboard_deeds import DEEDS, Deed
from dashboard_hand import Hand
from dashboard_site import HOSTILE, NO_PAGES, Site, seed
from fleet import Fleet
from processes import eventually
from starlette.routing import compile_path

from jobplatform.devstack.stack import DevStack
from jobplatform.web.app import make_app
from jobplatform.web.rule import served

#: What no page has in its content, unless something of a payload was taken for HTML.
_INJECTED = """() => [...document.querySelectorAll("main *")].filter((each) =>
    ["script", "img", "iframe", "object", "embed", "style", "base"].includes(each.localName)
    || each.getAttributeNames().some((name) => name.startsWith("on") || name === "srcdoc")
    || /^\\s*(javascript|data|vbscript):/i.test(each.getAttribute("href") ?? each.getAttribute("action") ?? "")
).map((each) => each.outerHTML.slice(0, 200))"""
#: Opens what is folded, so that it is looked at, too; of rows that have the same parts, and of operations, two.
_UNFOLDED = """() => {
    const seen = {};
    for (const row of document.querySelectorAll("tbody tr, .story > li, section > details")) {
        const parts = [row.localName, ...[...row.querySelectorAll("*")].map((each) => each.className)].join();
        seen[parts] = (seen[parts] ?? 0) + 1;
        if (seen[parts] > 2) row.remove();
    }
    for (const each of document.querySelectorAll("details")) each.open = true;
}"""
#: What a page without JavaScript must not show, as nothing would come of it.
_DEAD = "[...document.querySelectorAll('button[type=button], [data-script]')].filter((each) => each.checkVisibility())"
#: Parts of addresses that say what is to be done.
_VERBS = ("verb", "duty")
_SHOTS = os.environ.get("JOBPLATFORM_TEST_SCREENSHOTS")


@pytest.fixture(scope="module")
def site(stack: DevStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        place.browser() as browser,
        Fleet(
            stack,
            tmp_path_factory.mktemp("dashboard"),
            [dashboard_jobs.__name__],
            JOBPLATFORM_HEARTBEAT_SECONDS="3",
            JOBPLATFORM_SAMPLE_SECONDS="3",
        ) as fleet,
    ):
        fleet.start_controller()
        fleet.start_worker("-c", "1", "-Q", "celery")
        here = place.serve(fleet)
        paths = seed(fleet)
        yield Site(fleet, here, browser, place.Watched(here), paths)


@pytest.fixture(scope="module", params=["keys", "no_script"])
def hand(site: Site, request: pytest.FixtureRequest) -> Iterator[Hand]:
    """Somebody with a keyboard at a wide, light screen, and somebody with a narrow, dark one and no JavaScript."""
    keys = request.param == "keys"
    context = site.browser.new_context(
        viewport={"width": 1280 if keys else 360, "height": 900},
        color_scheme="light" if keys else "dark",
        java_script_enabled=keys,
    )
    site.watched.follow(context)
    page = context.new_page()
    place.sign_in(page, site.here, "admin")
    yield Hand(site, page, request.param, keys)
    context.close()


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
    """Each page in both themes and at both widths, with all that is folded open."""
    found = list[str]()
    context = site.browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    site.watched.follow(context)
    page = context.new_page()
    page.goto(f"{site.here}/sign-in")
    found += _looked_at(page, "sign-in")
    place.sign_in(page, site.here, "admin")
    for name, path in site.paths.items():
        page.goto(site.here + path)
        # What is looked at stays as it is.
        page.keyboard.press(".")
        found += _looked_at(page, name)
    context.close()
    found += site.watched.taken()
    assert not found, "\n".join(found)


def _looked_at(page: Any, name: str) -> list[str]:
    """Tell what is wrong with a page, in both themes and at both widths."""
    found = [f"{name}: {each}" for each in page.evaluate(_INJECTED)]
    page.evaluate(place.axe_script())
    if _SHOTS is None:
        page.evaluate(_UNFOLDED)
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "dark"), (360, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        _shoot(page, f"{name}-{scheme}-{width}")
        wide = place.overflow(page)
        seen = [*([f"{wide} px too wide"] if wide > 0 else []), *place.axe_findings(page)]
        found += [f"{name} at {width}, {scheme}: {each}" for each in seen]
    return found


def test_every_page_of_the_application_is_among_those_that_are_read(site: Site) -> None:
    desk, _ = place.desk_of(site.fleet)
    pages = [each.path for each in served(make_app(desk)) if "GET" in each.methods and each.path[:8] != "/api/v1/"]
    read = {next(each for each in pages if _leads(each, path.partition("?")[0])) for path in site.paths.values()}
    assert set(pages) - read == set(NO_PAGES)


def _leads(route: str, path: str) -> bool:
    return compile_path(route)[0].match(path) is not None


def test_every_page_can_be_read_without_javascript(site: Site) -> None:
    context = site.browser.new_context(viewport={"width": 360, "height": 900}, java_script_enabled=False)
    site.watched.follow(context)
    page = context.new_page()
    place.sign_in(page, site.here, "admin")
    found = []
    for name, path in site.paths.items():
        page.goto(site.here + path)
        found += [] if page.get_by_role("heading", level=1).count() == 1 else [f"{name}: it has no heading"]
        found += [f"{name}: {each}" for each in page.evaluate(f"{_DEAD}.map((each) => each.outerHTML)")]
    context.close()
    assert not found + site.watched.taken(), found


@pytest.mark.parametrize("deed", DEEDS, ids=lambda each: each.__name__)
def test_what_pages_offer_is_done(hand: Hand, deed: Deed) -> None:
    """By keyboard alone, and without JavaScript."""
    hand.site.watched.taken()
    deed(hand)
    assert not hand.site.watched.taken()


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


def test_the_page_of_a_job_follows_it(site: Site, admin: Any) -> None:
    admin.goto(f"{site.here}/submit?type=dashboard_jobs.greet")
    admin.get_by_label("name").fill(HOSTILE[1])
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
    found = site.fleet.rows("select actor, reason from @audit_log where action = 'jobs.cancel' order by audit_id")
    assert (found[-1]["actor"], found[-1]["reason"]) == ("operator", "not wanted any more")
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


def test_nothing_that_pages_offer_is_left_out(site: Site, admin: Any, request: pytest.FixtureRequest) -> None:
    """What no test of this module has pressed, of all that any page offered, and of what the application takes."""
    whole = [each for each in request.session.items if each.path == request.path]
    if len(whole) < 2 * len(DEEDS):
        pytest.skip("it wants what the tests before it have pressed: run the whole module")
    admin.goto(f"{site.here}/settings")
    admin.get_by_role("button", name="Sign out admin").click()
    admin.wait_for_url("**/sign-in")
    desk, _ = place.desk_of(site.fleet)
    taken = [each.path for each in served(make_app(desk)) if "POST" in each.methods and each.path[:5] != "/api/"]
    pressed = {_named(each, taken) for each in site.watched.pressed}
    offered = {_named(each, taken): where for each, where in site.watched.offered.items()}
    assert not {each: where for each, where in offered.items() if each not in pressed}
    posted = {each.split()[1] for each in pressed if each.startswith("POST ")}
    assert not [route for route in taken if not any(_leads(route, each) or route == each for each in posted)]


def _named(pressed: str, routes: list[str]) -> str:
    """Name what was pressed by its route; of what a route is told, a verb alone makes it another."""
    method, _, rest = pressed.partition(" ")
    path, _, value = rest.partition(" ")
    for route in routes if method == "POST" else ():
        found = compile_path(route)[0].match(path)
        if found:
            verbs = {name: found[name] if name in _VERBS else "_" for name in found.groupdict()}
            return f"POST {route.format(**verbs)} {value}".strip()
    return pressed


def _shoot(page: Any, name: str) -> None:
    if _SHOTS and _SHOTS != "docs":
        directory = Path(_SHOTS)
        directory.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(directory / f"{name}.png"), full_page=True)
