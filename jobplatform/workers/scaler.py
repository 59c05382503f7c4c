"""The number of workers, ahead of the queue: read what happened and what is known to come, foretell, decide, ask."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from jobplatform.learning.load import Outlook, Sample
from jobplatform.settings import Settings
from jobplatform.store import scaling as rows
from jobplatform.store.database import Database, Transaction
from jobplatform.workers.known import Known, read_known
from jobplatform.workers.scaling import Announced, Bounds, Decision, Pool, decide, hold, level_for

if TYPE_CHECKING:
    from jobplatform.learning.demand import Demand
    from jobplatform.learning.forecaster import Forecaster, Foretold

logger = logging.getLogger(__name__)

#: What happened in this time is known when the service begins.
_PAST = timedelta(hours=25)
#: Fires are looked for so much further ahead than workers take to start, so that these are up before.
_MARGIN = timedelta(seconds=15)
_PRUNE = timedelta(hours=1)
#: What workers said in the time of so many samples tells how many jobs each runs at once.
_SAMPLES = 4

Row = Mapping[str, Any]


class Wish(Protocol):
    """How many workers there are to be; of those that are too many only such end that run nothing."""

    def size(self) -> int:
        """Give what was asked for last."""
        ...

    def holder(self) -> str:
        """Name who has asked for a number that holds, nobody if the scaler may decide."""
        ...

    def ask(self, wanted: int, reason: str) -> None:
        """Let there be so many."""
        ...


class InForce(Protocol):
    """A loaded model and its version."""

    @property
    def version(self) -> int:
        """Its number in the registry."""
        ...

    @property
    def model(self) -> Demand:
        """What foretells."""
        ...


class Scaler:
    """Decide every interval how many workers there should be, write it down, and ask the fleet for them.

    :param current: gives the model in force, None when there is none.
    """

    name = "scaler"

    def __init__(
        self,
        database: Database,
        settings: Settings,
        wish: Wish,
        current: Callable[[], InForce | None] = lambda: None,
    ) -> None:
        self.database = database
        self.settings = settings
        self.wish = wish
        self.current = current
        self.pool = settings.fleet_pool
        self.interval = settings.scale_seconds
        self.bounds = bounds_of(settings)
        self._ahead = timedelta(seconds=settings.worker_start_seconds + settings.scale_seconds) + _MARGIN
        self._forecaster: Forecaster | None = None
        self._last: dict[str, Sample] = {}
        self._seen: datetime | None = None
        self._grown: datetime | None = None
        self._fires: dict[str, datetime] = {}
        self._pruned: datetime | None = None

    def run_once(self, now: datetime) -> Counter[str]:
        """Read, foretell, decide, write down, ask; once an interval, so it never counts work that was done."""
        if self.settings.scaler == "off":
            return Counter()
        had, holder = self.wish.size(), self.wish.holder()
        with self.database.transaction() as transaction:
            self.bounds = replace(self.bounds, slots=self._slots(transaction, now))
            known = read_known(transaction, now, now + self._ahead)
            forecaster = self._follow(transaction, known, now)
            announced = known.announced(forecaster.usual)
            decision, forecast = self._decide(forecaster, had, announced, now)
            if holder:
                decision = hold(decision, had, holder)
            number = rows.add(transaction, self._row(decision, forecast, had, now))
            self._prune(transaction, now)
        if self.settings.scaler != "dry" and not holder:
            self._ask(decision, had, number, now)
        return Counter()

    def _slots(self, transaction: Transaction, now: datetime) -> int:
        """Tell how many jobs a worker runs at once: as the setting says, else as the workers say."""
        since = now - timedelta(seconds=_SAMPLES * self.settings.sample_seconds)
        return self.settings.worker_slots or rows.sampled_slots(transaction, since) or self.bounds.slots

    def _follow(self, transaction: Transaction, known: Known, now: datetime) -> Forecaster:
        """Read what happened since the last round, and keep with it what is known now."""
        if self._forecaster is None:
            # Only a controller that scales needs what computes.
            from jobplatform.learning.forecaster import Forecaster
            from jobplatform.learning.view import ahead_of

            self._forecaster = Forecaster(ahead_of(self.settings), self.interval)
        found = rows.samples(transaction, self._seen or now - _PAST)
        by_queue: dict[str, list[Sample]] = {}
        for row in found:
            by_queue.setdefault(row["queue"], []).append(Sample.of(row))
        for queue, samples in by_queue.items():
            last = samples[-1]._replace(coming=known.coming(queue), leaving=known.leaving.get(queue))
            self._forecaster.note(queue, [*samples[:-1], last])
            self._last[queue] = last
        rows.note_known(
            transaction,
            [
                {"queue": queue, **{name: getattr(self._last[queue], name) for name in ("at", "coming", "leaving")}}
                for queue in by_queue
            ],
        )
        self._fires |= {row["name"]: row["next_run"] for row in known.fires}
        if found:
            self._seen = datetime.fromtimestamp(found[-1]["at"], UTC)
        return self._forecaster

    def _decide(
        self, forecaster: Forecaster, had: int, announced: Sequence[Announced], now: datetime
    ) -> tuple[Decision, dict[str, Any]]:
        current = None if self.settings.scaler == "rule" else self.current()
        level = level_for(self.settings.late_cost, forecaster.seconds())
        model, version = (None, "") if current is None else (current.model, f"model {current.version}")
        outlook, chances, queues = forecaster.outlook(model, version, level)
        probability = forecaster.chance_above(chances, had * self.bounds.slots)
        decision = decide(self.bounds, outlook, self._there_is(had, now), probability, announced)
        return decision, _forecast(outlook, level, queues, announced)

    def _there_is(self, had: int, now: datetime) -> Pool:
        """Sum up the last samples; a fire for which workers were asked counts as long as its jobs may still come."""
        passed = [at for at in (*self._fires.values(), self._grown) if at is not None and at <= now]
        since = min(((now - at).total_seconds() for at in passed), default=inf)
        recent = [each for each in self._last.values() if now.timestamp() - each.at < 3 * self.interval]
        return Pool(
            had,
            sum(each.running for each in recent),
            sum(each.depth for each in recent),
            max((each.oldest for each in recent), default=0.0),
            since,
        )

    def _ask(self, decision: Decision, had: int, number: int, now: datetime) -> None:
        """Ask the fleet every time: of what was asked for before, something may have died."""
        self.wish.ask(decision.wanted, decision.reason)
        if decision.wanted > had:
            self._grown = now
        if decision.wanted != had:
            logger.info("%s: %s", self.pool, decision.reason)
        with self.database.transaction() as transaction:
            rows.mark_acted(transaction, number)

    def _row(self, decision: Decision, forecast: Mapping[str, Any], had: int, now: datetime) -> dict[str, Any]:
        return {
            "decided_at": now,
            "pool": self.pool,
            "queues": sorted(self._last),
            "had": had,
            "wanted": decision.wanted,
            "level": str(decision.level),
            "probability": decision.probability,
            "forecast": forecast,
            "reason": decision.reason,
            "counterfactual": decision.counterfactual,
            "decided_by": decision.by,
            "dry_run": self.settings.scaler == "dry",
        }

    def _prune(self, transaction: Transaction, now: datetime) -> None:
        if self._pruned is None or now - self._pruned >= _PRUNE:
            self._pruned = now
            rows.prune(transaction, now)
            self._fires = {name: at for name, at in self._fires.items() if now - at < _PRUNE}


def bounds_of(settings: Settings) -> Bounds:
    """Give what the settings allow."""
    return Bounds(
        settings.fleet_min,
        settings.fleet_max,
        settings.worker_slots or 1,
        settings.cooldown_seconds,
        settings.wait_slo_seconds,
    )


def _forecast(
    outlook: Outlook, level: float, queues: Mapping[str, Foretold], announced: Sequence[Announced]
) -> dict[str, Any]:
    """Give what was foretold, for people: in jobs at once."""
    said = {name: round(float(getattr(outlook, name)), 2) for name in ("later", "kept", "usual", "rule")}
    of_queues = {
        name: {"median": round(float(each.later[0]), 2), "most": round(float(each.later[-1]), 2), "rule": each.rule}
        for name, each in queues.items()
    }
    return {**said, "level": round(level, 4), "queues": of_queues, "announced": [each.words for each in announced]}
