"""The demo, on part of its input: what it claims in the summary, and what it leaves behind."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import eventually, running, tail

from examples.demo import broken, sources
from examples.demo import summary as checks
from examples.demo.analysis import analyse, error_of
from jobplatform.tally import Tally, progress_of

ROOT = Path(__file__).parents[2]
DEMO = ["-m", "examples.demo"]
LIMIT = 150
FLAKY_RETRIES = 18
DEMO_SECONDS = 150.0


class Page(HTMLParser):
    """What a page shows, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run."""
    directory = tmp_path_factory.mktemp("demo")
    # These name nothing that listens: the demo must not use them.
    env = {**os.environ, "DATABASE_URL": "postgresql://localhost:1/none", "REDIS_URL": "redis://localhost:1/0"}
    argv = [sys.executable, *DEMO, "--dir", str(directory), "--limit", str(LIMIT)]
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=DEMO_SECONDS)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    (directory / "output").write_text(done.stdout)
    return directory


@pytest.fixture(scope="module")
def summary(place: Path) -> dict[str, Any]:
    """The figures of the run."""
    values: dict[str, Any] = json.loads((place / "summary.json").read_text())
    return values


@pytest.fixture(scope="module")
def files(place: Path) -> list[dict[str, str]]:
    """The rows of the CSV."""
    with (place / "files.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_nothing_is_lost_and_nothing_runs_too_often(summary: dict[str, Any], files: list[dict[str, str]]) -> None:
    # One that discovers, twelve flaky ones, the one that the batch calls and its workflow of three, besides one a file.
    assert summary["jobs"] == len(files) + 17
    assert summary["retries"] == FLAKY_RETRIES
    assert summary["attempts"] == summary["jobs"] + FLAKY_RETRIES
    assert (summary["lost"], summary["problems"], summary["processes_left"]) == (0, [], 0)
    assert summary["jobs_per_s"] > 0
    assert summary["lag_p99_ms"] >= summary["lag_p50_ms"] >= 0


def test_broken_files_are_dead_letters_with_their_real_error(
    summary: dict[str, Any], files: list[dict[str, str]]
) -> None:
    failed = {row["file"]: row for row in files if row["status"] == "FAILED"}
    letters = {letter["file"]: letter for letter in summary["letters"]}
    assert len(files) - len(failed) >= LIMIT - 10
    assert summary["dead_letters"] == len(letters) >= 3
    assert letters.keys() == failed.keys()
    for name, letter in letters.items():
        assert letter["error_type"] == failed[name]["error_type"]
        assert letter["error_message"] == failed[name]["error_message"]
        assert "never retried" in letter["reason"]


def test_the_numbers_are_those_of_the_files(files: list[dict[str, str]]) -> None:
    library = sources.roots()[0]
    read = [row for row in files if row["status"] == "COMPLETED" and (library / row["file"]).exists()]
    assert read
    for row in read[::10]:
        expected = analyse((library / row["file"]).read_bytes(), row["file"])
        assert (int(row["code_lines"]), int(row["functions"])) == (expected.code_lines, expected.functions)


def test_the_report_shows_chart_and_tables_and_needs_no_network(place: Path, summary: dict[str, Any]) -> None:
    assert summary["report"] == str(place / "report.html")
    page = Page((place / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 1
    assert page.tags.count("rect") == 20
    assert page.tags.count("table") == 2
    assert not page.links
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    for letter in summary["letters"]:
        assert letter["file"] in page.text
        assert letter["error_message"] in "".join(page.text)


def test_the_output_tells_the_figures_and_the_reasons(place: Path, summary: dict[str, Any]) -> None:
    output = (place / "output").read_text()
    assert "\x1b" not in output
    assert all(letter["reason"] in output for letter in summary["letters"])
    assert str(place / "report.html") in output
    assert summary["batch"] in output
    assert summary["workflow"] in output
    assert not (place / "stack").exists()


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running([*DEMO, "--dir", str(tmp_path / "demo")], dict(os.environ), ROOT, log) as demo:
        eventually(lambda: "done: " in log.read_text(), DEMO_SECONDS, lambda: tail(log))
        family = psutil.Process(demo.pid).children(recursive=True)
        assert len(family) > 3
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 130
        assert not psutil.wait_procs(family, timeout=10)[1]
    assert not (tmp_path / "demo" / "stack").exists()


def test_a_python_without_tests_gets_three_broken_files_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    for number in range(5):
        (library / f"module{number}.py").write_text(f"NUMBER = {number}\n")
    monkeypatch.setattr(sources, "roots", lambda: [library, tmp_path / "nothing"])
    found = sources.find(tmp_path / "demo", limit=4)
    assert [path.name for path in found[:3]] == list(broken.FILES)
    assert len(found) == 7
    assert all(error_of(path.read_bytes(), path.name) == "SyntaxError" for path in found[:3])


def test_a_slim_python_is_topped_up_with_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, installed = tmp_path / "lib", tmp_path / "lib" / "site-packages"
    (installed / "package").mkdir(parents=True)
    for place, count in ((library, 3), (installed / "package", 9)):
        for number in range(count):
            (place / f"module{number}.py").touch()
    monkeypatch.setattr(sources, "roots", lambda: [library, installed])
    monkeypatch.setattr(sources, "FEWEST", 8)
    names = [sources.name_of(str(path)) for path in sources.find(tmp_path / "demo")[3:]]
    assert names == [f"module{n}.py" for n in range(3)] + [f"package/module{n}.py" for n in range(5)]


WORKFLOW = {name: name for name in ("page", "table", "report")}
PLAN = checks.Plan("discover", "conclude", WORKFLOW, {"flaky": 2}, frozenset({"a", "b", "c", "d"}))
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def outcomes() -> list[dict[str, Any]]:
    """Give the rows of a run of PLAN that went well: three of its four files are broken."""
    common: dict[str, Any] = {"error_type": None, "open_executions": 0, "root_id": None, "path": None}
    common |= {"batch_id": None, "started_at": NOON, "completed_at": NOON + timedelta(seconds=1)}
    common |= {"parent_id": None, "status": "COMPLETED", "executions": 1, "retry_count": 0}
    family = {"job_type": "demo.parse", "root_id": "discover", "parent_id": "discover"}
    failed = family | {"status": "FAILED", "error_type": "SyntaxError"}
    others = [
        common | {"job_id": name, "job_type": f"demo.{name}"} | took(start)
        for name, start in (("discover", 0), ("conclude", 2), ("page", 3), ("table", 3), ("report", 5))
    ]
    flaky = common | {"job_id": "flaky", "job_type": "demo.flaky", "executions": 3, "retry_count": 2}
    files = [common | failed | {"job_id": name, "path": f"{name}.py"} for name in "abc"]
    return [*others, flaky, *files, common | family | {"job_id": "d", "path": "d.py"}]


def took(start: int) -> dict[str, Any]:
    return {"started_at": NOON + timedelta(seconds=start), "completed_at": NOON + timedelta(seconds=start + 1)}


def complaints(rows: list[dict[str, Any]], letters: str = "abc") -> int:
    real = {f"{name}.py": "SyntaxError" for name in "abc"}
    found = checks.problems(PLAN, rows, [{"job_id": name} for name in letters], real)
    return len(checks.lost(PLAN, rows)) + len(found)


def test_a_good_run_gives_no_complaint() -> None:
    assert complaints(outcomes()) == 0


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (9, {"status": "PENDING"}),
        (9, {"job_id": "nobody's"}),
        (9, {"executions": 2}),
        (9, {"root_id": None}),
        (8, {"error_type": "ConnectionError"}),
        (5, {"executions": 2, "retry_count": 1}),
        (5, {"open_executions": 1}),
        (1, {"status": "FAILED"}),
        (4, {"started_at": NOON + timedelta(seconds=3)}),
        (1, {"started_at": NOON}),
    ],
)
def test_what_went_wrong_is_told(place: int, change: dict[str, Any]) -> None:
    rows = outcomes()
    rows[place] |= change
    assert complaints(rows) > 0


def test_a_batch_that_counts_otherwise_than_its_rows_is_told() -> None:
    rows = [{"batch_id": "b", "status": status} for status in ("COMPLETED", "FAILED")] + [{"batch_id": None}]
    counts = progress_of(Tally("b", "files", NOON, total=2, completed=1, failed=1), 0, NOON)
    assert checks.wrong_batch(counts, rows, 2) == []
    assert len(checks.wrong_batch(counts, rows, 3)) == 1
    assert len(checks.wrong_batch(counts, rows[1:], 2)) == 1


def test_a_lost_row_and_a_lost_dead_letter_are_told() -> None:
    assert checks.lost(PLAN, outcomes()[:-1]) == ["d"]
    assert complaints(outcomes(), letters="ab") > 0
