"""Judge the product's model of failing workers on real traces of machines, beside the best rule without learning.

Every file below the directory whose columns fit is taken: runs of a Redis cluster to its crash, with each kind of fault
held out in turn, and servers with labelled anomalies, with each server held out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.failures.contest import Contender, Tally, model, rule, without_each_fault
from benchmarks.failures.crashes import VICTIMS, load_runs
from benchmarks.failures.servers import load_servers, without_each_server
from benchmarks.failures.speed import measure
from benchmarks.report import aligned, machine, write_json
from benchmarks.statistics import count_interval

_FEWEST_FAULTS = 2
_SHOWN = ("auc", "crashes_seen", "broken_seen", "false_a_day", "lead_min_minutes", "lead_median_minutes")
_TITLES = ("AUC", "crashes seen", "broken machines seen", "false a machine-day", "lead min", "lead median")
#: Chance is .5; so far above it, a model says nothing.
_NEAR_CHANCE = 0.65


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that there was nothing to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failures", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the directory of the traces")
    parser.add_argument("--json", type=Path, default=Path("build/failures.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=3, help="models trained for each figure; the median is shown")
    parser.add_argument("--victims", default=",".join(VICTIMS), help="the machines that were broken, for the labels")
    parser.add_argument("--speed", action="store_true", help="measure training at 100,000 samples as well")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    seeds = range(1, asked.seeds + 1)
    found = {"crashes": _crashes(asked.data, asked.victims.split(","), seeds), "servers": _servers(asked.data, seeds)}
    if asked.speed:
        speed = asdict(measure(1))
        found["speed"] = speed
        print(
            f"\n{speed['rows']:,} samples: features {speed['features_s']:.1f} s, training {speed['train_s']:.1f} s, "
            f"{speed['processor_s']:.1f} s of a processor in all"
        )
    write_json(asked.json, {"failures": found, "seconds": time.monotonic() - began, "machine": machine()})
    print(f"\n{time.monotonic() - began:.0f} s; all figures are in {asked.json}")
    return 0 if any(found.values()) else 1


def _crashes(data: Path, victims: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    runs = [run for run in load_runs(data, victims) if run.broken]
    faults = {run.fault for run in runs}
    if len(faults) < _FEWEST_FAULTS:
        return {}
    lessons = [run.lesson() for run in runs]
    known = np.concatenate([lesson.fails[~np.isnan(lesson.fails)] for lesson in lessons])
    print(f"\n{len(runs)} runs to a crash, {len(faults)} kinds of fault, each held out in turn; ", end="")
    print(f"{len(known):,} machine-minutes, base rate {known.mean():.3f}; a median over {len(seeds)} seeds")
    found: dict[str, Any] = {"runs": len(runs), "base_rate": float(known.mean())}
    contenders: dict[str, Contender] = {"mean peer drift (best rule)": rule, "model": model}
    lines = [["", *_TITLES]]
    for name, contender in contenders.items():
        rounds = [without_each_fault(runs, lessons, contender, seed) for seed in seeds]
        found[name] = [each.as_row() for each in rounds]
        lines.append([name, *_cells(rounds)])
    print(aligned(lines))
    for name in contenders:
        print(
            f"  {name}: AUC by fault",
            {fault: round(value, 3) for fault, value in found[name][0]["auc_by_fault"].items()},
        )
    false, days = (found["model"][0][name] for name in ("false", "machine_days"))
    low, high = (each / days for each in count_interval(false))
    print(
        f"  model: {false} false alarms in {days:.1f} machine-days; with 95 % certainty {low:.2f} to {high:.2f} a day"
    )
    print("  what breaks at once, as by kill -9, shows nothing before and is not foretold by any of them")
    return found


def _cells(rounds: Sequence[Tally]) -> list[str]:
    rows = [each.as_row() for each in rounds]
    middle = {name: statistics.median(float(row[name]) for row in rows) for name in _SHOWN}  # type: ignore[arg-type]
    return [
        f"{middle['auc']:.3f}",
        f"{middle['crashes_seen']:.0f} of {rounds[0].crashes}",
        f"{middle['broken_seen']:.0f} of {rounds[0].broken}",
        f"{middle['false_a_day']:.2f}",
        f"{middle['lead_min_minutes']:.0f} min",
        f"{middle['lead_median_minutes']:.0f} min",
    ]


def _servers(data: Path, seeds: Sequence[int]) -> dict[str, Any]:
    lessons = load_servers(data)
    if len(lessons) < _FEWEST_FAULTS:
        return {}
    rounds = [without_each_server(lessons, seed) for seed in seeds]
    middle = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    verdict = "near chance: nothing to act on" if middle["auc_model"] < _NEAR_CHANCE else "above chance"
    print(
        f"\n{len(lessons)} servers, each held out in turn, an anomaly within the next hour: "
        f"base rate {middle['base_rate']:.3f}, AUC of the drift from its own past {middle['auc_rule']:.3f}, "
        f"of the model {middle['auc_model']:.3f}; {verdict}"
    )
    return {"servers": len(lessons), "rounds": rounds}


if __name__ == "__main__":
    sys.exit(main())
