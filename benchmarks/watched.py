"""Whether a drain is slower while people watch: the dashboard with 50 live streams, and Prometheus at every process.

``python -m benchmarks.watched`` drains the same queue in turn without all that and with it. All share one machine: what
the web process and those who watch take of it is part of the figure.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks.audience import HEARD, PRESENT, Hall
from benchmarks.contenders import PREFORK
from benchmarks.drain import Drain, drain
from benchmarks.processes import Program, Running
from benchmarks.report import Findings, Options, as_json, table, write_json
from benchmarks.stacks import SCHEMA, Bench, BenchmarkError, open_bench, say, wait_until
from benchmarks.statistics import ratios, summary
from jobplatform.actions import entry, people
from jobplatform.actions.actor import Scope, at_terminal
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.devstack.ports import claim_free, release
from jobplatform.journal.writer import connect
from jobplatform.settings import Settings
from jobplatform.store.database import Database

STREAMS = 50
#: Seconds between two scrapes; Prometheus takes 15 or more where nobody says otherwise.
EVERY = 5.0
#: A drain has to last for several scrapes: so many times the jobs of the other parts.
_TIMES = 3
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is signed in.

    :param sessions: what the browser of each keeps.
    :param token: of Prometheus.
    """

    sessions: tuple[str, ...]
    token: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watched", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of drains bare and watched, in turn")
    parser.add_argument("--jobs", type=int, default=30_000, help="in each drain")
    parser.add_argument("--streams", type=int, default=STREAMS, help="people with the dashboard open")
    parser.add_argument("--json", type=Path, default=Path("build/watched.json"), help="where all figures go")
    asked = parser.parse_args(arguments)
    options, findings, started = Options(asked.rounds, asked.jobs), Findings(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open_bench() as bench:
        compare(bench, options, findings, asked.streams)
    write_json(asked.json, as_json(findings, options, time.monotonic() - started))
    print(table(findings))
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 1 if findings.problems else 0


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Compare drains as a part of all benchmarks."""
    compare(bench, Options(options.rounds, _TIMES * options.jobs), findings, STREAMS)


def compare(bench: Bench, options: Options, findings: Findings, streams: int) -> None:
    """Drain the same queue bare and watched, round by round."""
    drains: dict[str, list[Drain]] = {"bare": [], "watched": []}
    heard: list[dict[str, Any]] = []
    findings.rounds["watched"] = {"drains": drains, "heard": heard}
    watchers = sign_in(bench, streams)
    for number in range(options.rounds):
        for kind in list(drains)[:: -1 if number % 2 else 1]:
            if kind == "bare":
                done = drain(bench, PREFORK, options.jobs)
            else:
                done, found = watched_drain(bench, options.jobs, watchers)
                heard.append(found)
            drains[kind].append(done)
            say(f"  round {number + 1}: {kind} {done.rate:,.0f}/s")
    _report(findings, drains, heard)


def watched_drain(bench: Bench, jobs: int, watchers: Watchers) -> tuple[Drain, dict[str, Any]]:
    """Drain while a web process serves all who watch, and give what these heard as well.

    :raises BenchmarkError: when somebody heard nothing.
    """
    with _metrics(bench), _free_port() as port:
        done = drain(bench, PREFORK, jobs, prepare=lambda processes: _open(bench, processes, port, watchers))
    told = bench.scratch.get(HEARD)
    if told is None:
        raise BenchmarkError("those who watched did not tell what they heard")
    found: dict[str, Any] = json.loads(told)
    if deaf := found["changes"].count(0):
        raise BenchmarkError(f"{deaf} streams heard of no change")
    return done, found


def sign_in(bench: Bench, streams: int) -> Watchers:
    """Add somebody for each stream, and let them and Prometheus in."""
    settings = Settings(database_url=bench.database_url, redis_url=bench.redis_url, schema=SCHEMA)
    database = Database(settings)
    desk, root = Desk(settings, database, lambda: connect(settings.redis_url), lambda: None), at_terminal("benchmark")
    run = time.time_ns()
    names = [f"watcher-{run}-{number}" for number in range(streams)]
    for name in names:
        people.add_user(desk, root, name, f"password of {name}", "admin")
    # One address may not try so often; these come from nowhere.
    sessions = tuple(entry.sign_in(desk, name, f"password of {name}", None) for name in names)
    token = people.add_token(desk, root, names[0], "prometheus", [Permission.QUEUES_READ], timedelta(days=1), Scope())
    database.close()
    return Watchers(sessions, token.secret)


@contextmanager
def _metrics(bench: Bench) -> Iterator[None]:
    """Let worker and controller tell Prometheus how they are, each at a port that the system chooses."""
    before = bench.settings
    bench.settings = {**before, "JOBPLATFORM_METRICS_BIND": f"{_HOST}:0"}
    try:
        yield
    finally:
        bench.settings = before


@contextmanager
def _free_port() -> Iterator[int]:
    claims = claim_free(1)
    try:
        yield next(iter(claims))
    finally:
        release(claims.values())


def _open(bench: Bench, processes: Running, port: int, watchers: Watchers) -> None:
    """Start the dashboard, then all who watch, and return when they do."""
    env = {**bench.environment(PREFORK), "JOBPLATFORM_WEB_BIND": f"{_HOST}:{port}"}
    measured = [("worker", processes.nodes[0]), ("controller", processes.controller)]
    targets = {name: _metrics_of(program) for name, program in measured if program is not None}
    web = Program("web", ["jobplatform.cli", "web"], env, bench.logs)
    processes.beside.append(web)
    wait_until(lambda: port in _ports(web), "the dashboard listens")
    base = f"http://{_HOST}:{port}"
    cookies = [f"jobplatform-{port}={session}" for session in watchers.sessions]
    targets["web"] = f"{base}/metrics"
    file = bench.logs / "audience.json"
    Hall(f"{base}/live-updates", cookies, targets, watchers.token, EVERY).write(file)
    processes.beside.append(Program("audience", ["benchmarks.audience", str(file)], env, bench.logs))
    wait_until(lambda: _present(bench, processes) == len(cookies) + len(targets), "all watch")


def _present(bench: Bench, processes: Running) -> int:
    for program in processes.beside:
        program.check_alive()
    return int(bench.scratch.get(PRESENT) or 0)


def _metrics_of(program: Program) -> str:
    wait_until(lambda: bool(_ports(program)), f"{program.name} tells its metrics")
    (port,) = _ports(program)
    return f"http://{_HOST}:{port}/metrics"


def _ports(program: Program) -> set[int]:
    """Give the ports at which a process listens."""
    program.check_alive()
    found = psutil.Process(program.process.pid).net_connections("tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}


def _report(findings: Findings, drains: dict[str, list[Drain]], heard: list[dict[str, Any]]) -> None:
    rates = {kind: [done.rate for done in several] for kind, several in drains.items()}
    findings.key("drain_watched_x_bare", summary(ratios(rates["watched"], rates["bare"])))
    for kind, several in rates.items():
        findings.extra(f"drain_{kind}_per_s", summary(several))
    for role in ("web", "audience"):
        findings.extra(f"watched_{role}_cpu_us_per_job", summary([done.cpu_us[role] for done in drains["watched"]]))
    findings.extra("watched_changes_of_a_stream", summary([count for found in heard for count in found["changes"]]))
    findings.extra("watched_scrapes", summary([sum(found["scraped"].values()) for found in heard]))
    findings.extra("watched_scrapes_missed", summary([sum(found["missed"].values()) for found in heard]))


if __name__ == "__main__":
    sys.exit(main())
