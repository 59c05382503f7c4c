"""What is thought of each worker, kept in rows and told as sentences."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from jobplatform.store import samples, verdicts
from jobplatform.store.database import Database
from jobplatform.transport import census, keys
from jobplatform.workers.sample import sample_of_row
from jobplatform.workers.symptom import Health, Ready, View
from jobplatform.workers.verdict import VERDICTS, Foretold, Verdict, verdict
from jobplatform.workers.watch import Watch, Watched

logger = logging.getLogger(__name__)

#: What stands in rows of a worker that nothing was heard of before, as another controller led.
_PRIMED, _PRIMED_ROWS = timedelta(hours=2), 240

#: Tells, of all workers, what a model says of each.
Foretell = Callable[[Mapping[str, Watched], float], Mapping[str, Foretold]]


class Said(NamedTuple):
    """What was said of a worker last.

    :param key: what makes a verdict another one; the numbers in its reason change all the time.
    :param sure: how many verdicts in a row said that it is surely failing, each with news that the one before had not.
    :param heard_at: the time of the last sample behind it.
    """

    key: tuple[Health, bool, str]
    sure: int = 0
    heard_at: float = 0.0

    def then(self, said: Verdict, heard_at: float) -> Said:
        """Follow what is said now; of a silent worker that it is silent still is the news."""
        is_news = heard_at > self.heard_at or "silence" in said.rules
        return Said(key_of(said), self.sure + is_news if said.is_sure else 0, heard_at)


def key_of(said: Verdict) -> tuple[Health, bool, str]:
    """Give what makes a verdict another one."""
    return said.health, said.is_sure, said.rules[0] if said.rules else ""


def foretell_nothing(watched: Mapping[str, Watched], now: float) -> Mapping[str, Foretold]:
    """Stand for no model."""
    return {}


class Judge:
    """Judge every worker as often as it speaks: one that stands still is to be found within a minute.

    :param watch: hears the heartbeats.
    :param journal_limit: commits in the journal above which no worker takes jobs.
    :param foretell: asks a model.
    """

    name = "judge"

    def __init__(
        self, database: Database, watch: Watch, journal_limit: int, foretell: Foretell = foretell_nothing
    ) -> None:
        self.database = database
        self.watch = watch
        self.journal_limit = journal_limit
        self.foretell = foretell
        self.interval = min(5.0, watch.beat_seconds)
        self._known: dict[str, Said] = {}

    def run_once(self, now: datetime) -> Counter[str]:
        """Judge all workers; the loop's pause follows, as nothing is counted."""
        clock = self.watch.look()
        watched = self._living(clock)
        said = self._judged(watched, clock)
        self._keep(said, watched, datetime.fromtimestamp(clock, UTC))
        return Counter()

    def _living(self, clock: float) -> dict[str, Watched]:
        """Give the workers that have not said goodbye; what rows tell of those that are new here is heard as well."""
        watched = {node: each for node, each in self.watch.workers().items() if not each.gone}
        unknown = [node for node in watched if node not in self._known]
        if unknown:
            self._prime(unknown, datetime.fromtimestamp(clock, UTC))
            watched = {node: each for node, each in self.watch.workers().items() if not each.gone}
        return watched

    def _prime(self, nodes: list[str], now: datetime) -> None:
        with self.database.transaction() as transaction:
            rows = samples.last_of_workers(transaction, nodes, now - _PRIMED, _PRIMED_ROWS)
            before = {row["worker_id"]: row for row in verdicts.last(transaction, nodes)}
        for node, found in rows.items():
            self.watch.prime(node, map(sample_of_row, found))
        for node, row in before.items():
            rules = (row["features"].get("rule", ""),)
            # Who judged before has said it; whether it is so again has to be seen here.
            self._known[node] = Said(key_of(Verdict(Health(row["verdict"]), row["confidence"], "", rules=rules)))

    def _judged(self, watched: Mapping[str, Watched], clock: float) -> dict[str, Verdict]:
        ready, hindrance = self._queues({queue for each in watched.values() for queue in each.worker.queues})
        foretold = self.foretell(watched, clock)
        all_of = {node: (each.worker, each.samples) for node, each in watched.items()}
        said = {}
        for node, each in watched.items():
            others = {other: pair for other, pair in all_of.items() if other != node}
            view = View(self.watch.beat_seconds, self.watch.heard_since, others, ready, hindrance)
            said[node] = verdict(each.worker, each.samples, clock, view, foretold.get(node))
        return said

    def _queues(self, queues: set[str]) -> tuple[dict[str, Ready], str]:
        """Tell what waits in queues that are not paused, and what else keeps jobs from being taken."""
        client = self.watch.client
        paused = {name.decode() for name in client.hkeys(keys.PAUSED)}
        backlog = census.backlog(client, [queue for queue in queues if f"queue:{queue}" not in paused])
        ready = {queue: Ready(each.listed, each.oldest) for queue, each in backlog.items()}
        if client.xlen(keys.JOURNAL) > self.journal_limit:
            return ready, "the journal is full, and no worker takes any"
        return ready, "limits hold jobs back" if census.has_lanes(client) else ""

    def _keep(self, said: Mapping[str, Verdict], watched: Mapping[str, Watched], at: datetime) -> None:
        """Write what has changed or is so again, and on the rows of workers what speaks against them, to be fresh."""
        nobody = Said((Health.HEALTHY, False, ""))
        known = {
            node: self._known.get(node, nobody).then(each, watched[node].samples[-1].at) for node, each in said.items()
        }
        changed = [node for node in said if node not in self._known or known[node].key != self._known[node].key]
        again = [node for node in said if known[node].sure == VERDICTS != self._known.get(node, nobody).sure]
        stamped = [node for node in said if node in changed or said[node].health is not Health.HEALTHY]
        if stamped:
            rows = {node: _row(node, said[node], known[node].sure) for node in stamped}
            with self.database.transaction() as transaction:
                verdicts.add(transaction, [rows[node] for node in dict.fromkeys([*changed, *again])], at)
                verdicts.stamp(transaction, list(rows.values()), at)
        for node in changed:
            _tell(watched[node].worker.name, said[node], first=node not in self._known)
        self._known = known


def _row(node: str, said: Verdict, in_a_row: int) -> dict[str, Any]:
    return {
        "worker_id": node,
        "verdict": said.health,
        "confidence": said.confidence,
        "reason": said.reason,
        "decided_by": said.decided_by,
        "features": {
            **said.features,
            "rules": said.rules,
            "rule": said.rules[0] if said.rules else "",
            "in_a_row": in_a_row,
        },
    }


def _tell(name: str, said: Verdict, first: bool) -> None:
    if said.health is not Health.HEALTHY:
        logger.warning("worker %s is %s (%.0f %% sure): %s", name, said.health, 100 * said.confidence, said.reason)
    elif not first:
        logger.info("worker %s is healthy again: %s", name, said.reason)
