"""A browser, the dashboard of a fleet, and what is wrong with the pages that it shows."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet
from processes import eventually

from jobplatform.actions import people
from jobplatform.actions.actor import Actor, at_terminal
from jobplatform.actions.desk import Desk

PASSWORD = "correct horse battery"
WIDTHS = (360, 1280)
#: Milliseconds that a page has to show something.
_PATIENCE = 15_000
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Tells what a page offers to press once it is there, and what of it is pressed, in the same words.
_TOLD = """(() => {
  const path = (each) => new URL(each ?? location.pathname, location.href).pathname;
  const words = (form, button) => {
    if (!form) return `button ${button.id || button.getAttributeNames().find((each) => /^data-/.test(each))}`;
    if (form.getAttribute("method") === "dialog") return "close";
    const value = button?.name ? ` ${button.name}=${button.value}` : "";
    const method = button?.getAttribute("formmethod") ?? form.getAttribute("method") ?? "get";
    return `${method.toUpperCase()} ${path(button?.getAttribute("formaction") ?? form.getAttribute("action"))}${value}`;
  };
  const tell = (what, all) => console.debug(JSON.stringify([what, all]));
  addEventListener("DOMContentLoaded", () => tell("offered", [...document.querySelectorAll("button:enabled")].map(
    (each) => words(each.type === "button" ? null : each.form, each))));
  addEventListener("submit", (event) => tell("pressed", [words(event.target, event.submitter)]), true);
  addEventListener("click", (event) => {
    const button = event.target.closest("button[type=button]");
    if (button) tell("pressed", [words(null, button)]);
  }, true);
})();"""
_REFUSED = "console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def chromium() -> str:
    """Find a browser.

    :raises Skipped: where there is none, saying how to run what needs it.
    """
    for name in (os.environ.get("JOBPLATFORM_TEST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name) if name else None
        if found:
            return found
    pytest.skip("no Chromium here; to run this: apt-get install chromium, or name one in JOBPLATFORM_TEST_CHROMIUM")


@dataclass
class Watched:
    """What pages did that they must not do.

    :ivar found: said on the console, asked of another origin, refused by the policy, or asked in a dialog.
    :ivar offered: what there was to press, and where it was seen.
    :ivar asked: the questions that were looked at, by what they are made of.
    :ivar pressed: what of it was.
    """

    here: str
    found: list[str] = field(default_factory=list)
    offered: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    pressed: set[str] = field(default_factory=set)

    def taken(self) -> list[str]:
        """Give what was found since it was taken last."""
        taken, self.found = self.found, []
        return taken

    def follow(self, context: Any) -> None:
        """Note what the pages of a browser's context do."""
        context.set_default_timeout(_PATIENCE)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.found.append(f"error: {error.error}"))
        context.on("request", self._request)
        context.on("dialog", self._dialog)
        context.add_init_script(f"addEventListener('securitypolicyviolation', (event) => {_REFUSED});")
        context.add_init_script(_TOLD)

    def _console(self, message: Any) -> None:
        if message.type == "debug":
            what, found = json.loads(message.text)
            if what == "pressed":
                self.pressed.update(found)
            else:
                self.offered.update(dict.fromkeys(found, message.page.url if message.page else "?"))
            return
        # A page that says what is wrong with an input has the status of a refusal, which browsers write down.
        refused = "status of 422" in message.text or "status of 404" in message.text
        if message.type in ("error", "warning") and not refused:
            self.found.append(f"console: {message.text} at {message.page.url if message.page else '?'}")

    def _dialog(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.here, "data:", "blob:")):
            self.found.append(f"off origin: {request.url}")


def desk_of(fleet: Fleet) -> tuple[Desk, Actor]:
    """Give where actions are done by whoever set the fleet up."""
    return Desk(fleet.settings, fleet.database, lambda: fleet.redis, lambda: fleet.client), at_terminal("root")


def serve(fleet: Fleet) -> str:
    """Start the dashboard of a fleet, with somebody of each role; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for role in ("viewer", "operator", "admin"):
        people.add_user(*desk_of(fleet), role, PASSWORD, role)
    # Pages offer what can be asked of a fleet, too, and a notice to somebody who is told of alerts: in vain.
    told = {"JOBPLATFORM_ALERT_SMTP": "smtps://127.0.0.1:9", "JOBPLATFORM_ALERT_MAIL": "ann@shop.example"}
    own = {"JOBPLATFORM_WEB_BIND": f"127.0.0.1:{port}", "JOBPLATFORM_FLEET": "procfile", **told}
    web = fleet.python("-c", "from jobplatform.cli import main; main()", "web", name="web", **own)
    eventually(lambda: web.says("Uvicorn running"), 30, web.tail)
    return f"http://127.0.0.1:{port}"


@contextmanager
def browser() -> Iterator[Any]:
    """Open a browser without a window."""
    path = chromium()
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the development packages: make install")
    with playwright.sync_playwright() as run:
        opened = run.chromium.launch(executable_path=path, headless=True, args=list(_ARGUMENTS))
        yield opened
        opened.close()


def sign_in(page: Any, here: str, name: str) -> None:
    """Sign somebody in by the form."""
    page.goto(f"{here}/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{here}/")


@cache
def axe_script() -> str:
    """Read the rules of accessibility, which are no part of any page that is shipped."""
    package = pytest.importorskip("axe_playwright_python", reason="needs the development packages: make install")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


def axe_findings(page: Any, of: str = "html") -> list[str]:
    """List what keeps people from using a page as it is now, seriously or worse.

    :param of: the part of the page that is looked at.
    """
    options = {
        "runOnly": {"type": "tag", "values": _TAGS},
        "resultTypes": ["violations"],
        "preload": False,
        "selectors": False,
    }
    found = page.evaluate("async ([of, options]) => (await axe.run(of, options)).violations", [of, options])
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


def overflow(page: Any) -> int:
    """Tell by how many pixels a page is wider than its window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(wide)
