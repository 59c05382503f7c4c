"""Break the platform and judge it: ``chaos/run --minutes 10 --seed 1``."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from chaos.plan import Kind, count_kills, plan
from chaos.report import Setup, as_json, as_markdown, failures
from chaos.stage import Outcome, Stage
from chaos.story import tell
from chaos.verdict import Verdict, judge

#: Jobs a second that all clients together want to submit while nothing is broken.
RATE = 280.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report; 1 means that the platform broke a promise."""
    asked = _parse(arguments)
    faults = [fault for fault in plan(asked.seed, asked.minutes) if fault.kind in asked.only]
    setup = Setup(_command(asked), asked.seed, asked.minutes, asked.rate, faults)
    # As with Ctrl-C: servers and processes are ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _say(f"seed {setup.seed}: {len(setup.plan)} faults, {count_kills(setup.plan).total()} of them kills")
    stage = Stage(Path(tempfile.mkdtemp(prefix="chaos-")), setup.seed, setup.rate)
    with stage.open():
        outcome = stage.play(setup.plan, setup.minutes * 60)
        verdict = judge(outcome.evidence)
        wrong = failures(outcome, verdict)
        if told := tell(stage, outcome, verdict):
            _say(told)
    _write(asked, setup, outcome, verdict)
    if wrong or asked.keep:
        _say(f"everything is kept in {stage.directory}")
    else:
        stage.stack.erase()
        shutil.rmtree(stage.directory)
    _say("; ".join(wrong) or "all is well")
    return 1 if wrong else 0


def _write(asked: argparse.Namespace, setup: Setup, outcome: Outcome, verdict: Verdict) -> None:
    for path in (asked.report, asked.json):
        path.parent.mkdir(parents=True, exist_ok=True)
    figures = as_json(setup, outcome, verdict)
    asked.report.write_text(as_markdown(setup, outcome, verdict))
    asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    shown = {name: value for name, value in figures.items() if name not in ("command", "machine", "failures")}
    print(json.dumps(shown, indent=2))
    _say(f"the report is in {asked.report}, all figures are in {asked.json}")


def _command(asked: argparse.Namespace) -> str:
    rate = "" if asked.rate == RATE else f" --rate {asked.rate:g}"
    only = "" if asked.only == list(Kind) else f" --only {','.join(asked.only)}"
    return f"chaos/run --minutes {asked.minutes:g} --seed {asked.seed}{rate}{only}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos/run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long load and faults last")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000), help="of the faults")
    parser.add_argument("--rate", type=float, default=RATE, help="jobs a second that the clients want to submit")
    parser.add_argument("--only", type=_kinds, default=list(Kind), help=f"some of {','.join(Kind)}")
    parser.add_argument("--json", type=Path, default=Path("build/chaos/report.json"), help="where all figures go")
    parser.add_argument("--report", type=Path, default=Path("build/chaos/report.md"), help="where the report goes")
    parser.add_argument("--keep", action="store_true", help="keep ledger, logs and data even when all is well")
    return parser.parse_args(arguments)


def _kinds(text: str) -> list[Kind]:
    asked = {part.strip() for part in text.split(",") if part.strip()}
    if unknown := sorted(asked.difference(Kind)):
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no fault; the faults are {', '.join(Kind)}")
    return [kind for kind in Kind if kind in asked]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
