"""Judge the product's forecasts of how long jobs take on real traces, beside the rule.

Every Parquet file of Google's jobs and every log in the Standard Workload Format (.swf, .swf.gz) below the directory is
taken. The first runs of each teach, the later ones test; at the end all logs are judged as one. What a job of a trace
asks for (processors, its limit, its queue) and what was submitted just before it is known to the model here, and the
rule goes by it as well; in the product there are the key and the type of a job, and the history of both: --alone tells
how good the same model is with these.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.durations.judge import Line, Outcomes, judge, together
from benchmarks.durations.trace import LOG_GOAL, traces
from benchmarks.report import aligned, machine, write_json

_HEAD = (
    *("trace", "split", "tests", "last run", "history mode", "model", "goal", "surest half", "goal"),
    *("MAE rule", "MAE x", "in 80 %", "before", "width x", "train s", "us a job", ""),
)
#: Mean absolute errors may exceed those of the rule by so much; between these shares lie in an interval of 80 %.
_MOST_ERROR, _LEAST_COVERAGE, _MOST_COVERAGE = 1.05, 0.75, 0.85


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that there was nothing to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durations", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the directory of the traces")
    parser.add_argument("--json", type=Path, default=Path("build/durations.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=3, help="models trained for each figure; the median is shown")
    parser.add_argument("--splits", default="0.7-1.0", help="tested parts of each trace, such as 0.5-0.75,0.75-1.0")
    parser.add_argument("--only", default="", help="traces whose name holds this")
    parser.add_argument("--alone", action="store_true", help="of each run only its key and its type are known")
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    splits = [(float(begins), float(ends)) for begins, ends in (each.split("-") for each in asked.splits.split(","))]
    found, rows = {}, [list(_HEAD)]
    logs: dict[str, list[list[Outcomes]]] = {}
    for trace in traces(asked.data):
        if asked.only not in trace.name:
            continue
        for begins, ends in splits:
            split = f"{begins:g}-{ends:g}"
            judged = [judge(trace.runs, begins, ends, seed, alone=asked.alone) for seed in range(1, asked.seeds + 1)]
            lines = found[f"{trace.name} {split}"] = [each.line() for each in judged]
            rows.append(_row(trace.name, split, lines, trace.goal))
            print("  ".join(rows[-1]), file=sys.stderr)
            if trace.goal == LOG_GOAL:
                logs.setdefault(split, []).append(judged)
    for split, judged_logs in logs.items():
        lines = found[f"all logs {split}"] = [together(parts).line() for parts in zip(*judged_logs, strict=True)]
        rows.append(_row("all logs", split, lines, LOG_GOAL))
    print(aligned(rows))
    write_json(asked.json, {"traces": found, "seconds": time.monotonic() - started, "machine": machine()})
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 0 if found else 1


def _row(name: str, split: str, lines: Sequence[Line], goal: tuple[float, float]) -> list[str]:
    middle = Line(**{name: statistics.median(asdict(line)[name] for line in lines) for name in asdict(lines[0])})
    more, surest = goal
    wanted, error = middle.rule + more, middle.model_error / middle.rule_error
    met = {
        "share": middle.model >= wanted,
        "surest": middle.surest >= surest,
        "MAE": error <= _MOST_ERROR,
        "coverage": _LEAST_COVERAGE <= middle.coverage <= _MOST_COVERAGE,
    }
    shares = (middle.last, middle.rule, middle.model, wanted, middle.surest, surest)
    missed = ", ".join(name for name, each in met.items() if not each)
    return [
        *(name, split, f"{middle.tested:,}"),
        *(f"{share:.3f}" for share in shares),
        *(f"{middle.rule_error:,.0f}", f"{error:.3f}", f"{middle.coverage:.3f}", f"{middle.plain:.3f}"),
        *(f"{math.exp(middle.width):.1f}", f"{middle.train_seconds:.1f}", f"{middle.foretell_us:.0f}"),
        f"MISS {missed}" if missed else "ok",
    ]


if __name__ == "__main__":
    sys.exit(main())
