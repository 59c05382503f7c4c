"""Finished jobs leave when their time is over: page by page, and only after they were written to a file, if asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from jobplatform.maintenance.job_files import JobFiles
from jobplatform.maintenance.keeping import Keeping
from jobplatform.states import FINAL
from jobplatform.store import retention
from jobplatform.store.database import Database, Transaction
from jobplatform.store.retention import START, Ended, Place

#: From the beginning of one pass to that of the next, at least.
_EVERY = timedelta(hours=1)
#: What is kept for so long after it ended, or was settled, besides jobs.
_PAPERS = timedelta(days=30)
_Prune = Callable[[Transaction, datetime, int], int]
_OTHERS: dict[str, _Prune] = {
    "sessions": retention.prune_sessions,
    "tokens": retention.prune_tokens,
    "workers": retention.prune_workers,
    "quarantine": retention.prune_quarantine,
    "replacements": retention.prune_replacements,
    "bulk_actions": retention.prune_bulks,
}


class Retention:
    """Delete jobs whose time is over, with their executions and decisions; then batches and what else is over.

    A pass goes over the ended jobs in the order in which they were submitted, one page a round, so that jobs which are
    kept for longer than others cost one look a pass.

    :param files: where jobs are written before they are deleted; None deletes without.
    :param page: jobs that one round looks at.
    """

    name = "retention"
    interval = 60.0

    def __init__(self, database: Database, keeping: Keeping, files: JobFiles | None, page: int = 1_000) -> None:
        self.database = database
        self.keeping = keeping
        self.files = files
        self.page = page
        self._states = sorted(map(str, FINAL))
        self._at: tuple[int, Place] = (0, START)
        self._next_pass: datetime | None = None

    def run_once(self, now: datetime) -> Counter[str]:
        """Look at one page; the next round follows at once while the pass goes on."""
        state, after = self._at
        if self._at == (0, START) and not self._begins(now):
            return self._prune_others(now)
        before = now - self.keeping.least
        with self.database.transaction() as transaction:
            seen = retention.choose(transaction, self._states[state], after, before, self.page)
            gone = self._delete(transaction, self.keeping.over(seen, now), now)
        following = ((state + 1) % len(self._states), START)
        self._at = (state, _place(seen[-1])) if len(seen) == self.page else following
        # A round that did something is followed by the next one at once.
        return +Counter(jobs=gone, seen=len(seen) or 1)

    def rounds(self, now: datetime) -> Iterator[Counter[str]]:
        """Do rounds until nothing is left to do; gives what each did."""
        while counts := self.run_once(now):
            yield counts

    def _begins(self, now: datetime) -> bool:
        """Tell whether a pass begins now."""
        if not self.keeping.deletes or (self._next_pass is not None and now < self._next_pass):
            return False
        self._next_pass = now + _EVERY
        return True

    def _delete(self, transaction: Transaction, over: list[Ended], now: datetime) -> int:
        if not over:
            return 0
        job_ids = retention.lock(transaction, [job.job_id for job in over], now - self.keeping.least)
        if self.files is not None and job_ids:
            self.files.append(retention.lines(transaction, job_ids), now)
        return retention.delete(transaction, job_ids)

    def _prune_others(self, now: datetime) -> Counter[str]:
        counts: Counter[str] = Counter()
        with self.database.transaction() as transaction:
            if self.keeping.deletes:
                counts["batches"] = retention.prune_batches(transaction, now - self.keeping.least, self.page)
            for name, prune in _OTHERS.items():
                counts[name] = prune(transaction, now - _PAPERS, self.page)
        return +counts

    def count(self, now: datetime) -> Counter[str]:
        """Count by type the jobs that would leave, and change nothing."""
        counts: Counter[str] = Counter()
        for state in self._states if self.keeping.deletes else ():
            after, more = START, True
            while more:
                with self.database.session() as session:
                    seen = retention.choose(session, state, after, now - self.keeping.least, self.page)
                counts.update(job.job_type for job in self.keeping.over(seen, now))
                more = len(seen) == self.page
                after = _place(seen[-1]) if seen else START
        return counts

    def close(self) -> None:
        """Close the file of the jobs that have left."""
        if self.files is not None:
            self.files.close()


def _place(job: Ended) -> Place:
    return job.created_at, job.job_id
