"""The report: an HTML page with a chart and tables, and a CSV of all files; no network, no script."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from examples.demo.analysis import Analysis
from examples.demo.sources import name_of, python_name, roots

NUMBERS = tuple(field.name for field in fields(Analysis))
_CHARTED = 20
_BAR, _LABEL, _WIDTH = 22, 150, 760
_TEMPLATE = Path(__file__).with_name("report.html")
_TESTS = frozenset({"test", "tests", "idle_test"})


@dataclass(slots=True)
class Package:
    """The sums over the files of one package."""

    name: str
    files: int = 0
    code_lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: int = 0
    complexity_max: int = 0

    def add(self, numbers: Mapping[str, Any]) -> None:
        """Add the numbers of one file."""
        self.files += 1
        for name in ("code_lines", "functions", "classes", "imports"):
            setattr(self, name, getattr(self, name) + numbers[name])
        self.complexity_max = max(self.complexity_max, numbers["complexity_max"])


def write_page(rows: Iterable[Mapping[str, Any]], directory: Path) -> Path:
    """Write ``report.html`` and return its path.

    :param rows: one a file: path, status, result, error_type, error_message.
    """
    path = directory / "report.html"
    path.write_text(page(_named(rows)), encoding="utf-8")
    return path


def write_table(rows: Iterable[Mapping[str, Any]], directory: Path) -> Path:
    """Write ``files.csv`` and return its path.

    :param rows: as ``write_page`` takes them.
    """
    path = directory / "files.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table(_named(rows)))
    return path


def _named(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    places = roots()
    return sorted(({**row, "name": name_of(row["path"], places)} for row in rows), key=lambda row: str(row["name"]))


def table(rows: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """Give the rows of the CSV, the heading first."""
    heading: list[object] = ["file", "status", *NUMBERS, "error_type", "error_message"]
    return [heading, *(_csv_row(row) for row in rows)]


def _csv_row(row: Mapping[str, Any]) -> list[object]:
    numbers = row["result"] or {}
    errors = [row["error_type"], row["error_message"]]
    return [row["name"], row["status"], *(numbers.get(name, "") for name in NUMBERS), *errors]


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Give the whole HTML page."""
    read = [row for row in rows if row["result"]]
    broken = [row for row in rows if not row["result"]]
    found = sorted(packages(read), key=lambda package: -package.code_lines)
    totals = {name: f"{sum(row['result'][name] for row in read):,}" for name in ("code_lines", "functions", "classes")}
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        totals,
        python=escape(python_name()),
        files=f"{len(rows):,}",
        broken=len(broken),
        chart=chart([package for package in found if package.name not in _TESTS][:_CHARTED]),
        packages="\n".join(_package_row(package) for package in found),
        errors="\n".join(_error_row(row) for row in broken),
    )


def packages(rows: Iterable[Mapping[str, Any]]) -> list[Package]:
    """Sum the files up by top-level package; tests inside a package count as tests."""
    found: dict[str, Package] = defaultdict(lambda: Package(""))
    for row in rows:
        first, *rest = str(row["name"]).removesuffix(".py").split("/")
        name = "test" if _TESTS & {first, *rest[:-1]} else first
        found[name].name = name
        found[name].add(row["result"])
    return list(found.values())


def chart(shown: Sequence[Package]) -> str:
    """Draw a bar a package, as long as its code."""
    most = max((package.code_lines for package in shown), default=0) or 1
    bars = "\n".join(_bar(place, package, most) for place, package in enumerate(shown))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {len(shown) * _BAR}" role="img" aria-label="Code lines of the largest packages">'
        f"\n{bars}\n</svg>"
    )


def _bar(place: int, package: Package, most: int) -> str:
    top, length = place * _BAR, round((_WIDTH - _LABEL - 70) * package.code_lines / most, 1)
    middle = top + _BAR * 0.7
    return (
        f'<text x="{_LABEL - 8}" y="{middle:.1f}" text-anchor="end">{escape(package.name[:22])}</text>'
        f'<rect x="{_LABEL}" y="{top + 3}" width="{length}" height="{_BAR - 6}" rx="2"/>'
        f'<text x="{_LABEL + length + 6}" y="{middle:.1f}">{package.code_lines:,}</text>'
    )


def _package_row(package: Package) -> str:
    name, *numbers = asdict(package).values()
    cells = "".join(f"<td>{number:,}</td>" for number in numbers)
    return f"<tr><th>{escape(name)}</th>{cells}</tr>"


def _error_row(row: Mapping[str, Any]) -> str:
    cells = "".join(f"<td>{escape(str(row[name] or ''))}</td>" for name in ("error_type", "error_message"))
    return f"<tr><th>{escape(row['name'])}</th>{cells}</tr>"
