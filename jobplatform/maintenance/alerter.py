"""Tell people what is wrong: once when it begins, again while it lasts, and when it is over."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from jobplatform.errors import TargetRefused
from jobplatform.maintenance.conditions import Thresholds, judge
from jobplatform.maintenance.lookout import Look
from jobplatform.maintenance.notice import Notice, notice_of
from jobplatform.store import alerts
from jobplatform.store.database import Database

logger = logging.getLogger(__name__)

#: Tries of one notice; with the waits between them, about a day.
_TRIES = 30
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=15), timedelta(hours=1)
#: How long what is over is listed.
_KEPT = timedelta(days=90)


class Target(Protocol):
    """Who is told; what ``send`` raises is TargetRefused or an OSError."""

    @property
    def name(self) -> str: ...
    def send(self, notice: Notice) -> None: ...


class Alerter:
    """Keep a row for each thing that is wrong, and send what the rows say, in order, to all targets.

    What was sent is noted after it was: should the process end in between, it is sent again, under the same number.

    :param repeat: seconds after which people are told again of what lasts.
    """

    name = "alerter"

    def __init__(
        self,
        database: Database,
        look: Look,
        limits: Thresholds,
        targets: Sequence[Target],
        repeat: float,
        interval: float = 15.0,
    ) -> None:
        self.database = database
        self.look = look
        self.limits = limits
        self.targets = {target.name: target for target in targets}
        self.repeat = timedelta(seconds=repeat)
        self.interval = interval

    def run_once(self, now: datetime) -> Counter[str]:
        """Look once, write down what has changed, and send what is to be sent; a round that sent is not repeated."""
        findings = judge(self.look(now), self.limits)
        with self.database.transaction() as transaction:
            alerts.note_found(transaction, [finding._asdict() for finding in findings], now)
            over = [row for row in alerts.close_calm(transaction, now) if row["was_told"]]
            fresh = alerts.tell_open(transaction, now, self.repeat)
            self._note(transaction, fresh, over, now)
            alerts.give_up_on(transaction, list(self.targets), now)
            alerts.prune(transaction, now - _KEPT, 1_000)
        for finding in findings:
            logger.debug("%s", finding.message)
        self.deliver(now)
        return Counter()

    def _note(self, transaction: Any, fresh: Sequence[Any], over: Sequence[Any], now: datetime) -> None:
        events = [(row, "repeated" if row["again"] else "opened") for row in fresh]
        events += [(row, "resolved") for row in over]
        rows = [
            {"alert_id": row["alert_id"], "target": name, "event": event, "message": row["message"]}
            for row, event in events
            for name in self.targets
        ]
        for row, event in events:
            logger.warning("alert %s: %s", event, row["message"])
        if rows:
            alerts.add_notices(transaction, rows, now)

    def deliver(self, now: datetime) -> Counter[str]:
        """Send what waits, the oldest of each target first, until each has all or has failed."""
        counts: Counter[str] = Counter()
        while True:
            with self.database.session() as session:
                waiting = alerts.waiting(session, now)
            if not waiting:
                return counts
            for row in waiting:
                counts[self._send(row, now)] += 1

    def _send(self, row: Any, now: datetime) -> str:
        problem = tell(self.targets[row["target"]], notice_of(row, now))
        with self.database.transaction() as transaction:
            if problem is None:
                alerts.note_sent(transaction, row["notice_id"], now)
                return "sent"
            last = row["tries"] + 1 >= _TRIES
            due = None if last else now + backoff(row["tries"])
            alerts.note_failed(transaction, row["notice_id"], problem, now, due)
        logger.warning("alert %s: %s was not told: %s", row["alert_id"], row["target"], problem)
        return "given_up" if last else "failed"


def tell(target: Target, notice: Notice) -> str | None:
    """Send a notice; gives what went wrong, None when nothing did."""
    try:
        target.send(notice)
    except (TargetRefused, OSError) as error:
        return (str(error) or type(error).__name__)[:500]
    return None


def backoff(tries: int) -> timedelta:
    """Give the wait after so many failed tries before this one."""
    return min(_FIRST_WAIT * int(2 ** min(tries, 10)), _LONGEST_WAIT)
