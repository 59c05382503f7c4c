"""A replay before it is asked for: what would run, what is in its way, and how long it takes at least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from jobplatform.errors import InvalidPayload, SealError
from jobplatform.jobs.editing import check_payload
from jobplatform.jobs.replay import canaries_of
from jobplatform.store import dead_letters, pauses, replay_plans, workers
from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import LetterFilter
from jobplatform.store.replays import Wish
from jobplatform.store.shapes.queue import Pause
from jobplatform.store.shapes.replay import LimitMet, ReplayCount, Unfit

Row = Mapping[str, Any]

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would do.

    :param by: the counts of jobs by type, queue and fingerprint; ``refused`` have not ended, or are gone.
    :param invalid: payloads that do not fit their job type any more, counted by type, field and problem.
    :param unchecked: job types whose code is not known here, or whose key is not at hand.
    :param unknown: job types that no worker that is alive takes.
    :param limits: the limits that it meets, with the seconds that each of them takes at least.
    :param paused: the queues and job types in which it would wait.
    """

    jobs: int
    canaries: int
    rate: float | None
    seconds_at_least: float
    by: Sequence[Annotated[Row, ReplayCount]]
    invalid: Sequence[Annotated[Row, Unfit]]
    unchecked: Sequence[str]
    unknown: Sequence[str]
    limits: Sequence[Annotated[Row, LimitMet]]
    paused: Sequence[Annotated[Row, Pause]]


def plan(transaction: Transaction, app: Any, chosen: LetterFilter, wish: Wish, limit: int, payload_limit: int) -> Plan:
    """Look at what a replay would run; nothing is written.

    :param app: the attached Celery application, whose job types are known here.
    :param payload_limit: the largest payload taken, in bytes.
    """
    by = replay_plans.count_chosen(transaction, chosen, limit)
    jobs = sum(row["jobs"] for row in by)
    types, queues = {row["job_type"] for row in by}, {row["queue"] for row in by}
    invalid, unchecked = _check(transaction, app, chosen, limit, payload_limit)
    bounds = [
        {**row, "seconds": round(row["units"] / row["rate"], 1) if row["rate"] else None}
        for row in replay_plans.count_limited(transaction, chosen, limit)
    ]
    return Plan(
        jobs=jobs,
        canaries=canaries_of(jobs) if wish.canaries is None else min(wish.canaries, jobs),
        rate=wish.rate,
        seconds_at_least=seconds_at_least(jobs, wish.rate, [row["seconds"] or 0.0 for row in bounds]),
        by=by,
        invalid=invalid,
        unchecked=sorted(unchecked),
        unknown=sorted(types - _known(types, workers.skills(transaction))),
        limits=bounds,
        paused=[
            row for row in pauses.list_pauses(transaction)
            if row["name"] in (queues if row["scope"] == pauses.Scope.QUEUE else types)
        ],
    )  # fmt: skip


def seconds_at_least(jobs: int, rate: float | None, others: Sequence[float]) -> float:
    """Tell for how many seconds a replay goes on at least: no faster than its rate, and than any limit."""
    return round(max([jobs / rate if rate else 0.0, *others]), 1)


def _known(types: set[str], skills: Sequence[tuple[list[str] | None, list[str] | None]]) -> set[str]:
    return {name for known, _ in skills for name in (types if known is None else types.intersection(known))}


def _check(
    transaction: Transaction, app: Any, chosen: LetterFilter, limit: int, payload_limit: int
) -> tuple[list[Row], set[str]]:
    problems: dict[tuple[str, str, str], dict[str, Any]] = {}
    unchecked: set[str] = set()
    last, left = 0, limit
    while left > 0 and (rows := dead_letters.payloads(transaction, chosen, min(left, _PAGE), last)):
        for row in rows:
            try:
                if not check_payload(app, row["job_type"], row["payload"], payload_limit, row["awaits"]):
                    unchecked.add(row["job_type"])
            except SealError:
                unchecked.add(row["job_type"])
            except InvalidPayload as error:
                first = {"job_type": row["job_type"], "field": error.field, "problem": error.problem, "jobs": 0}
                key = (row["job_type"], error.field, error.problem)
                problems.setdefault(key, {**first, "fix": error.fix, "dlq_id": row["dlq_id"]})["jobs"] += 1
        last, left = rows[-1]["dlq_id"], left - len(rows)
    return sorted(problems.values(), key=lambda row: -int(row["jobs"])), unchecked
