"""Fingerprints: whether errors of one bug fall together, and those of two do not.

``python -m benchmarks.fingerprints`` raises 5,000 real errors a seed, of bugs that are planted in ``benchmarks/bugs``,
with other ids, names, addresses, paths and line numbers each time, and compares their fingerprints with the bugs.

Purity is that of C. Manning, P. Raghavan and H. Schütze, "Introduction to Information Retrieval" (2008), section 16.3;
precision and recall are B-cubed (A. Bagga and B. Baldwin, "Algorithms for Scoring Coreference Chains", 1998).
"""

from __future__ import annotations

import argparse
import inspect
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module, invalidate_caches
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks.report import Findings, Options, as_json, table, write_json
from benchmarks.statistics import least, summary, worst
from jobplatform.fingerprint.identity import identify
from jobplatform.journal.failure import describe

_SOURCES = Path(__file__).parent / "bugs"
_MODULES = ("orders", "feeds", "remote")
#: Functions that bugs share, and that are none.
_SHARED = frozenset({"wrapped", "get", "query"})
#: One function with two bugs in it.
_WORDS_OF = {"check": ("no lines", "several currencies")}
_DEPENDENCIES = {
    "remote.rates_away": "host:rates.example.com",
    "remote.rates_broken": "host:rates.example.com",
    "remote.stock_away": "host:stock.example.com",
    "remote.pool": "host:mail.example.com",
    "remote.answered": "host:localhost",
    "remote.database_away": "database:127.0.0.1",
    "feeds.full_disk": "file:/mnt/share",
}
#: The error names the address in its cause alone, or not at all.
_UNTOLD = frozenset({"remote.refused"})


class Found(NamedTuple):
    """An error: the bug that it is of, and what was made of it."""

    bug: str
    digest: str
    dependency: str | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that a goal was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fingerprints", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, help="ignored: the errors are made here")
    parser.add_argument("--json", type=Path, default=Path("build/fingerprints.json"), help="where all figures go")
    parser.add_argument("--seeds", type=int, default=5, help="how often, with other errors each time")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--errors", type=int, default=5_000, help="a seed")
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    with answering() as server:
        rounds = [measure(random.Random(seed), asked.errors, server) for seed in seeds]
    findings = judge(rounds)
    write_json(asked.json, as_json(findings, Options(asked.seeds, asked.errors), time.monotonic() - started))
    print(table(findings))
    print(f"\n{time.monotonic() - started:.0f} s; all figures are in {asked.json}")
    return 1 if findings.problems else 0


@contextmanager
def answering() -> Iterator[str]:
    """Serve HTTP for the time of a block: the status that a path begins with; gives the URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(int(self.path.split("/")[1]))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Round(NamedTuple):
    """What was found for one seed.

    :param micros: processor microseconds an error.
    """

    found: list[Found]
    micros: float


def measure(luck: random.Random, errors: int, server: str) -> Round:
    """Raise errors of random bugs, and make fingerprints of them."""
    with tempfile.TemporaryDirectory() as directory:
        releases = [deploy(luck, Path(directory), server) for _ in range(3)]
        names = sorted(releases[0])
        often = [luck.paretovariate(1.0) for _ in names]
        told = [raised(luck, luck.choice(releases), name) for name in luck.choices(names, often, k=errors)]
    started = time.process_time()
    identities = [identify(error) for _, error in told]
    micros = (time.process_time() - started) / errors * 1e6
    pairs = zip(told, identities, strict=True)
    return Round([Found(bug, each.digest, each.dependency) for (bug, _), each in pairs], micros)


def deploy(luck: random.Random, directory: Path, server: str) -> dict[str, Callable[[random.Random], None]]:
    """Import a copy of the jobs, at another place and with other line numbers; gives the bugs by name."""
    place = directory / f"{luck.getrandbits(40):x}" / luck.choice(["srv", "app", "code"])
    (place / "bugs").mkdir(parents=True)
    for source in _SOURCES.glob("*.py"):
        text = source.read_text().replace("\n\n\n", "\n" * luck.randrange(3, 40))
        (place / "bugs" / source.name).write_text(text)
    sys.path.insert(0, str(place))
    try:
        invalidate_caches()
        modules = [import_module(f"bugs.{name}") for name in _MODULES]
    finally:
        sys.path.remove(str(place))
        for name in [name for name in sys.modules if name.partition(".")[0] == "bugs"]:
            del sys.modules[name]
    modules[-1].SERVER[0] = server
    return {
        f"{name}.{bug}": function
        for name, module in zip(_MODULES, modules, strict=True)
        for bug, function in _bugs(module)
    }


def _bugs(module: ModuleType) -> list[tuple[str, Callable[[random.Random], None]]]:
    found = inspect.getmembers(module, inspect.isfunction)
    return [(name, each) for name, each in found if each.__module__ == module.__name__ and name not in _SHARED]


def raised(
    luck: random.Random, release: dict[str, Callable[[random.Random], None]], name: str
) -> tuple[str, dict[str, Any]]:
    """Let a job fail; gives the bug, and its error as the journal tells it."""
    try:
        with redirect_stdout(StringIO()):
            release[name](luck)
    except Exception as error:  # noqa: BLE001 - any failure is what is wanted
        trace = error.with_traceback(error.__traceback__.tb_next if error.__traceback__ else None)
        told = describe(trace, "".join(traceback.format_exception(trace)), 0.0)
        twins = _WORDS_OF.get(name.partition(".")[2], ())
        return f"{name}{next((f': {words}' for words in twins if words in told['message']), '')}", told
    raise AssertionError(f"{name} did not fail")


def judge(rounds: Sequence[Round]) -> Findings:
    """Compare fingerprints with bugs."""
    findings = Findings()
    scores = [bcubed(each.found) for each in rounds]
    findings.key("fingerprints_purity", least([purity(each.found) for each in rounds]))
    findings.key("fingerprints_precision", least([score[0] for score in scores]))
    findings.key("fingerprints_recall", least([score[1] for score in scores]))
    findings.key("fingerprints_us", summary([each.micros for each in rounds]))
    findings.extra("bugs", summary([len({found.bug for found in each.found}) for each in rounds]))
    findings.extra("fingerprints", summary([len({found.digest for found in each.found}) for each in rounds]))
    wrong: Counter[str] = Counter()
    for each in rounds:
        findings.rounds[str(len(findings.rounds))] = {"purity": purity(each.found), "split": split(each.found)}
        wrong.update(
            f"{found.bug}: {found.dependency}"
            for found in each.found
            if found.bug not in _UNTOLD and found.dependency != _DEPENDENCIES.get(found.bug)
        )
        findings.problems += [f"split: {line}" for line in split(each.found)]
        findings.problems += [f"together: {line}" for line in together(each.found)]
    findings.extra("wrong dependencies", worst([sum(wrong.values())]))
    findings.problems += [f"dependency of {line} ({times} times)" for line, times in wrong.items()]
    return findings


def purity(found: Sequence[Found]) -> float:
    """Give the share of errors that are of the bug that most in their cluster are of."""
    clusters: dict[str, Counter[str]] = defaultdict(Counter)
    for each in found:
        clusters[each.digest][each.bug] += 1
    return sum(max(bugs.values()) for bugs in clusters.values()) / len(found)


def bcubed(found: Sequence[Found]) -> tuple[float, float]:
    """Give B-cubed precision and recall."""
    both = Counter((each.bug, each.digest) for each in found)
    bugs, digests = Counter(each.bug for each in found), Counter(each.digest for each in found)
    precision = sum(times**2 / digests[digest] for (_, digest), times in both.items())
    recall = sum(times**2 / bugs[bug] for (bug, _), times in both.items())
    return precision / len(found), recall / len(found)


def split(found: Sequence[Found]) -> list[str]:
    """Name the bugs that have several fingerprints."""
    digests: dict[str, set[str]] = defaultdict(set)
    for each in found:
        digests[each.bug].add(each.digest)
    return [f"{bug} into {len(names)}" for bug, names in sorted(digests.items()) if len(names) > 1]


def together(found: Sequence[Found]) -> list[str]:
    """Name the bugs that share a fingerprint."""
    bugs: dict[str, set[str]] = defaultdict(set)
    for each in found:
        bugs[each.digest].add(each.bug)
    return sorted(", ".join(sorted(names)) for names in bugs.values() if len(names) > 1)


if __name__ == "__main__":
    sys.exit(main())
