"""A model on one page: HTML that loads nothing, its plots drawn as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

_SIDE, _EDGE = 320, 40
_BAR, _LINE, _NAMES, _NUMBERS = 260, 22, 220, 60
_MOST = 20

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2330; }}
h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #d5d9e0; }}
svg text {{ font: 12px system-ui, sans-serif; fill: #1c2330; }}
.axis {{ stroke: #8a93a3; }} .even {{ stroke: #8a93a3; stroke-dasharray: 4 4; }}
.dot, .more {{ fill: #2563a8; }} .less {{ fill: #b4452c; }} .path {{ fill: none; stroke: #2563a8; }}
</style>
</head>
<body>
"""


def page(row: Mapping[str, Any], trials: Sequence[Mapping[str, Any]] = ()) -> str:
    """Write the page of a model.

    :param row: as ``store.models.show`` gives it.
    :param trials: where its job types stand.
    """
    title = escape(f"Model {row['version']} ({row['kind']})")
    metrics = row["metrics"]
    by_type = {name: found.get("skill", 0.0) for name, found in metrics.get("by_type", {}).items()}
    parts = [
        _HEAD.format(title=title),
        f"<h1>{title}</h1>\n",
        table(_summary(row)),
        "<h2>Calibration</h2>\n<p>What was foretold, and the share that came true, on outcomes that it did not learn "
        "from.</p>\n",
        calibration(row["calibration"]),
        "<h2>Gain by job type</h2>\n<p>Brier skill: the share of the rule's squared error that is avoided.</p>\n",
        bars(by_type),
        "<h2>Feature importance</h2>\n<p>Shares of the gain of all splits.</p>\n",
        bars(metrics.get("importance", {})),
        "<h2>Job types</h2>\n",
        table([(each["job_type"], f"{each['state']}: {each['reason']}") for each in trials]),
        "</body>\n</html>\n",
    ]
    return "".join(parts)


def _summary(row: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    metrics = row["metrics"]
    yield "state", f"{row['state']}: {row['reason']}"
    yield "trained", row["trained_at"]
    yield "learned from", f"{row['rows']} outcomes, {row['window_from']} to {row['window_to']}"
    yield "base rate", f"{row['base_rate']:.3f}"
    for name in ("outcomes", "rule", "model", "skill", "low", "high", "gap", "auc", "ece"):
        if name in metrics:
            yield name, metrics[name]
    yield "SHA-256", row["sha256"]


def table(rows: Iterator[tuple[str, object]] | Sequence[tuple[str, object]]) -> str:
    """Write names and values, a line each."""
    lines = (f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>\n" for name, value in rows)
    return f"<table>\n{''.join(lines)}</table>\n"


def calibration(points: Sequence[Sequence[float]]) -> str:
    """Draw what was foretold against what came true; the size of a dot is the number of outcomes."""
    most = max((point[2] for point in points), default=1.0) or 1.0
    places = [(_across(foretold), _up(came), 3 + 5 * count / most) for foretold, came, count in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>' for x, y, r in places)
    low, high = _across(0.0), _across(1.0)
    bottom, top = _up(0.0), _up(1.0)
    size = _SIDE + 2 * _EDGE
    return (
        f'<svg role="img" aria-label="calibration" width="{size}" height="{size}" viewBox="0 0 {size} {size}">'
        f'<line class="axis" x1="{low}" y1="{bottom}" x2="{high}" y2="{bottom}"/>'
        f'<line class="axis" x1="{low}" y1="{bottom}" x2="{low}" y2="{top}"/>'
        f'<line class="even" x1="{low}" y1="{bottom}" x2="{high}" y2="{top}"/>'
        f'<polyline class="path" points="{path}"/>{dots}'
        f'<text x="{low}" y="{bottom + 18}">0</text><text x="{high - 8}" y="{bottom + 18}">1</text>'
        f'<text x="{low + _SIDE / 2 - 25}" y="{bottom + 32}">foretold</text>'
        f'<text x="{low - 30}" y="{top + 12}">came</text></svg>\n'
    )


def _across(share: float) -> float:
    return _EDGE + _SIDE * min(1.0, max(0.0, share))


def _up(share: float) -> float:
    return _EDGE + _SIDE * (1.0 - min(1.0, max(0.0, share)))


def bars(values: Mapping[str, float]) -> str:
    """Draw numbers as bars, the largest first; those below 0 in another colour."""
    shown = sorted(values.items(), key=lambda item: -item[1])[:_MOST]
    if not shown:
        return "<p>Nothing is known.</p>\n"
    most = max(abs(value) for _, value in shown) or 1.0
    lines = "".join(_bar(number, name, value, most) for number, (name, value) in enumerate(shown))
    width, height = _NAMES + _BAR + _NUMBERS, _LINE * len(shown) + 6
    return f'<svg role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{lines}</svg>\n'


def _bar(number: int, name: str, value: float, most: float) -> str:
    top, length = number * _LINE + 4, _BAR * abs(value) / most
    short = name if len(name) <= 32 else f"{name[:31]}…"
    return (
        f'<text x="0" y="{top + 12}">{escape(short)}<title>{escape(name)}</title></text>'
        f'<rect class="{"more" if value >= 0 else "less"}" x="{_NAMES}" y="{top}" width="{length:.1f}" height="14"/>'
        f'<text x="{_NAMES + length + 6:.1f}" y="{top + 12}">{value:.3f}</text>'
    )
