"""The report: markdown for people, JSON for programs."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chaos.plan import KILLS, Fault
from chaos.recovery import percentile
from chaos.stage import QUIET_SECONDS, Outcome
from chaos.verdict import WRONGS, Verdict

#: The longest that the jobs of a killed worker may wait, in seconds: 99 of 100.
RECOVERY_SECONDS = 20.0
RULES = """\
- Stores fail one at a time: PostgreSQL is back for 15 s before Redis is killed, Redis for 8 s before PostgreSQL is.
- A FLUSHALL has 25 s on both sides without another fault of a store, and 5 s before and 10 s after without any other
  fault but the death of a client; controllers are left alone for 15 s before.
- In a *calm* one worker is killed, and for 27 s nothing else is struck but children and clients. Recovery is measured
  over kills with nothing else broken from 5 s before to 20 s after; the others are given as *disturbed*.
- Where a store is not back, or the journal not mirrored, when the next fault of a store is due, the plan
  waits for that, with all its gaps.
- Redis keeps an append-only file, synced every second. What is killed comes back after 0.3 to 4 s."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What was asked for."""

    command: str
    seed: int
    minutes: float
    rate: float
    plan: Sequence[Fault]


def as_json(setup: Setup, outcome: Outcome, verdict: Verdict) -> dict[str, Any]:
    """Give all figures as one object."""
    strikes = Counter(strike.kind for strike in outcome.evidence.strikes)
    return {
        "ok": not failures(outcome, verdict),
        "seed": setup.seed,
        "minutes": setup.minutes,
        "command": setup.command,
        "jobs": verdict.jobs,
        "rows": len(outcome.evidence.rows),
        "runs": sum(map(len, outcome.evidence.runs.values())),
        "kills": sum(count for kind, count in strikes.items() if kind in KILLS),
        "faults": dict(strikes),
        **{name: len(found) for name, found in verdict.wrongs().items()},
        "poisoned": len(verdict.poisoned),
        "cut_off": len(verdict.cut_off),
        "duplicate_runs": len(verdict.reruns),
        "duplicates_by_cause": dict(Counter(rerun.cause for rerun in verdict.reruns)),
        "duplicates_after_end": dict(Counter(rerun.cause for rerun in verdict.reruns if rerun.after_end)),
        "duplicates_beside": dict(Counter(rerun.cause for rerun in verdict.reruns if rerun.beside)),
        **_recovery_figures("recovery", verdict, calm=True),
        **_recovery_figures("recovery_disturbed", verdict, calm=False),
        "quiet_s": None if outcome.quiet_seconds is None else round(outcome.quiet_seconds, 1),
        "remains": dict(outcome.evidence.remains),
        "deaths_unordered": outcome.deaths,
        "client_troubles": outcome.troubles,
        "failures": failures(outcome, verdict),
        "machine": {"system": platform.platform(), "python": platform.python_version()},
    }


def _recovery_figures(name: str, verdict: Verdict, calm: bool) -> dict[str, Any]:
    seconds = [found.seconds for found in verdict.recoveries if found.calm is calm]
    figures = {"p50": percentile(seconds, 0.5), "p99": percentile(seconds, 0.99), "max": percentile(seconds, 1.0)}
    rounded = {f"{name}_{what}_s": None if value is None else round(value, 2) for what, value in figures.items()}
    return {f"{name}_jobs": len(seconds), **rounded}


def failures(outcome: Outcome, verdict: Verdict) -> list[str]:
    """Say what must not be, in words; empty when all is well."""
    found = [f"{len(wrong)} {name.replace('_', ' ')}" for name, wrong in verdict.wrongs().items() if wrong]
    if outcome.quiet_seconds is None:
        found.append(f"not quiet within {QUIET_SECONDS:g} s")
    if outcome.evidence.remains:
        found.append(f"the stores still hold {dict(outcome.evidence.remains)}")
    p99 = percentile([each.seconds for each in verdict.recoveries if each.calm], 0.99)
    if p99 is not None and p99 > RECOVERY_SECONDS:
        found.append(f"recovery p99 {p99:.1f} s is above {RECOVERY_SECONDS:g} s")
    return found


def as_markdown(setup: Setup, outcome: Outcome, verdict: Verdict) -> str:
    """Write the report for people."""
    figures = as_json(setup, outcome, verdict)
    parts = [
        "# Chaos report",
        f"`{setup.command}`, seed {setup.seed}: **{'all is well' if figures['ok'] else 'FAILED'}**",
        "\n".join(f"- {failure}" for failure in figures["failures"]),
        _table(("figure", "value"), [(name, figures[name]) for name in _FIGURES]),
        "## Faults",
        _table(("kind", "planned", "carried out"), _faults(setup, figures["faults"])),
        RULES,
        "## Runs beyond what was needed, by cause",
        _table(("cause", "runs", "the run before returned too", "both went on at once"), _causes(figures)),
        "## Recovery after SIGKILL of a worker, in seconds",
        _table(("", "jobs", "p50", "p99", "max"), [_recovery_row(figures, name) for name in _RECOVERIES]),
        "## Plan",
        _table(("at s", "fault", "lasts s", "target"), [_plan_row(fault) for fault in setup.plan]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_RECOVERIES = ("recovery", "recovery_disturbed")
_FIGURES = (
    "jobs", "rows", "runs", "kills", *WRONGS, "poisoned", "cut_off", "duplicate_runs", "quiet_s", "remains",
    "deaths_unordered", "client_troubles",
)  # fmt: skip


def _faults(setup: Setup, done: dict[str, int]) -> list[tuple[Any, ...]]:
    planned = Counter(fault.kind.value for fault in setup.plan)
    return [(kind, planned[kind], done.get(kind, 0)) for kind in sorted(planned)]


def _causes(figures: dict[str, Any]) -> list[tuple[Any, ...]]:
    after, beside = figures["duplicates_after_end"], figures["duplicates_beside"]
    ordered = sorted(figures["duplicates_by_cause"].items(), key=lambda item: -item[1])
    return [(cause, count, after.get(cause, 0), beside.get(cause, 0)) for cause, count in ordered]


def _recovery_row(figures: dict[str, Any], name: str) -> tuple[Any, ...]:
    title = "undisturbed" if name == "recovery" else "disturbed"
    return (title, figures[f"{name}_jobs"], *(figures[f"{name}_{what}_s"] for what in ("p50", "p99", "max")))


def _plan_row(fault: Fault) -> tuple[Any, ...]:
    return (f"{fault.at:.1f}", fault.kind.value, f"{fault.lasts:.1f}" if fault.lasts else "", fault.target)


def _table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join("" if cell is None else str(cell) for cell in line) + " |" for line in lines)
