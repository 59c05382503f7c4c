"""What is done to jobs: each verb, the states in which it looks for them, and which of them allow it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jobplatform.actions.actor import Actor
from jobplatform.actions.desk import Desk
from jobplatform.actions.permission import Permission
from jobplatform.errors import Forbidden
from jobplatform.states import State
from jobplatform.store import listing, search
from jobplatform.store.database import Transaction
from jobplatform.store.listing import JobFilter

#: So many jobs are changed in one transaction.
PAGE = 1_000
_MOST = 10_000_000
#: So many of those that a dry run has counted are named.
_SAMPLE = 5
#: Pages of a search that a count looks through, and pages of one that has to be whole.
_COUNTED, _ALL = 5, 10_000

#: Does something to some jobs and tells what it did, by job id; a job that is left out did not allow it.
Deed = Callable[[Transaction, Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that can be done to jobs.

    :param name: of the action.
    :param values: with which it is done, to be written down.
    :param states: in which a filter that names none looks.
    :param rule: which jobs allow it, for the message about those that did not.
    """

    name: str
    do: Deed
    states: tuple[State, ...]
    rule: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


class Count(int):
    """How many jobs match.

    :ivar whole: whether all were counted; if not, there are so many or more.
    """

    whole: bool

    def __new__(cls, jobs: int, whole: bool) -> Count:
        made = super().__new__(cls, jobs)
        made.whole = whole
        return made


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which jobs: some by id, or all that match a filter."""

    job_ids: tuple[str, ...] = ()
    filter: JobFilter = field(default_factory=JobFilter)

    def as_json(self) -> dict[str, Any]:
        """Give it as it is written down."""
        if self.job_ids:
            return {"job_ids": list(self.job_ids)}
        return {"filter": {name: value for name, value in asdict(self.filter).items() if value is not None}}


@dataclass(frozen=True, slots=True)
class Steered:
    """What came of it.

    :param rule: which jobs allow it.
    :param counts: of the jobs, by what was done to them.
    :param jobs: what was done to each of those that were named, and to those that it took with it.
    :param refused: those that were named and did not allow it, with their state.
    :param missing: those that were named and are not there, or out of the actor's scope.
    :param sample: some of those that a dry run has counted.
    """

    rule: str
    counts: Mapping[str, int]
    jobs: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()


def steer(desk: Desk, actor: Actor, verb: Verb, chosen: Chosen, dry_run: bool = False) -> Steered:
    """Do a verb to jobs, by id in one transaction, by filter page by page; those that come meanwhile are left out.

    :param dry_run: change nothing, and count those that are there (by id) or match.
    """
    if dry_run:
        return _counted(desk, actor, verb, chosen)
    return _by_id(desk, actor, verb, chosen) if chosen.job_ids else _by_filter(desk, actor, verb, chosen)


def _counted(desk: Desk, actor: Actor, verb: Verb, chosen: Chosen) -> Steered:
    if not chosen.job_ids:
        meant = narrowed(actor, verb, chosen.filter)
        with desk.look() as session:
            count = counted(session, meant, _MOST, _ALL)
        some = next(_pages(desk, meant), [])[:_SAMPLE]
        return Steered(verb.rule, {"matching": count}, sample=tuple(some))
    with desk.look() as session:
        found = listing.within(session, chosen.job_ids, actor.scope.queues, actor.scope.tenants)
    missing = tuple(job_id for job_id in chosen.job_ids if job_id not in found)
    return Steered(
        verb.rule, {"matching": len(found)}, dict.fromkeys(found, "-"), missing=missing, sample=tuple(found)[:_SAMPLE]
    )


def narrowed(actor: Actor, verb: Verb, asked: JobFilter) -> JobFilter:
    """Give a filter within the actor's scope, and in the states of the verb if it names none."""
    states = asked.states or tuple(map(str, verb.states))
    return within(actor, replace(asked, states=states))


def within(actor: Actor, chosen: JobFilter) -> JobFilter:
    """Give a filter within the actor's scope.

    :raises Forbidden: when it looks into payloads, which the actor may not see.
    """
    if chosen.payload and not actor.may(Permission.JOBS_PAYLOAD):
        raise Forbidden("filter", str(Permission.JOBS_PAYLOAD))
    return replace(chosen, in_queues=actor.scope.queues, in_tenants=actor.scope.tenants)


def _by_id(desk: Desk, actor: Actor, verb: Verb, chosen: Chosen) -> Steered:
    wanted = tuple(dict.fromkeys(chosen.job_ids))
    about = {**chosen.as_json(), **verb.values}
    with desk.change(actor, verb.name, about, verb.reason) as change:
        found = listing.within(change.transaction, wanted, actor.scope.queues, actor.scope.tenants)
        done = verb.do(change.transaction, list(found))
        refused = {job_id: status for job_id, status in found.items() if job_id not in done}
        counts = Counter(done.values())
        change.outcome.update(counts, refused=len(refused))
    return Steered(verb.rule, counts, done, refused, tuple(job_id for job_id in wanted if job_id not in found))


def _by_filter(desk: Desk, actor: Actor, verb: Verb, chosen: Chosen) -> Steered:
    counts: Counter[str] = Counter()
    about = {**chosen.as_json(), **verb.values}
    with desk.stages(actor, verb.name, about, verb.reason) as outcome:
        for page in _pages(desk, narrowed(actor, verb, chosen.filter)):
            with desk.database.transaction() as transaction:
                done = verb.do(transaction, page)
            counts.update(done.values())
            outcome.update(counts)
    return Steered(verb.rule, counts or {"matching": 0})


def _pages(desk: Desk, chosen: JobFilter) -> Iterator[list[str]]:
    place = None
    while True:
        with desk.look() as session:
            found = search.find_ids(session, chosen, PAGE, place)
        if found.rows:
            yield [row["job_id"] for row in found.rows]
        if found.next is None:
            return
        place = found.next


def counted(session: Transaction, chosen: JobFilter, cap: int, pages: int = _COUNTED) -> Count:
    """Count the jobs that match.

    :param cap: where counting stops.
    :param pages: how often so many jobs are looked at as one page looks at.
    """
    jobs, place = 0, None
    for _ in range(pages):
        found, place = search.count(session, chosen, cap - jobs, place)
        jobs += found
        if place is None or jobs >= cap:
            break
    return Count(jobs, whole=place is None and jobs < cap)
