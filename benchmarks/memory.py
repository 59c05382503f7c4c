"""How much memory a worker and its children hold after some work.

Celery's command line imports the commands of all packages that are installed, Flower's among them, into every worker.
It is weighed like that, as ours is, and once more bare of them.
"""

from __future__ import annotations

from benchmarks.contenders import BARE, CELERY, PREFORK, Contender
from benchmarks.drain import submit_noops, wait_until_drained, warm_up
from benchmarks.processes import Client, Program, running
from benchmarks.report import Findings, Options
from benchmarks.stacks import Bench, say
from benchmarks.statistics import ratios, summary

CONTENDERS = (CELERY, BARE, PREFORK)
_JOBS = 1_000
_MB = 1024 * 1024


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Weigh the worker trees, ours and plain Celery's, after the same jobs."""
    rounds: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in CONTENDERS}
    for number in range(options.rounds):
        for contender in CONTENDERS[:: -1 if number % 2 else 1]:
            weight = _round(bench, contender)
            rounds[contender.name].append(weight)
            say(f"  round {number + 1}: {contender.name} {weight['rss_mb']:.0f} MB")
    for name, several in rounds.items():
        for what in ("rss_mb", "pss_mb"):
            findings.extra(f"{name}_{what}", summary([weight[what] for weight in several]))
    ours, theirs, bare = ([weight["rss_mb"] for weight in rounds[item.name]] for item in (PREFORK, CELERY, BARE))
    findings.key("rss_x_celery", summary(ratios(ours, theirs)))
    findings.extra("rss_x_celery_bare", summary(ratios(ours, bare)))
    findings.key("rss_mb", summary(ours))
    findings.rounds["rss"] = rounds


def _round(bench: Bench, contender: Contender) -> dict[str, float]:
    bench.wipe()
    with running(bench, contender) as processes, Client(bench, contender) as client:
        warm_up(bench, client, contender)
        client.run(submit_noops, contender.module, _JOBS)
        wait_until_drained(bench)
        return _weigh(processes.nodes)


def _weigh(nodes: list[Program]) -> dict[str, float]:
    """Sum up the resident memory of every process; PSS counts what processes share only once."""
    processes = [process for node in nodes for process in node.tree()]
    full = [process.memory_full_info() for process in processes]
    return {
        "processes": len(processes),
        "rss_mb": sum(info.rss for info in full) / _MB,
        "pss_mb": sum(getattr(info, "pss", 0) for info in full) / _MB,
    }
