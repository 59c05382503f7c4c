"""From ``jobplatform up`` in an empty directory to the first job that is done, by the form of the dashboard.

A real browser signs in as the platform says, fills in the form, and waits for the job's page to say that it is done.
Each step is timed from the start of the command, and pictured; ``--write`` puts them into the documentation.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click
from playwright.sync_api import Page, sync_playwright

from benchmarks.animation import Frame, animate
from benchmarks.processes import ROOT
from benchmarks.stacks import BenchmarkError, say, wait_until
from jobplatform.devstack.spawn import spawn

#: Seconds that it may take, and after which it has failed.
GOAL, _PATIENCE = 60.0, 180.0
_WINDOW = {"width": 960, "height": 640}
_FRAME_MILLISECONDS = 2_500
_SHOP = '''"""Jobs of a shop."""

from jobplatform import current_job, job


@job(queue="celery", priority=3, max_retries=5, timeout=60)
def charge(customer: int, amount: float) -> dict[str, float]:
    """Charge a customer."""
    current_job().progress(1, 1, "charged")
    return {"charged": amount}
'''


class Step(NamedTuple):
    """Something that was done.

    :param seconds: since the command was started.
    :param picture: a PNG; None of what happens at the terminal.
    """

    words: str
    seconds: float
    picture: bytes | None = None


class Up(NamedTuple):
    """A platform that runs: where its dashboard is and how to sign in, as it has printed it."""

    address: str
    name: str
    password: str


@click.command()
@click.option("--write", is_flag=True, help="Write the recording into docs/first-job.")
def main(write: bool) -> None:
    """Time the way to the first job that is done."""
    start = time.monotonic()
    steps = []
    for step in _steps(start):
        say(f"{step.seconds:6.1f} s  {step.words}")
        steps.append(step)
    if write:
        _record(steps, ROOT / "docs" / "first-job")
    if steps[-1].seconds > GOAL:
        raise BenchmarkError(f"it took {steps[-1].seconds:.1f} s; it may take {GOAL:g}")


def _steps(start: float) -> Iterator[Step]:
    def since() -> float:
        return time.monotonic() - start

    with tempfile.TemporaryDirectory(prefix="first-job-") as directory, _up(Path(directory)) as up:
        yield Step("`jobplatform up` has printed where the dashboard is and how to sign in", since())
        with _window() as page:
            page.goto(f"{up.address}/sign-in")
            page.get_by_label("Name").fill(up.name)
            page.get_by_label("Password").fill(up.password)
            yield Step("The form to sign in, with what was printed", since(), page.screenshot())
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name="Overview").wait_for()
            yield Step("The overview: nothing yet", since(), page.screenshot())
            yield from _submit(page, up.address, since)


def _submit(page: Page, address: str, since: Callable[[], float]) -> Iterator[Step]:
    chosen = page.get_by_role("link", name="shop.charge")

    def told() -> bool:
        page.goto(f"{address}/submit")
        return chosen.count() > 0

    wait_until(told, "the controller has told of the job type", _PATIENCE)
    yield Step("The job types that can be submitted", since(), page.screenshot())
    chosen.click()
    page.get_by_label("customer").fill("7")
    page.get_by_label("amount").fill("9.5")
    yield Step("The form of the job type, made from its arguments", since(), page.screenshot())
    page.get_by_role("button", name="Submit").click()
    page.locator(".toast", has_text="Submitted.").wait_for()
    yield Step("The job is submitted, and its page follows it", since())
    page.locator("#what", has_text="completed").wait_for()
    yield Step("The page says that the job is done", since(), page.screenshot())


@contextmanager
def _up(directory: Path) -> Iterator[Up]:
    """Run the platform on this machine for the time of a block, with servers and data of its own."""
    (directory / "shop.py").write_text(_SHOP)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBPLATFORM_", "DATABASE_URL"))}
    kept.pop("REDIS_URL", None)
    env = {**kept, "JOBPLATFORM_IMPORTS": "shop", "PYTHONPATH": str(directory), "PYTHONUNBUFFERED": "1"}
    log = directory / "up.log"
    with log.open("wb") as output:
        process = spawn(
            [sys.executable, "-m", "jobplatform.cli", "up"], signal.SIGTERM, env=env, cwd=directory, stdout=output
        )
    try:
        yield _printed(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE)


def _printed(process: subprocess.Popen[bytes], log: Path) -> Up:
    def said() -> re.Match[str] | None:
        if process.poll() is not None:
            raise BenchmarkError(f"jobplatform up ended with {process.returncode}:\n{log.read_text()[-2_000:]}")
        return re.search(r"dashboard +(\S+)\n +login +(\S+) / (\S+) ", log.read_text(errors="replace"))

    wait_until(lambda: said() is not None, "jobplatform up says where it is", _PATIENCE)
    found = said()
    assert found is not None
    wait_until(lambda: "Uvicorn running" in log.read_text(errors="replace"), "the dashboard answers", _PATIENCE)
    return Up(*found.groups())


@contextmanager
def _window() -> Iterator[Page]:
    """Open a window of a browser that is installed on this machine."""
    names = (os.environ.get("JOBPLATFORM_TEST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if name and (found := shutil.which(name))), None)
    if path is None:
        raise BenchmarkError("no Chromium here; install it: apt-get install chromium")
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=_WINDOW, reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_default_timeout(_PATIENCE * 1_000)
        yield page
        browser.close()


def _record(steps: list[Step], place: Path) -> None:
    """Write the pictures, one that shows them all in turn, and the page around them."""
    place.mkdir(parents=True, exist_ok=True)
    frames = [Frame(step.picture, _FRAME_MILLISECONDS) for step in steps if step.picture is not None]
    (place / "recording.png").write_bytes(animate(frames))
    rows, shown = [], []
    for number, step in enumerate(steps, 1):
        rows.append(f"| {number} | {step.words} | {step.seconds:.1f} |")
        if step.picture is not None:
            (place / f"{number}.png").write_bytes(step.picture)
            shown.append(f"## {number}. {step.words}\n\n![{step.words}]({number}.png)\n\nAfter {step.seconds:.1f} s.\n")
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    text = _PAGE.format(last=steps[-1].seconds, machine=machine, rows="\n".join(rows), shown="\n".join(shown))
    (place / "index.md").write_text(text)


_PAGE = """# The first job, recorded

What `python -m benchmarks.first_job --write` saw: `jobplatform up` in an empty directory, a browser, and the form of
the dashboard. From the start of the command to a job that is done it took {last:.1f} s ({machine}); it may take 60 s.
[The quick start](../guides/quick-start.md) has the same job. Each picture stays for as long as you look;
[the recording](recording.png) shows them in turn.

| step | what | seconds since the start |
|---|---|---|
{rows}

{shown}"""


if __name__ == "__main__":
    main()
