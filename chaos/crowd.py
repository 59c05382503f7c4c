"""How many jobs ran at once that share a unique key, a schedule in which each waits for the one before, or a limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chaos.evidence import Evidence, Intent, Run
from chaos.finding import Finding
from chaos.reruns import is_excused, last_moment

#: How many jobs of the kind ``limited`` may run at once, of all tenants and of each.
LIMIT, TENANT_LIMIT = 3, 2
#: Kinds of which one job of a group may run at once.
ALONE = ("unique", "queue")


def find_not_alone(evidence: Evidence) -> Iterator[Finding]:
    """Find jobs that began beside another one of their unique key, or of their schedule."""
    groups = _runs_by(evidence, {kind: lambda intent: (intent.kind, intent.group) for kind in ALONE})
    for (kind, group), runs in groups.items():
        for run, beside in _crowded(evidence, runs, 1):
            yield Finding(run.job_id, f"{kind}: run {run.run} began beside {beside[0].run} of {group}")


def find_over_limit(evidence: Evidence) -> Iterator[Finding]:
    """Find jobs that began though as many of their limit ran as may."""
    for slots, share in ((LIMIT, lambda intent: ("all",)), (TENANT_LIMIT, lambda intent: (intent.group,))):
        for group, runs in _runs_by(evidence, {"limited": share}).items():
            for run, beside in _crowded(evidence, runs, slots):
                yield Finding(run.job_id, f"run {run.run} of {group[0]} was number {len(beside) + 1} of {slots} slots")


def _runs_by(evidence: Evidence, shares: Mapping[str, Callable[[Intent], tuple[str, ...]]]) -> dict[Any, list[Run]]:
    """Give the runs of the jobs of some kinds by what these share."""
    groups: dict[Any, list[Run]] = defaultdict(list)
    for row in evidence.rows.values():
        intent = evidence.intent_of(row)
        if intent is not None and intent.kind in shares:
            groups[shares[intent.kind](intent)] += evidence.runs.get(row.job_id, ())
    return groups


def _crowded(evidence: Evidence, runs: list[Run], slots: int) -> Iterator[tuple[Run, list[Run]]]:
    """Find runs that began while others had all the slots, whose workers were well."""
    living: list[Run] = []
    for run in sorted(runs, key=lambda run: run.start):
        living = [other for other in living if last_moment(evidence, other) > run.start]
        if len(living) >= slots:
            # Runs of one job are judged by themselves.
            beside = [other for other in living if other.job_id != run.job_id and not is_excused(evidence, other, run)]
            if len({other.job_id for other in beside}) >= slots:
                yield run, beside
        living.append(run)
