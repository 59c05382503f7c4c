"""How far the rows are behind the jobs, at half of what a worker can take.

The lag of a job is the time from when the worker's main process learned of its end (``completed_at``) until a reader
of the tables sees the row COMPLETED. The reader looks every few milliseconds at a sample of each chunk of jobs, so the
figure holds the mirror's reading, its transaction with its commit, and up to one pause of the reader.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from benchmarks.apps.scratch import scratch
from benchmarks.apps.work import payload
from benchmarks.contenders import PREFORK
from benchmarks.drain import count_runs, drain, wait_until_drained, warm_up
from benchmarks.processes import Client, running
from benchmarks.report import Findings, Options
from benchmarks.stacks import NOOP, SCHEMA, Bench, BenchmarkError, say
from benchmarks.statistics import percentile, summary

_SECONDS = 20.0
_CHUNK_SECONDS = 0.05
#: Jobs of each chunk that the reader looks for.
_SAMPLES = 10
_READER_PAUSE = 0.005
_PROBES = "probes"
#: How long the last rows may take before they count as missing.
_PATIENCE_SECONDS = 30.0


def measure(bench: Bench, options: Options, findings: Findings) -> None:
    """Submit at half of the drain's rate for a while and watch rows becoming COMPLETED."""
    known = findings.extras.get("drain_prefork_per_s")
    saturation = known.median if known else drain(bench, PREFORK, options.jobs).rate
    bench.wipe()
    with running(bench, PREFORK), Client(bench, PREFORK) as client:
        warm_up(bench, client, PREFORK)
        before = count_runs_now(client)
        future = client.start(submit_paced, PREFORK.module, saturation / 2, _SECONDS)
        reader = Reader(bench)
        reader.read_until(future.done)
        submitted, seconds = future.result()
        wait_until_drained(bench)
        ran = count_runs_now(client) - before
    if ran != submitted:
        raise BenchmarkError(f"{submitted} jobs were submitted and {ran} ran")
    _report(bench, findings, reader.lags, {"rate": submitted / seconds, "saturation": saturation, "jobs": submitted})


def count_runs_now(client: Client) -> int:
    """Ask the one worker how many jobs it ran."""
    return client.run(count_runs, PREFORK.module, 1)


def submit_paced(module: str, rate: float, seconds: float) -> tuple[int, float]:
    """Submit chunks at an even pace, as a client; return how many jobs there were and how long it took.

    :param rate: jobs a second.
    """
    submit_many = import_module(module).noop.submit_many
    chunks, size = round(seconds / _CHUNK_SECONDS), max(1, round(rate * _CHUNK_SECONDS))
    started = time.monotonic()
    for chunk in range(chunks):
        ids = submit_many([payload(number) for number in range(chunk * size, (chunk + 1) * size)])
        scratch().rpush(_PROBES, *ids[:: max(1, size // _SAMPLES)])
        time.sleep(max(0.0, started + (chunk + 1) * _CHUNK_SECONDS - time.monotonic()))
    return chunks * size, time.monotonic() - started


class Reader:
    """Look at sampled rows again and again until each is seen COMPLETED."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.waiting: set[str] = set()
        self.lags: list[float] = []
        self.sql = (
            f"select job_id::text, extract(epoch from completed_at)::float8 from {SCHEMA}.jobs "
            "where job_id = any(%s::uuid[]) and status = 'COMPLETED'"
        )

    def read_until(self, submitted: Any) -> None:
        """Read until everything is submitted and seen.

        :param submitted: tells whether no more jobs will come.
        """
        deadline = None
        while True:
            last = submitted()
            self._look()
            if last and not self.waiting:
                return
            deadline = deadline or (time.monotonic() + _PATIENCE_SECONDS if last else None)
            if deadline and time.monotonic() > deadline:
                raise BenchmarkError(
                    f"{len(self.waiting)} sampled rows are not COMPLETED after {_PATIENCE_SECONDS:g} s"
                )
            time.sleep(_READER_PAUSE)

    def _look(self) -> None:
        new = self.bench.scratch.lpop(_PROBES, 10_000) or []
        self.waiting.update(job_id.decode() for job_id in new)
        if not self.waiting:
            return
        rows = self.bench.query(self.sql, list(self.waiting))
        now = time.time()
        for job_id, completed in rows:
            self.waiting.discard(job_id)
            self.lags.append(now - completed)


def _report(bench: Bench, findings: Findings, lags: list[float], load: dict[str, float]) -> None:
    written = f"select extract(epoch from updated_at - completed_at)::float8 from {SCHEMA}.jobs where job_type = %s"
    begun = [lag for (lag,) in bench.query(written, NOOP)]
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    seen = {name: 1000 * percentile(lags, share) for name, share in shares.items()}
    findings.key("mirror_lag_p99_ms", summary([seen["p99"]]))
    findings.extra("mirror_lag_p50_ms", summary([seen["p50"]]))
    findings.extra("mirror_lag_load_per_s", summary([load["rate"]]))
    # Of all rows, but only until the mirror's transaction began: the sampled figure must not be far above.
    findings.extra("mirror_transaction_begun_p99_ms", summary([1000 * percentile(begun, 0.99)]))
    findings.rounds["lag"] = {**load, "sampled": len(lags), "lag_ms": seen}
    say(f"  {load['rate']:,.0f}/s: p50 {seen['p50']:.0f} ms, p99 {seen['p99']:.0f} ms")
