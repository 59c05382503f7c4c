"""The rows of ``replays``: dead letters that are run once more, a few at first."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobplatform.store.database import Transaction
from jobplatform.store.dead_letters import EXAMPLE, MATCHES, LetterFilter
from jobplatform.store.statement import Statement

Row = Mapping[str, Any]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: The open dead letters that are chosen, the oldest first, the last one of each job.
_CHOSEN = f"""select distinct on (job_id) dlq_id, job_id, job_type, fingerprint from (
            select d.* from @dead_letter_jobs d where {MATCHES} order by d.dlq_id limit %(limit)s
        ) as found order by job_id, attempt desc"""

# Of each kind of error one comes before the second of any, so that the canaries are of many kinds.
ASK_REPLAY = Statement(
    "ask_replay",
    f"""
    with chosen as materialized ({_CHOSEN}), placed as materialized (
        select dlq_id, job_id, fingerprint, row_number() over (order by turn, dlq_id) as position
        from (select *, row_number() over (partition by job_type, fingerprint order by dlq_id) as turn from chosen) as t
    ), made as (
        insert into @replays (chosen, jobs, rate, canaries, stop_on, asked_by)
        select %(chosen)s::jsonb, count(*), %(rate)s, %(canaries)s, array(
                select fingerprint from placed where fingerprint is not null
                union select unnest(%(fingerprints)s::text[])
                union select kin.fingerprint
                from placed p join @error_clusters own on own.fingerprint = p.fingerprint
                join @error_clusters kin
                    on kin.merged_into in (own.fingerprint, own.merged_into) or kin.fingerprint = own.merged_into
            ), %(asked_by)s
        from placed having count(*) > 0
        returning replay_id, state, jobs, rate, canaries, stop_on
    ), queued as (
        insert into @replay_jobs (replay_id, job_id, dlq_id, position)
        select made.replay_id, placed.job_id, placed.dlq_id, placed.position from made, placed
    )
    select * from made
    """,
    {**EXAMPLE, "limit": 1, "chosen": "{}", "rate": None, "canaries": None, "asked_by": "ann"},
)

LIST_BUSY = Statement(
    "list_busy",
    """
    select replay_id from @replays where state = 'running'
    union select replay_id from @replay_jobs where state = 'sent' order by replay_id
    """,
    {},
)

LOCK_REPLAY = Statement(
    "lock_replay",
    """
    select replay_id, state, jobs, rate, canaries, step, step_size, extract(epoch from next_at)::float8 as next_at,
        asked_by
    from @replays where replay_id = %(replay_id)s for update
    """,
    {"replay_id": 1},
)

READ_STEP = Statement(
    "read_step",
    """
    select s.*, w.*, o.*, b.* from (
        select count(*) filter (where state in ('sent', 'succeeded', 'failed'))::int as sent,
            count(*) filter (where state = 'succeeded')::int as succeeded,
            count(*) filter (where state = 'failed')::int as failed,
            mode() within group (order by error_type) filter (where state = 'failed') as worst
        from @replay_jobs where replay_id = %(replay_id)s and step = %(step)s
    ) as s cross join (
        select count(*)::int as waiting from (
            select from @replay_jobs where replay_id = %(replay_id)s and state = 'waiting' limit %(most)s
        ) as ones
    ) as w cross join (
        select count(*)::int as open from @replay_jobs where replay_id = %(replay_id)s and state = 'sent'
    ) as o left join (
        select r.returned, r.job_id::text as returned_job
        from @replay_jobs r where r.replay_id = %(replay_id)s and r.returned is not null
        order by r.position limit 1
    ) as b on true
    """,
    {"replay_id": 1, "step": 1, "most": 1},
)

NOTE_STEP = Statement(
    "note_step",
    """
    update @replays set step = %(step)s, step_size = %(size)s, next_at = to_timestamp(%(next_at)s)
    where replay_id = %(replay_id)s
    """,
    {"replay_id": 1, "step": 1, "size": 1, "next_at": None},
)

END_REPLAY = Statement(
    "end_replay",
    """
    update @replays set state = %(state)s, reason = %(reason)s, ended_at = %(now)s
    where replay_id = %(replay_id)s and state in ('running', 'paused')
    """,
    {"replay_id": 1, "state": "done", "reason": "", "now": _NOW},
)

PAUSE_REPLAY = Statement(
    "pause_replay",
    """
    update @replays set state = 'paused', reason = %(reason)s where replay_id = %(replay_id)s and state = 'running'
    """,
    {"replay_id": 1, "reason": ""},
)

RESUME_REPLAY = Statement(
    "resume_replay",
    "update @replays set state = 'running', reason = null where replay_id = %(replay_id)s and state = 'paused'",
    {"replay_id": 1},
)

_COUNTS = """(select coalesce(json_object_agg(state, jobs), '{}') from (
            select state, count(*) as jobs from @replay_jobs j where j.replay_id = r.replay_id group by state
        ) as counted) as counts"""

# Who may not look everywhere sees the replays that were asked for within what they may look at.
_SCOPE = """(%(in_queues)s::jsonb is null or coalesce(%(in_queues)s::jsonb @> (r.chosen->'in_queues'), false))
        and (%(in_tenants)s::jsonb is null or coalesce(%(in_tenants)s::jsonb @> (r.chosen->'in_tenants'), false))"""

LIST_REPLAYS = Statement(
    "list_replays",
    f"""
    select r.replay_id, r.state, r.jobs, r.rate, r.step, r.asked_by, r.asked_at, r.ended_at, r.reason, r.chosen
    from @replays r
    where (not %(running)s or r.state in ('running', 'paused')) and {_SCOPE}
        and (%(before_id)s::bigint is null or r.replay_id < %(before_id)s)
    order by r.replay_id desc limit %(limit)s
    """,
    {"running": False, "in_queues": '["mail"]', "in_tenants": None, "before_id": None, "limit": 1},
)

SHOW_REPLAY = Statement(
    "show_replay",
    f"""
    select r.replay_id, r.state, r.reason, r.jobs, r.canaries, r.rate, r.step, r.step_size, r.stop_on, r.chosen,
        r.asked_by, r.asked_at, r.ended_at, {_COUNTS}
    from @replays r where r.replay_id = %(replay_id)s and {_SCOPE}
    """,
    {"replay_id": 1, "in_queues": None, "in_tenants": '["acme"]'},
)

PRUNE_REPLAY_JOBS = Statement(
    "prune_replay_jobs",
    """
    delete from @replay_jobs where (replay_id, job_id) in (
        select j.replay_id, j.job_id from @replays r join @replay_jobs j on j.replay_id = r.replay_id
        where r.ended_at < %(before)s limit %(limit)s
    )
    """,
    {"before": _NOW, "limit": 1},
)

PRUNE_REPLAYS = Statement(
    "prune_replays",
    """
    delete from @replays r where r.ended_at < %(before)s
        and not exists (select from @replay_jobs j where j.replay_id = r.replay_id)
    """,
    {"before": _NOW},
)


@dataclass(frozen=True, slots=True)
class Wish:
    """How dead letters are to be replayed.

    :param rate: jobs that may be sent in a second; None for any.
    :param canaries: how many go first; 0 for none, None for as many as ``jobs.replay`` says.
    """

    asked_by: str
    rate: float | None = None
    canaries: int | None = None


def ask(transaction: Transaction, chosen: LetterFilter, wish: Wish, limit: int) -> Row | None:
    """Ask the controller to replay the open dead letters that match, None when there is none.

    It stops when an error of those that were chosen comes back, or one of ``chosen.fingerprints``.

    :param limit: the most, of which the oldest are taken.
    """
    told = {name: value for name, value in chosen.parameters().items() if value is not None and name != "open_only"}
    text = json.dumps(told, default=str)
    found = transaction.rows(
        ASK_REPLAY, **chosen.parameters(), limit=limit, chosen=text, rate=wish.rate, canaries=wish.canaries,
        asked_by=wish.asked_by,
    )  # fmt: skip
    return next(iter(found), None)


def busy(transaction: Transaction) -> list[int]:
    """List the replays that run, and those of which jobs run."""
    return [row["replay_id"] for row in transaction.rows(LIST_BUSY)]


def lock(transaction: Transaction, replay_id: int) -> Row | None:
    """Read a replay that nobody else changes until the transaction ends."""
    return next(iter(transaction.rows(LOCK_REPLAY, replay_id=replay_id)), None)


def step_of(transaction: Transaction, replay_id: int, step: int, most: int) -> Row:
    """Count how far a replay is, and the jobs of its present step.

    :param most: where counting what waits stops.
    """
    return transaction.rows(READ_STEP, replay_id=replay_id, step=step, most=most)[0]


def note_step(transaction: Transaction, replay_id: int, step: int, size: int, next_at: float | None) -> None:
    """Note in which step a replay is and, in seconds since the epoch, when more may be sent."""
    transaction.count(NOTE_STEP, replay_id=replay_id, step=step, size=size, next_at=next_at)


def end(transaction: Transaction, replay_id: int, state: str, reason: str, now: datetime) -> bool:
    """End a replay that runs or is paused; what was not sent stays a dead letter."""
    return transaction.count(END_REPLAY, replay_id=replay_id, state=state, reason=reason, now=now) == 1


def pause(transaction: Transaction, replay_id: int, reason: str) -> bool:
    """Send nothing more of a replay that runs, until it is resumed; how its jobs end is noted all the same."""
    return transaction.count(PAUSE_REPLAY, replay_id=replay_id, reason=reason) == 1


def resume(transaction: Transaction, replay_id: int) -> bool:
    """Let a paused replay go on in the step in which it was."""
    return transaction.count(RESUME_REPLAY, replay_id=replay_id) == 1


def listed(
    transaction: Transaction,
    running: bool = False,
    limit: int = 50,
    before_id: int | None = None,
    queues: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
) -> Sequence[Row]:
    """List replays, newest first.

    :param running: only those that have not ended.
    :param queues: with ``tenants`` the scope of who asks.
    """
    return transaction.rows(LIST_REPLAYS, running=running, limit=limit, before_id=before_id, **_scope(queues, tenants))


def show(
    transaction: Transaction,
    replay_id: int,
    queues: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
) -> Row | None:
    """Read a replay with its counts, None when there is none of this id in the scope of who asks."""
    return next(iter(transaction.rows(SHOW_REPLAY, replay_id=replay_id, **_scope(queues, tenants))), None)


def _scope(queues: Collection[str] | None, tenants: Collection[str] | None) -> dict[str, str | None]:
    known = {"in_queues": queues, "in_tenants": tenants}
    return {name: None if values is None else json.dumps(sorted(values)) for name, values in known.items()}


def prune(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete replays that ended before a time, so many of their jobs at once; a replay goes after its last job.

    Returns how many rows went.
    """
    gone = transaction.count(PRUNE_REPLAY_JOBS, before=before, limit=limit)
    return gone + transaction.count(PRUNE_REPLAYS, before=before)
