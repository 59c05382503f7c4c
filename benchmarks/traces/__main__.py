"""Judge the product's history and model of retry success on real traces, and measure their speed.

Every Parquet file below the directory whose columns fit is taken: re-runs on GitHub Actions, attempts in Google's
cluster.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.report import machine, write_json
from benchmarks.traces.attempts import load_attempts
from benchmarks.traces.cutting import WEIGHTING, Window, windows
from benchmarks.traces.reruns import load_jobs, load_workflows
from benchmarks.traces.speed import measure
from benchmarks.traces.splits import Split, by_owner, by_time
from benchmarks.traces.trace import Trace

_LOADERS = (load_jobs, load_workflows, load_attempts)
#: A trace of which retries would have been cut.
_OF_TASKS = "google2011"
_FEWEST = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that there was nothing to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traces", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the directory of the traces")
    parser.add_argument("--json", type=Path, default=Path("build/traces.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=3, help="models trained for each figure; the median is shown")
    parser.add_argument("--speed", action="store_true", help="measure training and prediction at 100,000 rows as well")
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    traces = [trace for load in _LOADERS if (trace := load(asked.data)) is not None]
    found = {trace.name: _judged(trace, range(1, asked.seeds + 1)) for trace in traces}
    if asked.speed:
        found["speed"] = asdict(measure(1))
        print("speed:", ", ".join(f"{name} {value:,.1f}" for name, value in found["speed"].items()))
    write_json(asked.json, {"traces": found, "seconds": time.monotonic() - started, "machine": machine()})
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 0 if traces else 1


def _judged(trace: Trace, seeds: Sequence[int]) -> dict[str, Any]:
    """Judge one trace with each seed, print medians, and give everything."""
    print(f"\n{trace.name}: {len(trace):,} retries after a failure, of {len(set(trace.owners)):,} owners")
    if len(trace) < _FEWEST:
        print(f"  fewer than {_FEWEST} retries teach too little to be judged")
        return {"retries": len(trace)}
    found: dict[str, Any] = {"retries": len(trace)}
    splits: dict[str, Callable[[int], Split]] = {
        "later retries": lambda seed: by_time(trace, seed),
        "unseen owners, their history during the test": lambda seed: by_owner(trace, seed, strict=False),
        "unseen owners, no history of theirs": lambda seed: by_owner(trace, seed, strict=True),
    }
    for name, split in splits.items():
        rounds = [split(seed) for seed in seeds]
        _print_split(name, rounds)
        found[name] = rounds
    if trace.name == _OF_TASKS:
        found["windows"] = [windows(trace, seed) for seed in seeds]
        _print_windows(found["windows"])
    return found


def _print_split(name: str, rounds: Sequence[Split]) -> None:
    one = rounds[0]
    print(f"  {name}: taught by {one.taught:,}, tested on {one.tested:,}, base rate {one.base_rate:.3f}")
    print(f"    {'':18}   AUC  skill  (beside the earlier base rate)    ECE")
    for forecast in one.lines:
        auc, skill, before, error = (
            statistics.median(getattr(each.lines[forecast], figure) for each in rounds)
            for figure in ("auc", "skill", "skill_before", "ece")
        )
        title = f"best rule ({one.rule})" if forecast == "best rule" else forecast
        print(f"    {title:18}  {auc:.3f}  {skill:+.3f}  {before:+.3f}  {error:.3f}")


def _print_windows(rounds: Sequence[Sequence[Window]]) -> None:
    print(f"  doomed retries cut, successes lost; weighted: {WEIGHTING}; the worst of all seeds")
    print("    window  retries  successes    cut   lost   weighted     for good     from an attempt on")
    for number, each in enumerate(zip(*rounds, strict=True)):
        worst = {
            field.name: (max if "lost" in field.name else min)(getattr(window, field.name) for window in each)
            for field in fields(Window)
        }
        shares = "  ".join(f"{value:.3f}" for value in list(worst.values())[2:])
        name = "cold" if number == 0 else str(number)
        print(f"    {name:6}  {worst['retries']:7,}  {worst['successes']:9,}  {shares}")


if __name__ == "__main__":
    sys.exit(main())
