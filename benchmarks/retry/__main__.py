"""Compare retry policies in worlds that are drawn once a seed, so that each policy faces the same.

``python -m benchmarks.retry --data DIR --json FILE --seeds N`` trains the product's model in worlds of other seeds and
narrower parameters, runs every policy through every world, prints the tables and the goals, and writes everything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import write_json
from benchmarks.retry.calendar import read_durations
from benchmarks.retry.contenders import CONTENDERS
from benchmarks.retry.contest import contest
from benchmarks.retry.report import as_json, table
from benchmarks.retry.training import train_model
from benchmarks.retry.worlds import WORLDS

#: Policies that ask a model, and those that make up the product without one of its parts.
_LEARNED, _PARTS = ("product", "model"), ("breakers", "model")
_DEFAULT = (*CONTENDERS, "product")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, simulate, print and write."""
    options = _options(arguments)
    began = time.monotonic()
    durations = read_durations(options.data) if options.data else ()
    artifact, training = None, None
    if set(_LEARNED) & set(options.policies):
        trained = train_model(durations)
        artifact = trained.model.to_bytes()
        seconds = round(time.monotonic() - began, 1)
        training = {"metrics": dict(trained.metrics), "reliability": trained.reliability, "seconds": seconds}
        print(f"trained in {seconds:.0f} s: {_said(trained.metrics)}", flush=True)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    measures = contest(options.worlds, seeds, options.policies, durations, artifact, options.processes)
    print(table(measures))
    shown = {**vars(options), "data": str(options.data), "json": str(options.json)}
    write_json(options.json, as_json(measures, training, shown, time.monotonic() - began))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retry", description=__doc__)
    parser.add_argument("--data", type=Path, help="holds outages/*.csv; synthetic outages without it")
    parser.add_argument("--json", type=Path, default=Path("build/retry.json"))
    parser.add_argument("--seeds", type=int, default=20, help="how many, of which each draws every world anew")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--worlds", type=lambda text: _names(text, WORLDS), default=list(WORLDS))
    every = dict.fromkeys((*_DEFAULT, *_PARTS))
    parser.add_argument("--policies", type=lambda text: _names(text, every), default=list(_DEFAULT))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error("--seeds: one seed says nothing of how sure a difference is; give 2 or more")
    return options


def _names(text: str, known: Mapping[str, Any]) -> list[str]:
    names = text.split(",")
    wrong = [name for name in names if name not in known]
    if wrong:
        raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: there is none; choose from {', '.join(known)}")
    return names


def _said(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


if __name__ == "__main__":
    sys.exit(main())
