"""The ledger: what clients and jobs note themselves, in files that are only appended to.

Each process has a file of its own, and each line is one ``write``, so that a process that dies leaves whole lines.
Nothing here is shared with the platform.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.evidence import PART, Intent, Promise, Run

#: The variable that names the ledger's directory.
DIRECTORY = "CHAOS_LEDGER"


class Pen:
    """Write the lines of one process.

    :param name: the beginning of the file's name; process id and time follow.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.stem = f"{name}.{os.getpid()}.{time.time_ns() // 1_000_000}"
        self._file = os.open(directory / f"{self.stem}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._numbers = itertools.count()
        self.write(k="process", pid=os.getpid(), parent=os.getppid())

    def write(self, **line: Any) -> None:
        """Append a line, with the time."""
        text = json.dumps({**line, "t": time.time()}, separators=(",", ":")) + "\n"
        os.write(self._file, text.encode())

    def name(self) -> str:
        """Make a name that no other process makes."""
        return f"{self.stem}.{next(self._numbers)}"

    def intend(self, kind: str, final: str = "COMPLETED", **more: Any) -> str:
        """Note that something is about to be submitted, and return the token that its jobs carry.

        :param more: ``finals`` of single jobs, by their numbers, and the ``group`` that they are of.
        """
        token = self.name()
        self.write(k="intent", token=token, kind=kind, final=final, **more)
        return token

    def promise(self, token: str, job_ids: Sequence[str], **more: Any) -> None:
        """Note that a submission returned.

        :param more: ``not_before``; ``chain=True`` when each job follows the one before; ``upstream``, by the number of
            each job the numbers of those that it waits for, and ``failing``, the numbers that are waited for to fail.
        """
        self.write(k="promise", token=token, ids=list(job_ids), **more)

    @contextmanager
    def running(self, job_id: str, attempt: int) -> Iterator[str]:
        """Note the start and the end of a run, and give its name."""
        run = self.name()
        self.write(k="start", run=run, job=job_id, a=attempt)
        try:
            yield run
        except BaseException as error:
            self.write(k="end", run=run, ok=False, error=type(error).__name__)
            raise
        self.write(k="end", run=run, ok=True)


@dataclass(slots=True)
class Ledger:
    """All that was noted.

    :param troubles: how often clients met errors, by the kind of the job and the class of the error.
    :param closed: ids of batches.
    """

    promises: dict[str, Promise] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    troubles: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    closed: set[str] = field(default_factory=set)


def read(directory: Path) -> Ledger:
    """Read the files of a run; the runs of each job are given in the order of their starts."""
    ledger = Ledger()
    for path in sorted(directory.glob("*.jsonl")):
        _read_file(ledger, path)
    for runs in ledger.runs.values():
        runs.sort(key=lambda run: run.start)
    return ledger


def _read_file(ledger: Ledger, path: Path) -> None:
    process: dict[str, Any] = {"pid": 0, "parent": 0}
    starts: dict[str, dict[str, Any]] = {}
    ends: dict[str, dict[str, Any]] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        match line["k"]:
            case "process":
                process = line
            case "intent":
                ledger.intents[line["token"]] = Intent(
                    line["token"], line["kind"], line["final"], line.get("finals", {}), line.get("group", "")
                )
            case "promise":
                _read_promise(ledger, line)
            case "start":
                starts[line["run"]] = line
            case "end":
                ends[line["run"]] = line
            case "batch":
                ledger.closed.add(line["batch"])
            case "trouble":
                ledger.troubles[line["what"]] += 1
    for run, start in starts.items():
        ledger.runs[start["job"]].append(_run(process, start, ends.get(run)))


def _read_promise(ledger: Ledger, line: dict[str, Any]) -> None:
    intent, ids, upstream = ledger.intents[line["token"]], line["ids"], line.get("upstream", {})
    failing = frozenset(ids[number] for number in line.get("failing", ()))
    for number, job_id in enumerate(ids):
        before = ids[number - 1] if number and line.get("chain") else ""
        waits = tuple(ids[other] for other in upstream.get(str(number), ()))
        promise = Promise(
            job_id, intent.kind, intent.final_of(str(number)), f"{intent.token}{PART}{number}", line["t"], before,
            line.get("not_before", 0.0), waits, failing.intersection(waits),
        )  # fmt: skip
        # A job that stands for a later submission too was promised when it was submitted.
        ledger.promises.setdefault(job_id, promise)


def _run(process: dict[str, Any], start: dict[str, Any], end: dict[str, Any] | None) -> Run:
    return Run(
        start["run"], start["job"], start["a"], process["pid"], process["parent"], start["t"],
        end["t"] if end else None, bool(end and end["ok"]),
    )  # fmt: skip
