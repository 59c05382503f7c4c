"""What the platform decided by itself, of all kinds in one list: each as a sentence with its numbers."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from jobplatform.actions.action import action
from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.actions.scaling import NO_ID
from jobplatform.actions.scaling import sentence as scaled
from jobplatform.controller.words import span
from jobplatform.errors import JobOptionError
from jobplatform.store import decisions as rows
from jobplatform.store import scaling
from jobplatform.store.database import Transaction
from jobplatform.workers.replacement import sentence as replaced

Row = Mapping[str, Any]

#: So many decisions on retries are looked at for those who see but some of them.
_LOOKED_AT = 1_000
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What was decided on."""

    RETRY = "retry"
    SCALE = "scale"
    REPLACEMENT = "replacement"
    BREAKER = "breaker"


#: What takes to see each kind.
_TAKES = {
    Kind.RETRY: Permission.JOBS_READ,
    Kind.SCALE: Permission.WORKERS_READ,
    Kind.REPLACEMENT: Permission.WORKERS_READ,
    Kind.BREAKER: Permission.QUEUES_READ,
}


class Decision(NamedTuple):
    """A decision.

    :param subject: the id of a job, the number of a scale decision, the name of a worker, or the cause of a breaker.
    :param numbers: what the sentence says, by name.
    """

    kind: Kind
    at: datetime
    subject: str
    sentence: str
    numbers: Mapping[str, Any]


class Cursor(NamedTuple):
    """Where a page ended, by kind."""

    retry: int = NO_ID
    scale: int = NO_ID
    replacement: int = NO_ID
    breaker: tuple[datetime, str] = (_LATEST, "")

    def as_text(self) -> str:
        """Write it, to be read by ``read_cursor``."""
        at, cause = self.breaker
        found = [self.retry, self.scale, self.replacement, at.isoformat(), cause]
        return base64.urlsafe_b64encode(json.dumps(found).encode()).decode().rstrip("=")


class Page(NamedTuple):
    """A page, which may be short, and where the next one begins; None when there is none."""

    decisions: Sequence[Decision]
    next: str | None


@dataclass(slots=True)
class _Source:
    """The decisions of one kind that may be on the page, the newest first.

    :ivar keys: of each decision, for the cursor.
    :ivar ends: where the next page begins when all of these were shown.
    :ivar more: whether there may be more than these.
    """

    decisions: list[Decision]
    keys: list[Any]
    ends: Any
    more: bool
    shown: int = 0

    @property
    def head(self) -> Decision | None:
        return self.decisions[self.shown] if self.shown < len(self.decisions) else None


def read_cursor(text: str | None) -> Cursor:
    """Read a cursor.

    :raises JobOptionError: when it is none.
    """
    if not text:
        return Cursor()
    try:
        retry, scale, replacement, at, cause = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return Cursor(int(retry), int(scale), int(replacement), (datetime.fromisoformat(at), str(cause)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise JobOptionError("page: it is no cursor; give the one that the page before gave") from error


@action("decisions.list", Permission.JOBS_READ)
def list_decisions(
    desk: Desk,
    actor: Actor,
    limit: int,
    page: str | None = None,
    kinds: Collection[Kind] | None = None,
    job_type: str | None = None,
) -> Page:
    """List what was decided on retries, the number of workers, replacements and breakers, the newest first.

    :param kinds: those alone; all that the actor may see if None.
    :param job_type: decisions on retries of this job type alone.
    """
    cursor = read_cursor(page)
    wanted = {Kind.RETRY} if job_type else set(kinds or Kind)
    with desk.look() as session:
        sources = {
            kind: _source(session, actor, kind, cursor, limit, job_type)
            for kind in Kind
            if kind in wanted and actor.may(_TAKES[kind])
        }
    shown = _merge(list(sources.values()), limit)
    if not any(source.more or source.head for source in sources.values()):
        return Page(shown, None)
    ends = {str(kind): _end(source, getattr(cursor, kind)) for kind, source in sources.items()}
    return Page(shown, cursor._replace(**ends).as_text())


def _merge(sources: Sequence[_Source], limit: int) -> list[Decision]:
    """Take the newest of all heads, until the page is full or nobody knows what is next."""
    shown: list[Decision] = []
    while len(shown) < limit and not any(source.more and source.head is None for source in sources):
        heads = [source for source in sources if source.head is not None]
        if not heads:
            break
        newest = max(heads, key=lambda source: source.decisions[source.shown].at)
        shown.append(newest.decisions[newest.shown])
        newest.shown += 1
    return shown


def _end(source: _Source, before: Any) -> Any:
    if source.head is None:
        return source.ends
    return source.keys[source.shown - 1] if source.shown else before


def _source(
    session: Transaction, actor: Actor, kind: Kind, cursor: Cursor, limit: int, job_type: str | None
) -> _Source:
    if kind is Kind.RETRY:
        return _of_retries(session, actor, cursor, limit, job_type)
    if kind is Kind.SCALE:
        found = scaling.decisions(session, limit + 1, before=cursor.scale)
        return _all_of([_of_scale(row) for row in found], [row["decision_id"] for row in found], cursor.scale, limit)
    if kind is Kind.REPLACEMENT:
        found = rows.replacements(session, cursor.replacement, limit + 1)
        keys = [row["replacement_id"] for row in found]
        return _all_of([_of_replacement(row) for row in found], keys, cursor.replacement, limit)
    found = rows.breakers(session, cursor.breaker, limit + 1)
    keys = [(row["changed_at"], row["cause"]) for row in found]
    return _all_of([_of_breaker(row) for row in found], keys, cursor.breaker, limit)


def _all_of(decisions: list[Decision], keys: list[Any], before: Any, limit: int) -> _Source:
    return _Source(decisions, keys, keys[-1] if keys else before, len(keys) > limit)


def _of_retries(session: Transaction, actor: Actor, cursor: Cursor, limit: int, job_type: str | None) -> _Source:
    scope = actor.scope
    looked_at = limit + 1 if scope.everywhere and job_type is None else max(_LOOKED_AT, limit + 1)
    window = rows.retries(session, cursor.retry, looked_at, scope.queues, scope.tenants, job_type)
    keys = [row["decision_id"] for row in window.rows]
    ends = cursor.retry if window.last is None else window.last
    return _Source([_of_retry(row) for row in window.rows], keys, ends, window.full)


def _of_retry(row: Row) -> Decision:
    if row["action"] == "retry":
        done = f"is tried again in {span(row['delay_seconds'] or 0.0)}"
    else:
        done = "was given up"
    came = {"succeeded": "; the next attempt succeeded", "failed": "; the next attempt failed as well"}
    sentence = (
        f"{row['job_type']} failed at attempt {row['attempt']} and {done}, decided by {row['decided_by']}: "
        f"{row['reason'].rstrip('.')}{came.get(row['outcome'], '')}."
    )
    names = ("job_type", "queue", "attempt", "action", "delay_seconds", "decided_by", "outcome", "waited_seconds")
    return Decision(Kind.RETRY, row["decided_at"], row["job_id"], sentence, _some(row, names))


def _of_scale(row: Row) -> Decision:
    done = "would have been" if row["dry_run"] else "were to be"
    sentence = f"There {done} {row['wanted']} workers of {row['pool']} in place of {row['had']}: {scaled(row)}"
    names = ("pool", "had", "wanted", "level", "probability", "decided_by", "dry_run", "acted_at")
    return Decision(Kind.SCALE, row["decided_at"], str(row["decision_id"]), sentence, _some(row, names))


def _of_replacement(row: Row) -> Decision:
    names = ("pool", "worker_id", "asked_by", "successor", "ready_at", "drained_at", "ended_at", "outcome")
    return Decision(Kind.REPLACEMENT, row["asked_at"], row["name"], f"{replaced(row)}.", _some(row, names))


def _of_breaker(row: Row) -> Decision:
    done = {"open": "holds what fails of it", "releasing": "lets go what it held", "closed": "holds nothing"}
    forced = f", as {row['forced_by']} forced it {row['forced']}" if row["forced"] else ""
    sentence = f"The breaker of {row['cause']} {done[row['state']]}{forced}: {row['reason'].rstrip('.')}."
    names = ("state", "probes", "job_types", "forced", "opened_at", "closed_at")
    return Decision(Kind.BREAKER, row["changed_at"], row["cause"], sentence, _some(row, names))


def _some(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}
