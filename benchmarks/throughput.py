"""Measure everything, or some parts: ``python -m benchmarks.throughput --only drain,submit --rounds 3``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import drain, history, idle, lag, memory, refill, submit, watched
from benchmarks.report import Findings, Options, as_json, table, write_json
from benchmarks.stacks import Bench, BenchmarkError, open_bench, say

#: In the order of a run: the lag is measured at half of what the drain has shown.
PARTS: dict[str, Callable[[Bench, Options, Findings], None]] = {
    "drain": drain.measure,
    "submit": submit.measure,
    "idle": idle.measure,
    "lag": lag.measure,
    "rss": memory.measure,
    "refill": refill.measure,
    "history": history.measure,
    "watched": watched.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for and report; 1 means that something broke, not that something is slow."""
    asked = _parse(arguments)
    options, findings = Options(asked.rounds, asked.jobs), Findings()
    # As with Ctrl-C: the servers and processes are ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with open_bench() as bench:
        for name in asked.only:
            _run(name, bench, options, findings)
    write_json(asked.json, as_json(findings, options, time.monotonic() - started))
    print(table(findings))
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 1 if findings.problems else 0


def _run(name: str, bench: Bench, options: Options, findings: Findings) -> None:
    say(f"{name} ...")
    started = time.monotonic()
    try:
        PARTS[name](bench, options, findings)
    except BenchmarkError as error:
        findings.problems.append(f"{name}: {error}")
        say(f"  {error}")
    say(f"{name}: {time.monotonic() - started:.0f} s")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--only", type=_parts, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=10_000, help="no-op jobs in a drained queue")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where all figures go")
    return parser.parse_args(arguments)


def _parts(text: str) -> list[str]:
    asked = {part.strip() for part in text.split(",")}
    if unknown := sorted(asked - PARTS.keys()):
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no part; the parts are {', '.join(PARTS)}")
    return [name for name in PARTS if name in asked]


if __name__ == "__main__":
    sys.exit(main())
