"""Workers that leak, stand still or are killed: whether another takes their place in time, at what cost to jobs.

Real fleets of a controller and three workers with two processes each, with default settings and a limit of memory that
kills as that of a container does. Which worker is struck, and how fast it leaks, is drawn by a seed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.leaks.runs import Fault, Leak, Well, deadlock, kill, leak, stop, well
from benchmarks.report import aligned, machine, write_json
from benchmarks.stacks import Bench, open_bench, say

#: Of ten leaking workers so many are replaced before they are killed.
MOST_REPLACED = 0.9
#: False replacements in a day of a worker.
MOST_FALSE = 0.5
#: Seconds until another takes the place of a worker that stands still.
MOST_SECONDS = 60.0
_DAY = 86_400.0
#: With 95 % certainty what was never seen happens no more often than this, over how often it could have (B. D.
#: Jovanovic and P. S. Levy, "A Look at the Rule of Three", The American Statistician 51, 1997).
_NEVER_SEEN = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaks", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="leaks")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones follow")
    parser.add_argument("--faults", type=int, default=2, help="runs of each of the other faults")
    parser.add_argument(
        "--well", type=float, default=120.0, help="seconds in which workers are well, on a busy machine"
    )
    parser.add_argument("--burners", type=int, default=6, help="programs that keep it busy")
    parser.add_argument("--together", type=int, default=2, help="runs at a time, each with a fleet of its own")
    parser.add_argument("--json", type=Path, default=Path("build/leaks.json"), help="where all figures go")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    with open_bench() as bench:
        leaks, faults = _measure(bench, asked)
        busy = well(bench, asked.runs + 3 * asked.faults, asked.seed, asked.well, asked.burners)
    print(aligned(_leak_rows(leaks)), "", aligned(_fault_rows(faults)), "", sep="\n")
    watched: list[Leak | Fault | Well] = [*leaks, *faults, busy]
    goals = {**_leak_goals(leaks), **_fault_goals(faults), **_false_goals(watched, busy)}
    for text, met in goals.items():
        print(f"{'met   ' if met else 'MISSED'}  {text}")
    met = all(goals.values())
    rows: dict[str, Any] = {
        "leaks": list(map(asdict, leaks)),
        "faults": list(map(asdict, faults)),
        "well": asdict(busy),
    }
    seconds = round(time.monotonic() - began)
    write_json(asked.json, {**rows, "goals": goals, "met": met, "seconds": seconds, "machine": machine()})
    print(f"{seconds} s")
    return 0 if met else 1


def _measure(bench: Bench, asked: argparse.Namespace) -> tuple[list[Leak], list[Fault]]:
    """Run all leaks and faults, some at a time."""
    seeds = range(asked.seed, asked.seed + asked.runs)
    plans: list[Callable[[int], Leak | Fault]] = [partial(_seeded, leak, bench, seed) for seed in seeds]
    for what in (stop, deadlock, kill):
        plans += [partial(_seeded, what, bench, asked.seed + number) for number in range(asked.faults)]
    with ThreadPoolExecutor(asked.together) as pool:
        found = list(pool.map(lambda place: _told(place, plans[place](place)), range(len(plans))))
    leaks = [each for each in found if isinstance(each, Leak)]
    return leaks, [each for each in found if isinstance(each, Fault)]


def _seeded(run: Callable[[Bench, int, int], Any], bench: Bench, seed: int, number: int) -> Any:
    return run(bench, number, seed)


def _told(place: int, found: Leak | Fault) -> Leak | Fault:
    say(f"  run {place + 1}: {found.victim}: {found.told}")
    return found


def _leak_rows(leaks: Sequence[Leak]) -> list[list[str]]:
    rows = [
        [
            *("seed", "leaks", "limit in, s", "replaced before", "asked after, s", "lead, s", "left, MiB"),
            *("jobs", "lost", "burned", "run again", "false"),
        ]
    ]
    for each in leaks:
        times = [_seconds(each.filled), "yes" if each.replaced else "NO", _seconds(each.asked), _seconds(each.lead)]
        jobs = [each.jobs.submitted, each.jobs.lost, each.jobs.burned + each.jobs.deaths, each.jobs.again, each.others]
        rows.append([str(each.seed), each.victim, *times, f"{each.left:.0f}", *map(str, jobs)])
    return rows


def _fault_rows(faults: Sequence[Fault]) -> list[list[str]]:
    rows = [["fault", "worker", "found, s", "replaced, s", "jobs", "lost", "burned", "deaths", "run again", "false"]]
    for each in faults:
        jobs = [each.jobs.submitted, each.jobs.lost, each.jobs.burned, each.jobs.deaths, each.jobs.again, each.others]
        rows.append([each.what, each.victim, _seconds(each.found), _seconds(each.working), *map(str, jobs)])
    return rows


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _leak_goals(leaks: Sequence[Leak]) -> dict[str, bool]:
    if not leaks:
        return {}
    replaced, lost = sum(each.replaced for each in leaks), sum(each.jobs.lost for each in leaks)
    burned = sum(each.jobs.burned + each.jobs.deaths for each in leaks)
    jobs = sum(each.jobs.submitted for each in leaks)
    leads = [each.lead for each in leaks if each.lead is not None and each.replaced]
    lead = f", asked for {statistics.median(leads):.0f} s before (median; {min(leads):.0f} at least)" if leads else ""
    return {
        f"{replaced} of {len(leaks)} leaking workers were replaced before they were killed{lead}": (
            replaced >= MOST_REPLACED * len(leaks)
        ),
        f"{lost} of {jobs} jobs were lost": lost == 0,
        f"{burned} attempts were burned": burned == 0,
    }


def _fault_goals(faults: Sequence[Fault]) -> dict[str, bool]:
    goals = {}
    for what in dict.fromkeys(each.what for each in faults):
        these = [each for each in faults if each.what == what]
        slowest = max(each.working for each in these)
        lost, burned = sum(each.jobs.lost for each in these), sum(each.jobs.burned for each in these)
        ended = all(each.gone for each in these)
        text = f"{what}: replaced within {slowest:.0f} s, {lost} jobs lost, {burned} attempts burned"
        goals[text] = slowest <= MOST_SECONDS and not lost and not burned and ended
        if "SIGKILL" in what:
            goals[f"{what} is reported as unpredictable"] = all(
                "no warning was possible" in each.told for each in these
            )
    return goals


def _false_goals(found: Sequence[Leak | Fault | Well], busy: Well) -> dict[str, bool]:
    """Say how often workers that are well are replaced, and how often they may be with what was seen here."""
    false, days = sum(each.others for each in found), sum(each.watched for each in found) / _DAY
    seen = (
        f"{false} false replacements in {days * _DAY:.0f} seconds of workers that were well: {false / days:.2f} a day"
    )
    bound = f", and with 95 % certainty not above {_NEVER_SEEN / days:.0f}" if not false else ""
    return {
        f"{seen}{bound}": false / days <= MOST_FALSE,
        f"none of them on a machine with a load of {busy.load_average:.1f}": busy.others == 0 and not busy.jobs.lost,
    }


if __name__ == "__main__":
    sys.exit(main())
