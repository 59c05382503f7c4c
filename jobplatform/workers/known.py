"""What is known to come: fires of schedules, jobs and retries that are due, and the ends of jobs that run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from jobplatform.store import scaling as rows
from jobplatform.store.database import Transaction
from jobplatform.workers.scaling import Announced

if TYPE_CHECKING:
    from jobplatform.learning.forecaster import Usual

#: Fires that bring no more jobs than this are told of together.
_FEW = 2

Row = Mapping[str, Any]


class Known(NamedTuple):
    """What is known of some time ahead.

    :param seconds: how long that is.
    :param fires: of schedules, with what their last ones brought.
    :param due: jobs and retries, counted by queue.
    :param leaving: how many of the running jobs are foretold to end, by queue.
    """

    seconds: float
    fires: Sequence[Row]
    due: Sequence[Row]
    leaving: Mapping[str, float]

    def coming(self, queue: str) -> float:
        """Count the jobs that are known to come to a queue."""
        return float(sum(row["jobs"] for row in (*self.fires, *self.due) if row["queue"] == queue))

    def announced(self, usual: Callable[[str], Usual]) -> list[Announced]:
        """List what comes beyond what usually does.

        :param usual: tells what a queue usually does.
        """
        found = _of_fires(self.fires, usual)
        for row in self.due:
            habit = usual(row["queue"])
            more = row["jobs"] - habit.arrivals * self.seconds
            if more >= 1.0:
                words = f"{row['jobs']} jobs and retries of {row['queue']} are due within {self.seconds:.0f} s"
                found.append(Announced(more, row["seconds"] or habit.seconds, words))
        return found


def read_known(transaction: Transaction, now: datetime, until: datetime) -> Known:
    """Read what is known of the time until a moment."""
    return Known(
        (until - now).total_seconds(),
        rows.coming_fires(transaction, now, until),
        rows.coming_jobs(transaction, now, until),
        rows.leaving(transaction, now, until),
    )


def _of_fires(fires: Sequence[Row], usual: Callable[[str], Usual]) -> list[Announced]:
    """Name the fires that bring many jobs, and count the others of each queue together."""
    found, small = [], defaultdict[str, list[Row]](list)
    for row in fires:
        if row["jobs"] > _FEW:
            words = (
                f"schedule {row['name']} fires at {row['next_run']:%H:%M:%S} and brought {row['jobs']:.0f} jobs before"
            )
            found.append(Announced(row["jobs"], row["seconds"] or usual(row["queue"]).seconds, words))
        else:
            small[row["queue"]].append(row)
    for queue, few in small.items():
        jobs = sum(row["jobs"] for row in few)
        seconds = sum(row["jobs"] * (row["seconds"] or usual(queue).seconds) for row in few) / jobs
        until = max(row["next_run"] for row in few)
        words = f"schedules that bring {jobs:.0f} jobs to {queue} fire by {until:%H:%M:%S}"
        found.append(Announced(jobs, seconds, words))
    return found
