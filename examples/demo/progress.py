"""Show how far the run is: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from jobplatform.states import FINAL, State
from jobplatform.tally import Progress as BatchProgress

_LINE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The run at one moment, as the rows show it."""

    states: Mapping[str, int]
    retries: int
    jobs_per_s: float
    lag_ms: float | None
    batch: BatchProgress | None = None

    @property
    def jobs(self) -> int:
        """The jobs that have a row."""
        return sum(self.states.values())

    @property
    def finished(self) -> int:
        """The jobs in a final state."""
        return sum(count for state, count in self.states.items() if state in FINAL)

    def text(self) -> tuple[str, str]:
        """Write a line of the states, and one of retries, speed and lag."""
        counts = [f"{self.states[state]} {state.lower()}" for state in State if self.states.get(state)]
        lag = "-" if self.lag_ms is None else f"{self.lag_ms:.0f} ms"
        figures = f"{self.retries} retries, {self.jobs_per_s:.0f} jobs/s, lag {lag}"
        return ", ".join(counts), f"{figures}{self._batch()}"

    def _batch(self) -> str:
        if self.batch is None:
            return ""
        eta = "" if self.batch.eta is None else f", {self.batch.eta:.0f} s left"
        return f"; batch {self.batch.percent:.0f} %{eta}"


def snapshot(
    states: Iterable[Mapping[str, Any]], lag: Mapping[str, Any], batch: BatchProgress | None = None
) -> Snapshot:
    """Make a snapshot out of what the queries gave."""
    rows = list(states)
    counts = {row["status"]: row["jobs"] for row in rows}
    starts = [row["first_start"] for row in rows if row["first_start"]]
    ends = [row["last_end"] for row in rows if row["last_end"]]
    seconds = (max(ends) - min(starts)).total_seconds() if starts and ends else 0.0
    finished = sum(count for state, count in counts.items() if state in FINAL)
    return Snapshot(
        states=counts,
        retries=sum(row["retries"] for row in rows),
        jobs_per_s=finished / seconds if seconds > 0 else 0.0,
        lag_ms=lag["p50_ms"],
        batch=batch,
    )


class Display(Protocol):
    """What shows the run, from the start of a ``with`` block to its end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, text: str) -> None:
        """Show what is done now."""

    def show(self, now: Snapshot) -> None:
        """Show how far the jobs are."""


class _BarAndFigures(Progress):
    """A bar, and below it the figures."""

    figures = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text(self.figures)


class LiveDisplay:
    """A bar and the figures, redrawn in place."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("jobs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = _BarAndFigures(*columns, console=console, refresh_per_second=4)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def show(self, now: Snapshot) -> None:
        """Redraw bar and figures."""
        self._progress.figures = "\n".join(now.text())
        self._progress.update(self._task, total=now.jobs or None, completed=now.finished)


class PlainDisplay:
    """A line now and then, for logs."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._out, flush=True)

    def show(self, now: Snapshot) -> None:
        """Print the figures if the last ones are old."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _LINE_SECONDS
            self.say(f"{now.finished}/{now.jobs} done: {', '.join(now.text())}")


def make_display(out: TextIO) -> Display:
    """Choose the display that an output can show."""
    console = Console(file=out)
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(out)
