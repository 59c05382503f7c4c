"""Run rate rules, the product's scaler and the future known over the same days of real traces.

A model is taught by the days before each window alone. Violations are jobs that waited for longer than 30 s, servers
take 180 s to start and are paid from when they are asked for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import aligned, machine, write_json
from benchmarks.scaler.loop import Window, run
from benchmarks.scaler.onset import MINUTES, Onset, onset
from benchmarks.scaler.traces import Trace, load

#: The windows that are run unless others are named, in days since a trace began.
_WINDOWS = ((10.0, 14.0), (4.0, 7.0), (7.0, 10.0), (14.0, 17.0), (17.0, 20.0))
_LEAST_PAST = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that there was nothing to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaler", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the directory of the traces")
    parser.add_argument("--json", type=Path, default=Path("build/scaler.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=1, help="models trained for each window; all are shown")
    parser.add_argument("--days", type=_days, nargs="+", default=_WINDOWS, help="windows such as 10:14, in days")
    parser.add_argument("--traces", nargs="+", help="only these, by the beginning of their names")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    found: dict[str, Any] = {}
    for trace in load(asked.data, seed=1):
        if asked.traces and not trace.name.startswith(tuple(asked.traces)):
            continue
        print(f"\n{trace.name}: {len(trace.came):,} jobs in {trace.days:.1f} days", flush=True)
        days = [each for each in asked.days if _LEAST_PAST <= each[0] < each[1] <= trace.days + 0.01]
        found[trace.name] = [_window(trace, since, until, range(1, asked.seeds + 1)) for since, until in days]
    write_json(asked.json, {"traces": found, "seconds": time.monotonic() - began, "machine": machine()})
    print(f"\n{time.monotonic() - began:.0f} s; all figures are in {asked.json}")
    return 0 if any(found.values()) else 1


def _days(text: str) -> tuple[float, float]:
    since, _, until = text.partition(":")
    return float(since), float(until)


def _window(trace: Trace, since: float, until: float, seeds: Sequence[int]) -> dict[str, Any]:
    """Run one window with each seed, print it, and give everything."""
    rounds = [run(trace, since, until, seed) for seed in seeds]
    onsets = [onset(trace, since, until, minutes, seed) for seed in seeds for minutes in MINUTES]
    print(f"\n  days {since:g} to {until:g}: {rounds[0].jobs:,} jobs, {rounds[0].busy_hours:,.0f} server-hours of work")
    print("\n".join(f"    {line}" for line in aligned(_table(rounds)).splitlines()))
    for each in onsets:
        print(f"    {_onset(each)}")
    print(f"    trained in {rounds[0].train_seconds:.1f} s", flush=True)
    return {"days": [since, until], "rounds": rounds, "onsets": onsets}


def _table(rounds: Sequence[Window]) -> list[list[str]]:
    table = [["policy", "violations", "server-hours", "of them up", "beside rate x1.5"]]
    rule = rounds[0].lines["rate x1.5"]
    for number, each in enumerate(rounds):
        for name, line in each.lines.items():
            if number and name != "forecast":
                continue
            worse = line.violations >= rule.violations and line.hours >= rule.hours and name == "forecast"
            table.append([
                name, f"{line.violations:.2%}", f"{line.hours:,.0f}", f"{line.up_hours:,.0f}",
                f"{line.violations - rule.violations:+.2%}, {line.hours / rule.hours - 1.0:+.1%} hours"
                + (" WORSE" if worse else ""),
            ])  # fmt: skip
    return table


def _onset(found: Onset) -> str:
    rule = found.busy_and_backlog
    return (
        f"congestion within {found.minutes} min, from calm ({found.base_rate:.1%} of {found.calm:,}): average "
        f"precision {found.model:.3f}, busy+backlog {rule:.3f} ({found.model / max(rule, 1e-9):.2f}x), beside the "
        f"servers {found.beside_servers:.3f}"
    )


if __name__ == "__main__":
    sys.exit(main())
