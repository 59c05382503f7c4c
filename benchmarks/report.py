"""What was found, beside what was aimed at: a table for people and JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.statistics import Summary

_PACKAGES = ("celery", "kombu", "billiard", "redis", "sqlalchemy", "psycopg2-binary", "jobplatform")


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured."""

    rounds: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be.

    :param sign: ``>=``, ``<=`` or ``<``.
    """

    title: str
    sign: str
    bound: float
    unit: str = "x"

    def met(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        if self.sign == ">=":
            return value >= self.bound
        return value < self.bound if self.sign == "<" else value <= self.bound


TARGETS = {
    "drain_prefork_x_celery": Target("drain, prefork -c 2, beside Celery", ">=", 2.5),
    "drain_prefork_x_celery_pg": Target("drain, prefork -c 2, beside Celery with PostgreSQL results", ">=", 8),
    "drain_solo2_x_celery": Target("drain, two solo nodes, beside Celery prefork -c 2", ">=", 5),
    "submit_many_x_delay": Target("submit_many, beside a loop of delay()", ">=", 12),
    "submit_p50_x_insert": Target("submit p50, beside a bare INSERT and COMMIT", "<=", 1.8),
    "idle_p50_x_celery": Target("idle submit to start p50, beside Celery", "<=", 1.5),
    "rows_complete_s": Target("rows complete after the last job's end, worst", "<=", 1, "s"),
    "mirror_lag_p99_ms": Target("mirror lag p99 at half of saturation", "<=", 250, "ms"),
    "rss_x_celery": Target("resident worker tree, beside Celery", "<=", 1.15),
    "rss_mb": Target("resident worker tree", "<", 256, "MB"),
    "refill_50000_s": Target("50,000 waiting jobs queued again after FLUSHALL, worst", "<=", 30, "s"),
    "schedules_missing": Target("fires without a job, while beats are killed", "<=", 0, ""),
    "schedules_doubled": Target("fires with two jobs", "<=", 0, ""),
    "schedules_late_p99_s": Target("fire to its job's row, p99", "<=", 1, "s"),
    "schedules_idle_tick_x": Target("idle tick beside 1,000,000 schedules, beside 1,000", "<=", 1.5),
    "limits_drain_x_none": Target("drain with a limit on, beside none", ">=", 0.9),
    "limits_most_at_once": Target("most at once under a limit of 7, 4 workers, killed", "<=", 7, ""),
    "limits_slots_lost": Target("slots that were not free at the end", "<=", 0, ""),
    "limits_jain": Target("fairness over 5 tenants weighing 1:1:1:1:4, all of the time", ">=", 0.95, ""),
    "workflow_join_submit_x_celery": Target("submit a join of many, beside Celery's chord", "<=", 1),
    "workflow_join_end_x_celery": Target("a join of many until its last job, beside Celery's chord", "<=", 1),
    "workflow_chain_submit_x_celery": Target("submit a chain, beside Celery's", "<=", 5),
    "workflow_chain_end_x_celery": Target("a chain until its last job, beside Celery's", "<=", 50),
    "workflow_start_p99_ms": Target("end of the last job before to start, random graph, p99", "<=", 1_000, "ms"),
    "replay_share_run_with_bug": Target("jobs replayed while the bug is there, of max(5, 1 %)", "<=", 1),
    "replay_left_after_fix": Target("jobs not completed by a replay once it is fixed", "<=", 0, ""),
    "replay_rate_x_cap": Target("most jobs sent in a second, beside the rate asked for", "<=", 1),
    "drain_2m_rows_x_empty": Target("drain beside 2,000,000 finished rows, beside empty tables", ">=", 0.9),
    "drain_watched_x_bare": Target("drain with the dashboard, 50 who watch and scraping, beside none", ">=", 0.9),
    "fingerprints_purity": Target("errors in a cluster of their bug, least", ">=", 0.95, ""),
    "fingerprints_precision": Target("B-cubed precision of fingerprints, least", ">=", 0.95, ""),
    "fingerprints_recall": Target("B-cubed recall of fingerprints, least", ">=", 0.95, ""),
    "fingerprints_us": Target("processor time of a fingerprint", "<=", 200, "us"),
}


@dataclass(slots=True)
class Findings:
    """What the parts of a run have found.

    :param keys: the figures that have targets.
    :param extras: figures that explain them.
    :param rounds: everything as it was measured.
    :param problems: what went wrong.
    """

    keys: dict[str, Summary] = field(default_factory=dict)
    extras: dict[str, Summary] = field(default_factory=dict)
    rounds: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def key(self, name: str, value: Summary) -> None:
        """Note a figure that has a target."""
        if name not in TARGETS:
            raise KeyError(name)
        self.keys[name] = value

    def extra(self, name: str, value: Summary) -> None:
        """Note a figure that explains others."""
        self.extras[name] = value


def as_json(findings: Findings, options: Options, seconds: float) -> dict[str, Any]:
    """Give everything as one object: the figures by name on top, then their ranges, targets and origins."""
    return {
        **{name: value.median for name, value in findings.keys.items()},
        "targets": {name: {**asdict(TARGETS[name]), "met": _met(name, value)} for name, value in findings.keys.items()},
        "ranges": {name: [value.low, value.high] for name, value in findings.keys.items()},
        "extras": {name: asdict(value) for name, value in findings.extras.items()},
        "rounds": findings.rounds,
        "problems": findings.problems,
        "options": asdict(options),
        "seconds": round(seconds, 1),
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """Describe where and with what was measured."""
    return {
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write the report for programs, making its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, default=asdict) + "\n")


def table(findings: Findings) -> str:
    """Write the report for people."""
    lines = [["figure", "median", "range", "target", ""]]
    for name, target in TARGETS.items():
        if name in findings.keys:
            lines.append(_row(target, findings.keys[name], _met(name, findings.keys[name])))
    extras = [["more", "median", "range"]]
    extras += [[name, _text(value.median), _range(value)] for name, value in findings.extras.items()]
    parts = [part for part in (lines, extras) if len(part) > 1]
    return "\n\n".join([*map(aligned, parts), *(f"WRONG: {problem}" for problem in findings.problems)])


def _met(name: str, value: Summary) -> bool:
    return TARGETS[name].met(value.median)


def _row(target: Target, value: Summary, met: bool) -> list[str]:
    bound = f"{target.sign} {target.bound:g} {target.unit}"
    return [target.title, f"{_text(value.median)} {target.unit}", _range(value), bound, "ok" if met else "MISS"]


def _range(value: Summary) -> str:
    return f"{_text(value.low)} - {_text(value.high)}"


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def aligned(rows: list[list[str]]) -> str:
    """Write rows of cells as columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
